"""What the DSP logs reaches the error that it belongs to, and the program's logger as it was."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import qda
from qda.client import RemoteModule, Session
from qda.dsp.native import native_skeleton


class Refuses(qda.Skeleton):
    """Cannot be opened."""

    def open(self, uri: str) -> None:
        raise ValueError("no way in")


class Fails(qda.Skeleton):
    """Has one method, which raises."""

    @qda.method(2)
    def fail(self) -> None:
        self.dsp.log.warning("it is about to fail")
        raise KeyError("another")


@pytest.mark.parametrize("debug", [False, True])
def test_a_failed_load_has_its_traceback_and_no_later_error_has_it(debug: bool) -> None:
    """Nor has the session's log, from which the error has taken it."""
    with qda.open("cdsp", device="virtual", debug=debug) as session:
        with pytest.raises(qda.DspError) as caught:
            session.load(Refuses)
        assert "Traceback (most recent call last):" in caught.value.log
        assert "no way in" in caught.value.log[-1]
        with session.load(Fails) as module, pytest.raises(qda.DspError) as caught:
            module.invoke(2)
        assert "no way in" not in str(caught.value)
        assert "another" in caught.value.log[-1]
        assert session.read_log() == []


def test_lines_keep_their_levels(caplog: pytest.LogCaptureFixture) -> None:
    """In the program's logger; those of a traceback have that of its first line."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    with (
        qda.open("cdsp", device="virtual") as session,
        session.load(Fails) as module,
        pytest.raises(qda.DspError),
    ):
        module.invoke(2)
    said = [(one.levelname, one.getMessage()) for one in caplog.records]
    assert said[0] == ("WARNING", "it is about to fail")
    assert said[1] == ("ERROR", "Traceback (most recent call last):")
    assert {level for level, _ in said[1:]} == {"ERROR"}


@pytest.mark.parametrize("timeout", [float("inf"), 1e12])
def test_a_call_may_have_for_ever(timeout: float) -> None:
    """A time that the system cannot count is no limit."""
    assert qda.start(lambda: 7).result(timeout=timeout) == 7


class Talks(qda.Skeleton):
    """Its methods log, whether they fail or not, in their own thread or in another."""

    @qda.method(2)
    def succeed(self) -> None:
        self.dsp.log.warning("it went well")

    @qda.method(3)
    def fail(self, name: memoryview) -> None:
        for _ in range(3):
            self.dsp.log.warning("said for %s", bytes(name).decode())
        raise qda.StatusError(5, f"no luck for {bytes(name).decode()}")

    @qda.method(4)
    def fail_silently(self) -> int:
        return 7

    @qda.method(5)
    def fail_beside_a_thread(self) -> int:
        thread = threading.Thread(target=self.dsp.log.warning, args=("said beside",))
        thread.start()
        thread.join()
        return 7

    @qda.method(6)
    def die(self) -> None:
        self.dsp.log.warning("the last words")
        os.abort()


TALKS = """
#include <stdint.h>
void (*qda_HAP_debug)(int level, const char *file, int line, const char *text);
int talks_skel_invoke(uint32_t scalars, void **arguments)
{
    switch (scalars >> 24) {
    case 2:
        qda_HAP_debug(1, "talks.c", 1, "it went well");
        return 0;
    case 3:
        for (int i = 0; i < 3; i++)
            qda_HAP_debug(1, "talks.c", 2, arguments[0]);
        return 5;
    case 4:
        return 7;
    }
    __builtin_trap();
}
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in C."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    folder = tmp_path_factory.mktemp("talks")
    (folder / "talks.c").write_text(TALKS)
    command = [compiler, "-shared", "-fPIC", "-o", "libtalks_skel.so", "talks.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "libtalks_skel.so"


@pytest.fixture(scope="module", params=["processes", "threads", "compiled"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with qda.open("cdsp", device="virtual", debug=request.param == "threads") as opened:
        yield opened


@pytest.fixture
def talks(session: Session, request: pytest.FixtureRequest) -> Iterator[RemoteModule]:
    """The module in a session whose log is empty."""
    kind = request.node.callspec.params["session"]
    given = request.getfixturevalue("compiled") if kind == "compiled" else None
    with session.load(
        native_skeleton(given, "talks", handle64=False) if given else Talks
    ) as module:
        session.read_log()
        yield module


def failed(module: RemoteModule, method: int, name: str = "one") -> tuple[str, ...]:
    """The log of a call's error."""
    with pytest.raises(qda.DspError) as caught:
        module.invoke(method, [f"said for {name}\0".encode()] if method == 3 else [])
    return caught.value.log


def is_own(line: str, name: str = "one") -> bool:
    """Whether a call with that name may have said it."""
    return f" for {name}" in line


def test_an_error_has_the_lines_of_its_call_and_of_no_other(
    session: Session, talks: RemoteModule
) -> None:
    """What earlier calls have said, the reader of the log gets, also after an error."""
    talks.invoke(2)
    assert failed(talks, 4) == ()
    lines = failed(talks, 3)
    assert len(lines) >= 3
    assert all(is_own(line) for line in lines)
    assert failed(talks, 4) == ()
    talks.invoke(2)
    left = session.read_log()
    assert [line.partition(" ")[2] for line in left] == ["it went well"] * 2
    assert session.read_log() == []


def test_threads_have_the_lines_of_their_own_calls(session: Session, talks: RemoteModule) -> None:
    """Whichever lane they come on."""
    found: dict[str, list[str]] = {}

    def call(name: str) -> None:
        found[name] = []
        for _ in range(5):
            talks.invoke(2)
            found[name] += failed(talks, 3, name)

    threads = [threading.Thread(target=call, args=(name,)) for name in ("ann", "bob", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, lines in found.items():
        assert len(lines) >= 15
        assert all(is_own(line, name) for line in lines)
    assert len(session.read_log()) == 15


def test_who_follows_the_log_leaves_to_errors_what_is_theirs(
    session: Session, talks: RemoteModule, caplog: pytest.LogCaptureFixture
) -> None:
    """The logger has the other lines at once, and once, and who reads the log has them as well."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    talks.invoke(2)
    assert session.calls.status_of(talks.handle, 3, [b"said for one\0"], []) == 5
    session.log.follow()
    talks.invoke(2)
    session.log.follow()
    assert caplog.messages == ["it went well"] * 2
    lines = session.read_log()
    assert [is_own(line) for line in lines[:3]] == [False, False, True]
    assert caplog.messages[:2] == ["it went well"] * 2 and is_own(caplog.messages[2])
    assert session.read_log() == []


def test_a_call_with_a_timeout_has_its_lines_too(session: Session, talks: RemoteModule) -> None:
    """It is made by another thread than the one that waits for it."""
    talks.invoke(2)
    with pytest.raises(qda.DspError) as caught:
        talks.invoke(3, [b"said for one\0"], timeout=60)
    assert len(caught.value.log) >= 3
    assert all(is_own(line) for line in caught.value.log)
    assert len(session.read_log()) == 1


@pytest.mark.parametrize("debug", [False, True])
def test_what_a_thread_of_a_skeleton_says_is_of_no_call(debug: bool) -> None:
    with (
        qda.open("cdsp", device="virtual", debug=debug) as session,
        session.load(Talks) as module,
    ):
        assert failed(module, 5) == ()
        assert session.read_log() == ["WARNING said beside"]


def test_a_death_has_the_last_words_and_the_log_what_went_before() -> None:
    """Also where the host had begun to listen meanwhile, each line stands once."""
    with qda.open("cdsp", device="virtual") as session:
        module = session.load(Talks)
        module.invoke(2)
        assert failed(module, 6) == ("WARNING the last words",)
        assert session.read_log()[:2] == [
            "WARNING it went well",
            "the protection domain died of SIGABRT, in die at test_log.py:" + str(line_of_death()),
        ]


def line_of_death() -> int:
    """Where the skeleton aborts."""
    return Talks.die.__code__.co_firstlineno + 3


def test_a_host_that_listens_later_gets_what_nobody_has_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Not what an error has had."""
    caplog.set_level(logging.DEBUG, "qda.dsp.cdsp")
    with qda.open("cdsp", device="virtual") as session, session.load(Talks) as module:
        module.invoke(2)
        failed(module, 3)
        session.serve_host()
        failed(module, 3, "two")
    said = [one.getMessage() for one in caplog.records]
    assert said.count("it went well") == 1
    assert sum(is_own(line) for line in said) == 4
    assert sum(is_own(line, "two") for line in said) == 4


TWICE = """
import qda
class Fails(qda.Skeleton):
    @qda.method(2)
    def fail(self):
        raise KeyError("once")
with qda.open("cdsp", device="virtual") as session:
    try:
        session.load("nothing")
    except qda.DspError:
        pass
    with session.load(Fails) as module:
        try:
            module.invoke(2)
        except qda.DspError as error:
            print("once" in error.log[-1])
"""


def test_what_an_error_says_is_not_printed_too() -> None:
    """Also not where the host listens, as it does once a module was looked for."""
    ran = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("True\n", "")
