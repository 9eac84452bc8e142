"""A farm: one job on the DSPs of a cluster's workers, here processes of this machine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from numpy.typing import NDArray

import qda
from qda.client.unheld import settle
from qda.virtual import machine
from tests.waiting import until

distributed = pytest.importorskip(
    "distributed", reason="Dask is not installed: pip install qda-accel[farm]"
)

from qda.farm import Farm  # noqa: E402  # it needs Dask

pytestmark = pytest.mark.timeout(180)  # workers take their time on a busy machine

working = qda.idl.load("""
    interface working {
        long square(in long x, rout long long y);
        long lines(in sequence<octet> picture, rout sequence<octet> drawn);
        long fail(in long x);
        long die();
        long sleep();
    };
""")


class Working(working.Skeleton):  # type: ignore[misc, name-defined]
    """The DSP's side."""

    def square(self, x: int) -> int:
        return x * x

    def lines(self, picture: NDArray[np.uint8], drawn: int) -> NDArray[np.uint8]:
        return 255 - picture

    def fail(self, x: int) -> None:
        raise ValueError(f"not {x}")

    def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def sleep(self) -> None:
        signal.pause()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two workers, each a process."""
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made,
        distributed.Client(made) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def farm(cluster: Any) -> Iterator[Farm[Working]]:
    with Farm(cluster, Working, retries=2) as made:
        yield made


def test_results_are_those_of_a_loop_and_in_its_order(farm: Farm[Working]) -> None:
    """Methods of the interface, and functions that make several calls; small and large."""
    assert list(farm.map(working.square, range(12))) == [x * x for x in range(12)]
    assert farm.submit(lambda remote, x: remote.square(remote.square(x)), x=3).result() == 81
    picture = np.arange(1 << 18).astype(np.uint8)
    (drawn,) = farm.map(working.lines, [picture], [len(picture)])
    assert np.array_equal(drawn, 255 - picture)


def test_nothing_is_lost_when_workers_and_dsps_die(farm: Farm[Working], tmp_path: Path) -> None:
    """In the middle of the work: a worker, a process of a DSP, a whole DSP."""

    def call(remote: Working, x: int) -> int:
        mark = tmp_path / str(x)
        if x in (3, 5, 7) and not mark.exists():
            mark.touch()
            if x == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            if x == 5:
                remote.die()
            for pid in machine().pids:
                os.kill(pid, signal.SIGKILL)
        return working.square(remote, x)  # type: ignore[no-any-return]

    assert list(farm.map(call, range(12))) == [x * x for x in range(12)]
    assert {file.name for file in tmp_path.iterdir()} == {"3", "5", "7"}


def test_an_error_of_a_method_is_its_result(farm: Farm[Working], tmp_path: Path) -> None:
    """It is not made again, names its item, and says where on the worker it was."""

    def call(remote: Working, x: int) -> None:
        with (tmp_path / "made").open("a") as file:
            file.write(f"{x}\n")
        remote.fail(x)

    with pytest.raises(qda.DspError, match="ValueError: not 4") as caught:
        list(farm.map(call, [4]))
    notes = "\n".join(caught.value.__notes__)
    assert "in item 0: (4,)" in notes
    assert "on worker tcp://" in notes and "in call" in notes
    assert (tmp_path / "made").read_text() == "4\n"


def test_a_program_that_ends_itself_in_a_call_has_ended_the_call_alone(
    farm: Farm[Working], cluster: Any
) -> None:
    """The worker goes on: nobody starts the others' sessions anew."""
    workers = set(cluster.nthreads())
    with pytest.raises(SystemExit, match="7"):
        farm.submit(lambda remote: sys.exit(7)).result()
    assert farm.submit(working.square, 3).result() == 9
    assert set(cluster.nthreads()) == workers


def test_calls_wait_for_the_first_worker() -> None:
    """Dask looks for calls that a worker can make when it comes: before its sessions are open."""
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=":0") as made,
        distributed.Client(made) as client,
        Farm(client, Working) as farm,
    ):
        submitted = farm.submit(working.square, 3)
        until(
            lambda: client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.unrunnable))
        )
        made.scale(1)
        assert submitted.result() == 9


def test_a_call_that_always_kills_its_dsp_is_given_up(farm: Farm[Working]) -> None:
    """After as many tries as there may be."""
    with pytest.raises(qda.DspError, match="was killed by SIGKILL") as caught:
        farm.submit(working.die).result()
    assert caught.value.__notes__ == ["Its DSP has died each time: the call was made 3 times."]


def test_the_dashboard_has_sessions_and_times(farm: Farm[Working], cluster: Any) -> None:
    """Sessions are a resource of the workers; time on the DSP is one of a task's times."""
    assert farm.submit(working.square, 2).result() == 4

    def resources(dask_scheduler: Any) -> list[dict[str, float]]:
        return [worker.resources for worker in dask_scheduler.workers.values()]

    assert all(list(one.values()) == [1] for one in cluster.run_on_scheduler(resources))

    def measured(dask_worker: Any) -> bool:
        return any("DSP" in key and "square" in key for key in dask_worker.digests_total)

    assert any(cluster.run(measured).values())


def test_an_error_that_does_not_pickle_comes_in_words(farm: Farm[Working]) -> None:
    """With the line of the program that raised it."""

    class Own(Exception):
        def __reduce__(self) -> NoReturn:
            raise TypeError("no pickle of mine")

    def call(remote: Working) -> None:
        raise Own("what was wrong")

    with pytest.raises(RuntimeError, match="Own: what was wrong") as caught:
        farm.submit(call).result()
    notes = "\n".join(caught.value.__notes__)
    assert "does not pickle: no pickle of mine" in notes
    assert "in call" in notes and "in run" not in notes


def test_sessions_end_with_the_farm(cluster: Any) -> None:
    """Those of several workers; the workers go on."""

    def open_files() -> int:
        return sum(one.files for one in machine().census().values())

    before = sum(cluster.run(open_files).values())
    with Farm(cluster, Working, sessions=2) as farm:
        assert sum(cluster.run(open_files).values()) == before + 2 * len(cluster.nthreads())
        last = farm.submit(working.square, 3)
    assert sum(cluster.run(open_files).values()) == before
    farm.close()
    assert last.result() == 9, "the end of the block waits for what was submitted"
    with pytest.raises(qda.UsageError, match="the farm is closed"):
        farm.submit(working.square, 3)
    with pytest.raises(qda.UsageError, match="the farm is closed"):
        farm.map(working.square, [3])


@pytest.mark.skipif(not os.environ.get("QDA_EVERYWHERE"), reason="QDA_EVERYWHERE is not set")
def test_a_block_that_is_left_by_an_exception_waits_for_nothing(cluster: Any) -> None:
    """What was submitted is cancelled, and the sessions end, and with them the calls in them."""
    submitted = []
    with suppress(KeyboardInterrupt), Farm(cluster, Working) as farm:
        submitted += [farm.submit(working.sleep) for _ in range(4)]
        raise KeyboardInterrupt
    for one in submitted:
        with pytest.raises(CancelledError):
            one.result()


def test_a_farm_is_closed_before_its_client(cluster: Any) -> None:
    """Later it says what it cannot do; and one that was dropped says so, too."""
    with distributed.Client(cluster.scheduler.address) as client:
        late, dropped = Farm(client, Working), Farm(client, Working)
        with pytest.warns(ResourceWarning, match="unclosed <Farm"):
            del dropped
        settle()
    for use in (late.close, lambda: late.submit(working.square, 2)):
        with pytest.raises(qda.UsageError, match=r"the client of <Farm .* is closed"):
            use()
    cluster.unregister_worker_plugin(late._name)


def test_what_makes_no_farm_is_quoted() -> None:
    with pytest.raises(qda.UsageTypeError, match="client 'tcp://here:1': a dask"):
        Farm("tcp://here:1", Working)


def test_what_cannot_be_called_is_said_at_once(farm: Farm[Working], cluster: Any) -> None:
    """Not by each worker."""
    with pytest.raises(qda.UsageTypeError, match="opener 'cdsp': a function that opens a session"):
        Farm(cluster, Working, opener="cdsp")  # type: ignore[call-overload]
    with pytest.raises(qda.UsageError, match="map: there are no items"):
        farm.map(working.square)
