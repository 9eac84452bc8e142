"""Fixtures: open nodes of the device under test, in each of its dialects.

Write a path with "=" (`--device=/dev/accel/accel0`): while pytest looks for files such as this one
it does not know their options yet, and would take a path that stands alone for one of tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, settings

from qda.client import KernelNode, RemoteModule, Session, device_file, identify
from qda.conformance.interface import (
    BANKS_DOMAIN,
    ELSEWHERE,
    FIRST_DOMAIN,
    Elsewhere,
    OpenNode,
    Target,
)
from qda.conformance.skeletons import Probe
from qda.errors import DeviceError, DspError
from qda.uapi import DIALECTS
from qda.virtual import machine

_TARGETS = pytest.StashKey[list[Target]]()
_PROBLEM = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance", "tests of the device interface")
    group.addoption(
        "--device",
        default="virtual",
        metavar="NODE",
        help='device under test: "virtual" (default), or a path such as /dev/accel/accel0',
    )
    group.addoption(
        "--hostile",
        action="store_true",
        help="on a kernel's device, also make the requests that corrupt a kernel whose driver "
        "does not refuse them (always made on the virtual device)",
    )


def _find_targets(config: pytest.Config) -> list[Target]:
    """The device under test in each of its dialects; none, and a problem noted, without it."""
    device: str = config.getoption("--device")
    hostile: bool = config.getoption("--hostile")
    system: Elsewhere | None = config.pluginmanager.get_plugin(ELSEWHERE)
    if system is not None:
        path = system.node_of(FIRST_DOMAIN)
        try:
            node = system.open(path, None)
        except DeviceError as error:
            config.stash[_PROBLEM] = f"{path} of the guest: {os.strerror(error.errno or 0)}"
            return []
        found = identify(node)
        node.close()
        if found is None:
            config.stash[_PROBLEM] = f"{path} of the guest: no node of a DSP"
            return []
        dialect = DIALECTS[found.dialect]
        theirs = Target(path, dialect, hostile, system)
        return [theirs, Target("virtual", dialect, hostile)]
    if device == "virtual":
        return [Target(device, dialect, hostile) for dialect in DIALECTS.values()]
    try:
        node = KernelNode(device)
    except OSError as error:
        config.stash[_PROBLEM] = f"--device {device}: {os.strerror(error.errno or 0)}"
        return []
    try:
        found = identify(node)
    finally:
        node.close()
    if found is None:
        config.stash[_PROBLEM] = f"--device {device}: no node of a DSP"
        return []
    return [Target(device, DIALECTS[found.dialect], hostile)]


def pytest_configure(config: pytest.Config) -> None:
    """An example may take as long as it takes: the machine may be busy, and no test judges time."""
    settings.register_profile(
        "any time", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any time")
    config.addinivalue_line(
        "markers", "dialects(*names, why): the rules are of these dialects only, for this reason"
    )


def _meant(item: pytest.Item, targets: list[Target]) -> list[Target]:
    """The targets that a test is for; all of them, and so a skip, if it is for none."""
    mark = item.get_closest_marker("dialects")
    meant = [target for target in targets if not mark or target.speaks(mark.args)]
    return meant or targets


@pytest.fixture(autouse=True)
def right_dialect(request: pytest.FixtureRequest) -> None:
    """Skip tests of other dialects' rules."""
    mark = request.node.get_closest_marker("dialects")
    if mark and "target" in request.fixturenames:
        target: Target = request.getfixturevalue("target")
        target.require_dialect(*mark.args, why=mark.kwargs["why"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        stash = metafunc.config.stash
        if _TARGETS not in stash:
            stash[_TARGETS] = _find_targets(metafunc.config)
        targets = _meant(metafunc.definition, stash[_TARGETS])
        names = [target.name for target in targets]
        metafunc.parametrize("target", targets, ids=names, scope="session")


def pytest_collection_modifyitems(config: pytest.Config) -> None:
    """End the run once, before the first test, instead of once for each module."""
    if _PROBLEM in config.stash:
        raise pytest.UsageError(config.stash[_PROBLEM])


@pytest.fixture
def node(target: Target) -> Iterator[OpenNode]:
    """A node that has just been opened."""
    with target.open() as opened:
        yield opened


@pytest.fixture
def second_node(target: Target) -> Iterator[OpenNode]:
    """The same device, opened once more."""
    with target.open() as opened:
        yield opened


@pytest.fixture
def session_node(target: Target) -> Iterator[OpenNode]:
    """A node with a session: a protection domain of its own."""
    with target.session() as opened:
        yield opened


@pytest.fixture
def second_session(target: Target) -> Iterator[OpenNode]:
    """The same device with one more session."""
    with target.session() as opened:
        yield opened


@pytest.fixture
def bank_nodes(target: Target) -> Iterator[list[OpenNode]]:
    """As many nodes of a DSP as it has context banks."""
    target.require_virtual("the interface does not say how many context banks there are")
    device = next(dsp for dsp in machine().profile.dsps if dsp.name == BANKS_DOMAIN)
    with ExitStack() as stack:
        yield [stack.enter_context(target.open(BANKS_DOMAIN)) for _ in device.stream_ids]


def install_probe(node: OpenNode) -> int:
    """The module handle of the tests' skeleton, after bringing it to the node's session."""
    found = identify(node.node)
    assert found is not None
    session = Session(device_file(node.node, node.dialect, found.domain))
    try:
        module = session.load(Probe)
    except DspError:
        if node.target.virtual:
            raise
        pytest.skip("the DSP does not run Python, so the tests' skeleton cannot run on it")
    node.left.callback(_end, session, module)
    return module.handle


def _end(session: Session, module: RemoteModule) -> None:
    """End a session with its module, which are closed as soon as nobody holds them."""
    session.close()


@pytest.fixture
def probe(session_node: OpenNode) -> int:
    """The module handle of the tests' skeleton in the session of `session_node`."""
    return install_probe(session_node)


@pytest.fixture
def second_probe(second_session: OpenNode) -> int:
    """The module handle of the tests' skeleton in the session of `second_session`."""
    return install_probe(second_session)


@pytest.fixture
def hostile(target: Target) -> None:
    """The test makes requests that corrupt a kernel whose driver does not refuse them."""
    if not target.virtual and not target.hostile:
        pytest.skip("may corrupt a kernel without this check: give --hostile to make sure it has")
