"""The nodes of a virtual system, for whoever lets programs open them."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from qda.driver import HeapFront, LegacyFront, LocalClient
from qda.driver.accel import AccelFront
from qda.errors import UsageError
from qda.uapi import DIALECTS, LEGACY, dma_heap
from qda.uapi.legacy import CREATE, CreateLegacy
from qda.virtual import Machine, NodeKind, load_profile, nodes_of, profile_names
from qda.virtual.nodes import SPOKEN
from tests.driver.structures import ioctl, run

FOUR = """
title = "Four"
[[dsp]]
name = "sdsp"
stream_ids = [1]
non_secure_domain = true
[[dsp]]
name = "mdsp"
stream_ids = [1]
[[dsp]]
name = "gdsp1"
stream_ids = [1]
[[dsp]]
name = "cdsp1"
stream_ids = [1, 2]
non_secure_domain = true
"""


def test_nodes_of_the_generic_system() -> None:
    """Spec 4, 5.1, 5.4: one accel node for each DSP, in order; compute DSPs have two others."""
    nodes = {node.path: node for node in nodes_of(load_profile("generic"))}
    assert {path: (node.kind, node.domain) for path, node in nodes.items()} == {
        "/dev/accel/accel0": (NodeKind.ACCEL, "adsp"),
        "/dev/accel/accel1": (NodeKind.ACCEL, "cdsp"),
        "/dev/dma_heap/system": (NodeKind.HEAP, ""),
        "/dev/fastrpc-adsp-secure": (NodeKind.FASTRPC, "adsp"),
        "/dev/fastrpc-cdsp": (NodeKind.FASTRPC, "cdsp"),
        "/dev/fastrpc-cdsp-secure": (NodeKind.FASTRPC, "cdsp"),
    }
    assert [node.secure for node in nodes.values()] == [path.endswith("-secure") for path in nodes]


def test_older_nodes_speak_what_is_said_once() -> None:
    """The profile names the dialect of the interface's tables, which it does not load."""
    assert load_profile("generic").fastrpc == LEGACY.name


def test_nodes_by_the_kind_of_the_dsp(tmp_path: Path) -> None:
    """Spec 5.1: which node a DSP has that is no compute DSP is a property of the system."""
    file = tmp_path / "four.toml"
    file.write_text(FOUR)
    older = [n.path for n in nodes_of(load_profile(str(file))) if n.kind is NodeKind.FASTRPC]
    assert older == [
        "/dev/fastrpc-sdsp",
        "/dev/fastrpc-mdsp-secure",
        "/dev/fastrpc-gdsp1",
        "/dev/fastrpc-gdsp1-secure",
        "/dev/fastrpc-cdsp1",
        "/dev/fastrpc-cdsp1-secure",
    ]


@pytest.mark.parametrize("profile", profile_names())
def test_every_node_has_numbers_of_its_own(profile: str) -> None:
    """A program that asks stat() can tell them apart."""
    nodes = nodes_of(load_profile(profile))
    assert len({(node.major, node.minor) for node in nodes}) == len(nodes)
    assert len({node.path for node in nodes}) == len(nodes)
    assert {node.major for node in nodes if node.kind is NodeKind.ACCEL} == {261}


@pytest.mark.parametrize("path", [node.path for node in nodes_of(load_profile("generic"))])
def test_every_node_opens(machine: Machine, client: LocalClient, path: str) -> None:
    """What is listed can be opened, in this process or for another."""
    front = machine.open_node(path)
    kinds = {"/dev/accel": AccelFront, "/dev/dma_heap": HeapFront}
    assert isinstance(front, kinds.get(os.path.dirname(path), LegacyFront))
    assert ioctl(front, client, 0xFF, bytearray(64)) < 0
    front.close(client)
    front.close(client)


@pytest.mark.parametrize("dialect", ["rfc", "v1", "handle"])
def test_dialect_is_that_of_accel_nodes(machine: Machine, dialect: str) -> None:
    """The numbers do not tell these dialects apart, the other nodes have one each."""
    front = machine.open_node("/dev/accel/accel1", dialect)
    assert isinstance(front, AccelFront)
    assert front.dialect is DIALECTS[dialect]
    front.close()
    machine.open_node("/dev/fastrpc-cdsp", dialect).close()


@pytest.mark.parametrize("path", ["", "/dev", "/dev/accel/accel2", "/dev/fastrpc-adsp", "accel0"])
def test_other_paths_are_enoent(machine: Machine, path: str) -> None:
    """As on a machine without such a node."""
    with pytest.raises(FileNotFoundError) as refused:
        machine.open_node(path)
    assert refused.value.errno == errno.ENOENT


def test_accel_nodes_refuse_other_dialects(machine: Machine) -> None:
    """A mistake of whoever hosts the system."""
    for dialect in ("legacy", "legacy-7.3", "v9"):
        with pytest.raises(UsageError, match="speaks rfc, v1 and handle"):
            machine.open_node("/dev/accel/accel0", dialect)


def test_a_node_is_chosen_by_dialect(machine: Machine) -> None:
    """R22: the secure node, where a DSP has both, since it takes every process."""
    paths = {}
    for dialect in SPOKEN:
        node = machine.open("cdsp", dialect)
        paths[dialect] = node.path
        assert node.name == "virtual cdsp"
        node.close()
    accel = "/dev/accel/accel1"
    older = "/dev/fastrpc-cdsp-secure"
    assert paths == {
        **dict.fromkeys(("rfc", "v1", "handle"), accel),
        **dict.fromkeys(("legacy", "legacy-7.3", "legacy-signals"), older),
    }


def test_plain_node_of_a_dsp_that_is_not_secure_takes_every_process(
    client: LocalClient, tmp_path: Path
) -> None:
    """Spec 5.3: ECONNREFUSED is for secure channels only."""
    file = tmp_path / "four.toml"
    file.write_text(FOUR)
    system = Machine(load_profile(str(file)))
    try:
        front = system.open_node("/dev/fastrpc-cdsp1")
        assert run(front, client, CREATE, CreateLegacy(filefd=-1, attrs=0)) == 0
        front.close(client)
    finally:
        system.close()


def test_heap_serves_any_client(machine: Machine, client: LocalClient) -> None:
    """R2: a descriptor is installed in the process that asked."""
    installed = []

    class Other(LocalClient):
        def install(self, descriptor: int, flags: int) -> int:
            installed.append(flags)
            return 77

    other = Other()
    heap = machine.open_node(dma_heap.PATH)
    given = dma_heap.Allocation(len=5, fd_flags=os.O_RDWR)
    before = len(os.listdir("/proc/self/fd"))
    assert run(heap, other, dma_heap.ALLOC, given) == 0
    assert (given.fd, installed) == (77, [os.O_RDWR])
    assert len(os.listdir("/proc/self/fd")) == before
    other.close()
