"""Whoever is killed in the middle of calls, and whenever: no call is carried out twice, none that
was answered is lost, and nothing is left.  The same on lanes and through the server."""

from __future__ import annotations

import mmap
import os
import random
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.shim.conftest import Systems
from tests.shim.system import PATIENCE, Programs, System, needs_library
from tests.shim.test_lanes import (
    Counter,
    children_of,
    hear,
    kill,
    processors_of,
    protection_domains,
    served,
    start,
)
from tests.system import census
from tests.waiting import until

pytestmark = needs_library

MOMENTS = int(os.environ.get("QDA_TEST_MOMENTS", "2"))
"""Random moments for each arrangement, and each way; 40 make 560, which take some minutes."""

ARRANGEMENTS = (
    "in_threads",
    "in_signals",
    "on_parents",
    "on_own",
    "on_both",
    "passed",
    "executed",
)
NUMBERS = 1 << 20
CROWD = "2000" if "QDA_EVERYWHERE" in os.environ else "200"
"""How many calls of a crowd have to be right."""
CALLERS = 3
"""Threads that call at once, at most."""


class Ledger:
    """The file in which program and skeleton note calls, see ledger.c."""

    def __init__(self, path: Path, moment: int) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(4096 + 2 * NUMBERS)
            self._pages = mmap.mmap(file.fileno(), 0)
        self._pages[:16] = struct.pack("<QQ", 0, moment)

    def end(self) -> None:
        """No more calls."""
        self._pages[16] = 1

    @property
    def failed(self) -> int:
        """Number of calls that have ended with an error."""
        return int.from_bytes(self._pages[20:24], "little")

    def check(self, unanswered: int) -> None:
        """No call is there twice, and all but so many are in both lists or in none."""
        made = int.from_bytes(self._pages[:8], "little")
        assert made < NUMBERS
        done = self._pages[4096 : 4096 + made]
        answered = self._pages[4096 + NUMBERS : 4096 + NUMBERS + made]
        assert max(done) == 1
        pairs = list(zip(done, answered, strict=True))
        assert (0, 1) not in pairs
        assert pairs.count((1, 0)) <= unanswered


def finish(program: subprocess.Popen[str]) -> str:
    """Wait for its end, and that of those who hold its pipes."""
    return program.communicate(timeout=PATIENCE)[1]


@contextmanager
def nothing_left(system: System) -> Iterator[None]:
    """Server and processors have what they had before: descriptors, mappings, processes."""
    before = [census(system.machine), *map(_things, processes(system))]
    yield
    system.settle()
    until(lambda: [census(system.machine), *map(_things, processes(system))] == before)


def processes(system: System) -> list[int]:
    """The processors, and their root protection domains."""
    return [one for pid in system.machine.pids for one in (pid, *children_of(pid))]


def _things(pid: int) -> tuple[int, int, int]:
    with suppress(FileNotFoundError):
        mappings = Path(f"/proc/{pid}/maps").read_text().count("/memfd:qda")
        return pid, len(os.listdir(f"/proc/{pid}/fd")), mappings
    return pid, 0, 0


@pytest.mark.timeout(60 + 5 * MOMENTS)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_program_or_domain_is_killed(
    system: System, programs: Programs, arrangement: str, tmp_path: Path
) -> None:
    """All of the program, or its child, or its protection domains, or these and the program."""
    chance = random.Random(arrangement)
    ledger_program = programs.build("ledger")
    system.run(programs.build("calculator"))
    system.settle()
    for number in range(MOMENTS):
        ledger = Ledger(tmp_path / str(number), chance.randrange(1, 600))
        with nothing_left(system):
            program = system.start(ledger_program, arrangement, ledger.path)
            assert hear(program) == "now"
            of_program = [program.pid, *children_of(program.pid)]
            domains = protection_domains(system.machine.pids)
            killed = chance.choice([of_program, of_program[-1:], domains, domains + of_program])
            for pid in chance.sample(killed, len(killed)):
                kill(pid)
            ledger.end()
            assert "not so" not in finish(program) or killed == domains
        ledger.check(2 * CALLERS)


@pytest.mark.parametrize("dialect", ["rfc", "v1", "legacy"])
def test_processes_of_a_crowd_are_killed(
    systems: Systems, programs: Programs, dialect: str
) -> None:
    """One after the other: the others' calls stay right, and everybody calls as at first
    afterwards, as on a kernel's driver (tests/kernel)."""
    system = systems.of(dialect)
    system.run(programs.build("calculator", dialect))
    system.settle()
    before = _processes_and_mappings(system)
    system.run(programs.build("crowd", dialect), CROWD)
    system.settle()
    until(lambda: _processes_and_mappings(system) == before)


def _processes_and_mappings(system: System) -> list[tuple[int, int]]:
    """Without descriptors: lanes to the root protection domain stay, as many as were needed."""
    return [_things(pid)[::2] for pid in processes(system)]


@pytest.mark.timeout(60 + 5 * MOMENTS)
@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_nobody_is_killed_and_an_observer_comes_and_goes(
    system: System, programs: Programs, arrangement: str, tmp_path: Path
) -> None:
    """Then every call that was carried out is answered."""
    chance = random.Random(arrangement)
    for number in range(1 + MOMENTS // 4):
        ledger = Ledger(tmp_path / str(number), chance.randrange(1, 600))
        program = system.start(programs.build("ledger"), arrangement, ledger.path)
        assert hear(program) == "now"
        counter = Counter()
        for _ in range(chance.randrange(1, 5)):
            system.server.observe(counter)
            until(counter.has_seen_more)
            system.server.observe(None)
        ledger.end()
        assert finish(program) == ""
        assert program.returncode == 0 and not ledger.failed
        ledger.check(0)
        system.settle()


@pytest.mark.timeout(60 + 10 * MOMENTS)
@pytest.mark.parametrize("lanes", ["--lanes", "--no-lanes"])
def test_server_or_processor_is_killed(programs: Programs, lanes: str, tmp_path: Path) -> None:
    """The server, its processors, the protection domains, the program: one of them or two."""
    chance = random.Random(lanes)
    for number in range(MOMENTS):
        folder = tmp_path / str(number)
        folder.mkdir()
        ledger = Ledger(folder / "ledger", chance.randrange(1, 600))
        with served(folder, lanes) as (server, variables):
            arrangement = chance.choice(ARRANGEMENTS)
            program = start(variables, programs.build("ledger"), arrangement, ledger.path)
            assert hear(program) == "now"
            processors = processors_of(server.pid)
            assert processors
            kinds = [
                [server.pid],
                processors,
                protection_domains(processors),
                [program.pid, *children_of(program.pid)],
            ]
            for kind in chance.sample(kinds, chance.randrange(1, 3)):
                for pid in kind:
                    kill(pid)
            ledger.end()
            finish(program)
        ledger.check(2 * CALLERS)
