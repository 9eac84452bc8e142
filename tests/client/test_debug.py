"""`debug=True`: the DSP is threads of this process, and the class itself runs there."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

import qda
from qda import limits
from qda.dsp.black_box import handler
from qda.virtual import machine

summer: Any = qda.idl.load("interface summer { long add(in long a, in long b, rout long sum); };")
teller: Any = qda.idl.load("interface teller { long ask(rout long answer); };")

calls: list[object] = []


class Adder(summer.Skeleton):  # type: ignore[misc]
    """Of an interface, in a module that can be imported."""

    seen: ClassVar[list[object]] = []

    def add(self, a: int, b: int) -> int:
        calls.append(self)
        self.seen.append(threading.current_thread())
        return a + b


class Derived(Adder):
    """Of a class of the program."""

    def add(self, a: int, b: int) -> int:
        return super().add(a, b)


class Numbered(qda.Skeleton):
    """Whose methods have numbers."""

    seen: ClassVar[list[object]] = []

    @qda.method(2)
    def add(self, given: memoryview, result: memoryview) -> None:
        calls.append(self)
        self.seen.append(threading.current_thread())
        result[0] = given[0] + given[1]


def inside() -> type[Any]:
    """In a function, with a closure."""
    total = [0]

    class Closed(summer.Skeleton):  # type: ignore[misc]
        seen: ClassVar[list[object]] = []
        total_of_closure = total

        def add(self, a: int, b: int) -> int:
            calls.append(self)
            self.seen.append(threading.current_thread())
            total[0] += a + b
            return a + b

    return Closed


def written(**names: object) -> type[Any]:
    """In a text that belongs to no module, or to one that nobody can import."""
    namespace: dict[str, Any] = {"summer": summer, "calls": calls, "threading": threading, **names}
    exec(
        textwrap.dedent("""
            class Written(summer.Skeleton):
                seen = []

                def add(self, a, b):
                    calls.append(self)
                    self.seen.append(threading.current_thread())
                    return a + b
        """),
        namespace,
    )
    made: type[Any] = namespace["Written"]
    return made


def derived_from_inside() -> type[Any]:
    """Of a class in a function."""

    class Deeper(inside()):  # type: ignore[misc]
        pass

    return Deeper


def refers_to_a_lock() -> type[Any]:
    """To something that no pickle takes."""
    lock = threading.Lock()

    class Locked(summer.Skeleton):  # type: ignore[misc]
        seen: ClassVar[list[object]] = []

        def add(self, a: int, b: int) -> int:
            with lock:
                calls.append(self)
                self.seen.append(threading.current_thread())
                return a + b

    return Locked


KINDS: dict[str, Callable[[], type[Any]]] = {
    "module": lambda: Adder,
    "derived": lambda: Derived,
    "numbered": lambda: Numbered,
    "function": inside,
    "derived from function": derived_from_inside,
    "text": written,
    "text of a name": lambda: written(__name__="nowhere"),
    "lock": refers_to_a_lock,
}


def add(remote: Any, a: int, b: int) -> int:
    """Call `add`, whatever kind of remote object there is."""
    if isinstance(remote, qda.RemoteModule):
        return int(remote.invoke(2, [bytes([a, b])], [1])[0][0])
    return int(remote.add(a, b))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("process", ["user", "root"])
def test_the_class_itself_runs(kind: str, process: Any) -> None:
    """No copy of it: objects are its instances; globals and attributes are the program's own."""
    skeleton = KINDS[kind]()
    before, bases = dict(vars(skeleton)), skeleton.__bases__
    calls.clear()
    with (
        qda.open(device="virtual", debug=True, process=process) as session,
        session.load(skeleton) as remote,
    ):
        assert add(remote, 2, 3) == 5
    assert [type(one) for one in calls] == [skeleton]
    assert skeleton.seen
    assert dict(vars(skeleton)) == before
    assert skeleton.__bases__ == bases


def test_what_a_class_closes_over_is_shared() -> None:
    """A program can look at it while it steps."""
    skeleton = inside()
    with qda.open(device="virtual", debug=True) as session, session.load(skeleton) as remote:
        assert remote.add(2, 3) == 5
        assert skeleton.total_of_closure == [5]


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"lock"}))
def test_a_class_stays_as_it_is_in_sessions_of_both_kinds(kind: str) -> None:
    """Debugged, sent to a process by value or by reference, and debugged again."""
    skeleton = KINDS[kind]()
    before = dict(vars(skeleton))
    for debug in (True, False, True, False):
        calls.clear()  # what a class refers to is sent with it, and objects on the DSP cannot be
        skeleton.seen.clear()
        with (
            qda.open(device="virtual", debug=debug) as session,
            session.load(skeleton) as remote,
        ):
            assert add(remote, 2, 3) == 5
        assert dict(vars(skeleton)) == before


def test_skeletons_that_are_there_from_the_beginning_are_the_classes_too() -> None:
    """`skeletons=` of `open`."""
    calls.clear()
    with qda.open(device="virtual", debug=True, skeletons=[Adder]) as session:
        session.load(summer).add(1, 1)
    assert [type(one) for one in calls] == [Adder]


def test_what_a_program_provides_to_its_threads_is_its_own() -> None:
    """The reverse way has never had a copy; a class gives each open an object."""
    asked: list[Any] = []

    class Teller(teller.Skeleton):  # type: ignore[misc]
        def ask(self) -> int:
            asked.append(self)
            return 42

    class Asker(summer.Skeleton):  # type: ignore[misc]
        def add(self, a: int, b: int) -> int:
            with self.dsp.host.open(teller) as host:
                return a + b + int(host.ask())

    one = Teller()
    for given in (Teller, one):
        with qda.open(device="virtual", debug=True) as session:
            session.provide(given)
            with session.load(Asker) as remote:
                assert remote.add(1, 2) == 45
    assert [type(each) for each in asked] == [Teller, Teller]
    assert asked[1] is one


def test_where_there_is_no_room_the_addresses_of_threads_are_named() -> None:
    """They have few: the program's other threads need the rest."""
    with qda.open("cdsp", device="virtual", debug=True) as session:
        buffer = session.alloc(limits.THREADED_WINDOW)
        remote = session.load(Numbered)
        for use in (lambda: session.map(buffer), lambda: remote.invoke(2, [buffer], [1])):
            with pytest.raises(qda.QdaError, match="debug=True there are 256 MiB of addresses"):
                use()


def test_what_is_no_skeleton_is_refused() -> None:
    """As in any session."""
    with qda.open(device="virtual", debug=True) as session, pytest.raises(qda.UsageTypeError):
        session.install(int)


def test_nothing_is_left_of_an_install() -> None:
    """The table by which classes travel is empty again."""
    with qda.open(device="virtual", debug=True) as session:
        session.install(inside())
        node = machine(threads=True).open("cdsp")
        assert node.handed_over == {}
        node.close()


SCRIPT = """
import sys
import qda

calculator = qda.idl.load('''
    interface calculator {
        long sum(in sequence<long> numbers, rout long long total);
    };
''')
seen = []

class Calculator(calculator.Skeleton):
    def sum(self, numbers):
        seen.append(type(self))
        return numbers.sum()

interface, method = Calculator.interface, Calculator.sum
for debug in (True, False, True):
    with qda.open("cdsp", device="virtual", debug=debug) as session:
        with session.load(Calculator) as remote:
            assert isinstance(remote, calculator)
            print(remote.sum([1, 2, 3]))
    assert Calculator.interface is interface and Calculator.sum is method
    assert Calculator.__module__ == "__main__" and sys.modules["__main__"].Calculator is Calculator
assert seen == [Calculator, Calculator], seen
"""


@pytest.mark.parametrize("typed", [False, True], ids=["script", "REPL"])
def test_the_calculator_of_a_script_or_repl_can_be_debugged(typed: bool) -> None:
    """Its class is the program's own before, during and after."""
    program = f"exec(compile({SCRIPT!r}, '<stdin>', 'exec'))" if typed else SCRIPT
    command = [sys.executable, *([] if typed else ["-c", program])]
    result = subprocess.run(
        command, input=program, capture_output=True, text=True, timeout=50, check=False
    )
    assert (result.stdout, result.returncode) == ("6\n" * 3, 0), result.stderr


needs_handler = pytest.mark.skipif(handler() is None, reason="the handler's library was not built")

ENDS = """
import ctypes, os, qda
made = qda.idl.load("interface made {{ long f(); }};")
class Made(made.Skeleton):
    def f(self): {how}
with qda.open("cdsp", device="virtual", debug=True) as session, session.load(Made) as remote:
    remote.f()
"""


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("os._exit(3)", r"qda: os\._exit\(3\) in a skeleton ends this program, since .*debug=True"),
        ("os.abort()", "Fatal Python error: Aborted"),
        ("ctypes.string_at(0)", "Fatal Python error: Segmentation fault"),
        pytest.param(
            "ctypes.string_at(0x12345678)",
            "qda: a fault in a skeleton, at address 0x12345678, by code at 0x[0-9a-f]+ of /",
            marks=needs_handler,
        ),
    ],
)
def test_a_skeleton_that_ends_the_program_is_told_of(how: str, words: str) -> None:
    """Where its DSP is threads of the program: by what, and at which line."""
    program = ENDS.format(how=how)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode
    assert re.search(words, done.stderr), done.stderr
    assert re.search(r'File "<string>", line 5,? in f', done.stderr), done.stderr
