"""What crosses processes: values of interfaces do, what belongs to one process says why not."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

import qda
from qda.errors import UsageTypeError

TEXT = """interface pickled {
    enum colour { red, green };
    struct point { long x; float y; };
    struct shape { string name; colour paint; sequence<point> points; };
    long describe(in long a, rout shape one, rout colour two, rout long count);
};"""


def values() -> list[Any]:
    """One of each kind."""
    made = qda.idl.load(TEXT, name="pickled.idl")
    shape = made.shape("s", made.colour.green, [made.point(1, 2.5)])
    result = made.describe_result(shape, made.colour(77), 3)
    return [made.colour.green, made.colour(77), made.point(1, 2.5), shape, result]


@pytest.mark.parametrize("place", range(5))
def test_values_pickle_and_copy(place: int) -> None:
    """As objects of the same class; an enumerator stays itself."""
    value = values()[place]
    for twin in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert type(twin) is type(value)
        assert repr(twin) == repr(value)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_another_process_reads_them(protocol: int) -> None:
    """It has not loaded the interface."""
    kept = values()
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer))"
    data = pickle.dumps(kept, protocol)
    done = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True)
    assert done.stdout.decode().strip() == repr(kept), done.stderr.decode()


def test_classes_of_values_pickle_too() -> None:
    """Those of structures and enumerations; here they are the same ones."""
    made = qda.idl.load(TEXT, name="pickled.idl")
    kinds = [made.point, made.shape, made.colour]
    for kind in kinds:
        assert pickle.loads(pickle.dumps(kind)) is copy.deepcopy(kind) is copy.copy(kind) is kind
    program = (
        "import pickle, sys\n"
        "point, shape, colour = pickle.load(sys.stdin.buffer)\n"
        "print(shape('s', colour.red, [point(1, 2)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(kinds), check=True, capture_output=True
    )
    wanted = made.shape("s", made.colour.red, [made.point(1, 2)])
    assert done.stdout.decode().strip() == repr(wanted)
    assert pickle.loads(pickle.dumps(DerivedPoint)) is DerivedPoint


def test_what_goes_on_or_lies_in_one_process_says_so() -> None:
    """A buffer, a mapping, a started call, a queue, a log."""
    with qda.open("cdsp", device="virtual") as session:
        buffer = session.alloc(8)
        with session.map(buffer) as mapping, session.queue() as queue:
            for one in (buffer, mapping, qda.start(int), queue, session.log):
                for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
                    with pytest.raises(UsageTypeError, match="one process"):
                        attempt(one)


def test_what_belongs_to_a_process_says_so() -> None:
    """A session, a module, a remote object."""
    made = qda.idl.load(TEXT, name="pickled.idl")

    class Mine(made.Skeleton):  # type: ignore[misc, name-defined]
        describe_ = made.Skeleton.describe_  # nothing is called

    with qda.open("cdsp", device="virtual") as session:
        remote = session.load(Mine)
        for one in (session, remote, remote._module):
            with pytest.raises(UsageTypeError, match=r"belongs to .*one process.*: open a session"):
                pickle.dumps(one)


def test_calls_after_the_end_say_that_the_session_is_closed() -> None:
    """Of a module, of memory, of opening."""
    made = qda.idl.load(TEXT, name="pickled.idl")

    class Mine(made.Skeleton):  # type: ignore[misc, name-defined]
        describe_ = made.Skeleton.describe_  # nothing is called

    session = qda.open("cdsp", device="virtual")
    remote = session.load(Mine)
    session.close()
    for use in (lambda: remote.describe_(1, {"name": 9, "points": 1}), lambda: session.alloc(1)):
        with pytest.raises(qda.DeviceError, match="the session is closed"):
            use()


def test_a_forked_child_is_told_whose_session_it_has() -> None:
    """The DSP is not gone: the parent's session lives on."""
    program = """
import os, qda
made = qda.idl.load("interface x { long f(); };", name="x.idl")
class Mine(made.Skeleton):
    def f(self): pass
session = qda.open("cdsp", device="virtual")
remote = session.load(Mine)
child = os.fork()
for use in (remote.f, lambda: session.alloc(10), lambda: session.load("x")) if not child else ():
    try:
        use()
    except qda.DeviceError as error:
        said = "belongs to process %d" % os.getppid() in str(error).splitlines()[0]
        print(said and "fork" in error.cause and "child" in error.next_step, flush=True)
if child:
    os.waitpid(child, 0)
    remote.f()
    session.close()
else:
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["True"] * 3, done
    assert done.returncode == 0


def test_an_interface_pickles_with_its_text() -> None:
    """It is the same one here, and one that works in another process; what is derived from it is
    found by its name."""
    made = qda.idl.load(TEXT, name="pickled.idl")
    assert pickle.loads(pickle.dumps(made)) is copy.deepcopy(made) is copy.copy(made) is made
    program = (
        "import pickle, sys, qda\n"
        "made = pickle.load(sys.stdin.buffer)\n"
        "print(made.__name__, made.point(1, 2), issubclass(made.Skeleton, qda.idl.Skeleton))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(made), check=True, capture_output=True
    )
    assert done.stdout.decode().split() == ["pickled", "pickled_point(x=1,", "y=2)", "True"]
    assert pickle.loads(pickle.dumps(Derived)) is Derived


class DerivedPoint(qda.idl.load(TEXT, name="derived.idl").point):  # type: ignore[misc]
    """Of a module that can be imported."""


class Derived(qda.idl.load(TEXT, name="derived.idl")):  # type: ignore[misc]
    """Of a module that can be imported."""


def test_a_class_of_results_pickles_too() -> None:
    """As those of structures do; what a program derives from one is its own."""
    made = qda.idl.load(TEXT, name="pickled.idl")
    kind = made.describe_result
    assert pickle.loads(pickle.dumps(kind)) is copy.deepcopy(kind) is kind
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer)(1, 2, 3))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(kind), check=True, capture_output=True
    )
    assert done.stdout.decode().strip() == "pickled_describe_result(one=1, two=2, count=3)"


@pytest.mark.parametrize("attempt", [pickle.dumps, cloudpickle.dumps], ids=["pickle", "cloud"])
def test_values_of_derived_classes_pickle(attempt: Callable[[object], bytes]) -> None:
    """A class of a program is found by its name, with what its objects hold."""
    for value in (DerivedPoint(1, 2.5), DerivedResult(1, 2, 3)):
        twin = pickle.loads(attempt(value))
        assert type(twin) is type(value)
        assert twin == value


def test_a_skeleton_that_went_to_another_process_is_loaded_as_one_of_its_interface() -> None:
    """By value, as the schedulers of notebooks send classes."""
    made = qda.idl.load(TEXT + "\ninterface other { long f(); };", "pickled", name="pickled.idl")

    def describe_(self: Any, a: int, one: Any) -> Any:
        return made.shape("s", 1, [made.point(a, 2.5)]), 1, 1

    here = type("Here", (made.Skeleton,), {"describe_": describe_, "__module__": "__main__"})
    program = (
        "import pickle, sys, qda\n"
        "with qda.open('cdsp', device='virtual') as session:\n"
        "    remote = session.load(pickle.load(sys.stdin.buffer))\n"
        "    print(type(remote).__name__, remote.describe_(7, {'name': 9, 'points': 1}).count)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=cloudpickle.dumps(here), capture_output=True
    )
    assert done.stdout.decode().split() == ["pickled", "1"], done.stderr.decode()


class DerivedResult(qda.idl.load(TEXT, name="derived.idl").describe_result):  # type: ignore[misc]
    """Of a module that can be imported."""
