"""What a program does with a session, through the public API only."""

from __future__ import annotations

import gc
import mmap
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest

import qda
from qda.client import device_file
from qda.client.plan import make_plan
from qda.errors import SKELETON_RAISED
from qda.uapi import DIALECTS
from qda.virtual import machine


class Worker(qda.Skeleton, name="worker"):
    """Methods for these tests."""

    def open(self, uri: str) -> None:
        if "_refuse" in uri:
            raise qda.StatusError(0x8000044E, "not for you")
        self.uri = uri

    @qda.method(2)
    def negate(self, given: memoryview, result: memoryview) -> None:
        np.frombuffer(result, np.uint8)[:] = ~np.frombuffer(given, np.uint8)

    @qda.method(3)
    def fill_handle(self, target: qda.HandleArgument, value: memoryview) -> None:
        raise AssertionError("arguments come in wire order: buffers first")

    @qda.method(4)
    def fill(self, value: memoryview, target: qda.HandleArgument) -> None:
        target.view[:] = bytes(value) * len(target.view)

    @qda.method(5)
    def number(self, result: memoryview, given: qda.HandleArgument) -> None:
        result[:8] = given.value.to_bytes(8, "little")

    @qda.method(6)
    def of_fd(self, fd: memoryview, result: memoryview) -> None:
        name = int.from_bytes(fd, "little")
        result[:] = self.dsp.memory_of_fd(name)[: len(result)]

    @qda.method(40)
    def above_31(self, number: memoryview, result: memoryview) -> None:
        result[:4] = number[:4]

    @qda.method(23)
    def returns(self, digits: memoryview) -> int:
        return int(bytes(digits))

    @qda.method(24)
    def raises(self, digits: memoryview) -> None:
        raise qda.StatusError(int(bytes(digits)), "as you wish")

    @qda.method(7)
    def logs(self) -> None:
        self.dsp.log.warning("said on client %d", self.dsp.client_id)

    @qda.method(8)
    def count(self, *arguments: Any) -> int:
        return len(arguments)


@pytest.fixture
def held(session: qda.Session) -> Iterator[ExitStack]:
    """Closes what a test opens, before the session ends."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture(scope="module", params=DIALECTS)
def session(request: pytest.FixtureRequest) -> Iterator[qda.Session]:
    with qda.open("cdsp", device="virtual", dialect=request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def worker(session: qda.Session) -> Iterator[qda.RemoteModule]:
    with session.load(Worker) as module:
        yield module


def test_a_session_says_which_node_it_uses(session: qda.Session) -> None:
    """Nobody takes the virtual device for hardware, or the other way round."""
    assert session.node == "virtual cdsp"
    assert session.dialect in repr(session)


@pytest.mark.parametrize(
    "given",
    [b"abc", bytearray(b"abc"), memoryview(b"abc"), np.frombuffer(b"abc", np.uint8)],
    ids=lambda value: type(value).__name__,
)
def test_any_contiguous_memory_is_an_input(worker: qda.RemoteModule, given: Any) -> None:
    """Bytes, bytearray, memoryview, array: inline."""
    assert worker.invoke(2, [given], [3]) == [bytes(255 - value for value in b"abc")]


def test_arrays_of_the_session_travel_without_a_copy(
    session: qda.Session, worker: qda.RemoteModule
) -> None:
    """Input and output on shared pages; slices of them too."""
    given, result = session.empty((64, 100), np.uint8), session.empty(6400, np.uint8)
    given[:] = 7
    worker.invoke(2, [given], [result])
    assert (result == 248).all()
    worker.invoke(2, [given[10:20]], [result[5:1005]])


def test_a_plan_says_where_in_its_buffer_an_argument_lies(session: qda.Session) -> None:
    """So arrays and slices travel without a copy."""
    node = machine().open("cdsp", session.dialect)
    file = device_file(node, DIALECTS[session.dialect], "cdsp")
    file.create(b"", qda.ProcessAttribute.UNSIGNED)
    with file.allocate(6400) as first, file.allocate(6400) as second:
        given, result = first.numpy().reshape(64, 100), second.numpy()
        plan = make_plan(2, [given[10:20]], [result[5:1005]], (), (), file.find)
        assert [argument.offset for argument in plan.arguments] == [1000, 5]
        assert [argument.buffer for argument in plan.arguments] == [first, second]
    file.close()


@pytest.mark.parametrize("bad", [np.zeros((8, 8))[:, ::2], "text", object(), 3.5])
def test_what_is_not_contiguous_memory_is_refused_with_its_value(
    worker: qda.RemoteModule, bad: Any
) -> None:
    """A TypeError that quotes what was given; nothing is sent."""
    with pytest.raises(qda.UsageTypeError):
        worker.invoke(2, [bad], [3])


def test_an_output_must_be_writable(worker: qda.RemoteModule) -> None:
    """The DSP would write to an immutable object."""
    with pytest.raises(qda.UsageTypeError, match="cannot be written"):
        worker.invoke(2, [b"abc"], [b"xyz"])


def test_limits_of_a_call_are_named(worker: qda.RemoteModule) -> None:
    """255 buffers each way, 15 handles each way."""
    with pytest.raises(qda.UsageError, match="256"):
        worker.invoke(8, [b"a"] * 256)
    with pytest.raises(qda.DspError) as caught:
        worker.invoke(8, [b"a"] * 255, [1] * 255)
    assert caught.value.status == 510


def test_handle_arguments_select_a_part_of_a_buffer(
    session: qda.Session, worker: qda.RemoteModule, held: ExitStack
) -> None:
    """A buffer, an array in it, or a plain number that goes through as it is."""
    buffer = held.enter_context(session.alloc(4096))
    array = buffer.numpy()
    worker.invoke(4, [b"x"], out_handles=[buffer])
    assert (array == ord("x")).all()
    worker.invoke(4, [b"y"], out_handles=[array[100:200]])
    assert (array == ord("y")).sum() == 100
    number = worker.invoke(5, outs=[8], in_handles=[0x1122334455667788])[0]
    assert int.from_bytes(number, "little") == 0x1122334455667788
    with pytest.raises(qda.UsageTypeError, match="does not lie in a buffer"):
        worker.invoke(4, [b"x"], out_handles=[np.zeros(4)])


def test_methods_from_31_on_have_their_number_in_the_first_word(worker: qda.RemoteModule) -> None:
    """The scalars carry 31 then (1.5)."""
    number = (40).to_bytes(4, "little")
    assert worker.invoke(40, [number], [4]) == [number]


def test_a_buffer_is_memory_in_every_way(session: qda.Session) -> None:
    """Buffer protocol, indexing, NumPy, DLPack, a descriptor: all the same pages."""
    with session.alloc(8192) as buffer:
        buffer[:4] = b"abcd"
        assert bytes(memoryview(buffer)[:4]) == b"abcd"
        assert buffer.numpy("<u4")[0] == 0x64636261
        assert np.from_dlpack(buffer)[1] == ord("b")
        fd = buffer.export_fd()
        with mmap.mmap(fd, 4096) as pages:
            pages[0] = ord("A")
        os.close(fd)
        assert buffer[0] == ord("A")
        assert len(buffer) == 8192


def test_an_imported_descriptor_shares_pages_with_its_exporter(
    session: qda.Session, worker: qda.RemoteModule, held: ExitStack
) -> None:
    """A memfd that can no longer shrink; importing it twice gives two buffers of the same pages."""
    import fcntl

    fd = os.memfd_create("mine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, 4096)
    with pytest.raises(qda.DeviceError, match="EINVAL"):
        session.import_fd(fd)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    buffer = held.enter_context(session.import_fd(fd))
    with session.import_fd(fd) as again:
        assert again is not buffer
        again[:3] = b"abc"
    assert buffer[:3] == b"abc"
    worker.invoke(4, [b"z"], out_handles=[buffer])
    assert os.pread(fd, 3, 0) == b"zzz"
    os.close(fd)
    with pytest.raises(qda.DeviceError, match="EBADF"):
        session.import_fd(fd)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_mapping_is_found_by_address(
    session: qda.Session, worker: qda.RemoteModule, held: ExitStack, legacy: bool
) -> None:
    """Both kinds of MAP return an address that works; close ends it."""
    buffer = held.enter_context(session.alloc(70_000))
    if legacy and session.dialect.startswith("legacy"):
        with pytest.raises(qda.UsageError, match="leave out legacy"):
            session.map(buffer, legacy=True)
        return
    with session.map(buffer, legacy=legacy) as mapping:
        assert 0 < mapping.address < 1 << 32
    mapping.close()
    with pytest.raises(qda.UsageError):
        session.map(buffer, 70_001)
    with pytest.raises(qda.UsageError, match="legacy"):
        session.map(buffer, 8, legacy=True)
    with pytest.raises(qda.UsageTypeError):
        session.map(np.zeros(4))


def test_a_mapping_has_the_name_of_its_descriptor(
    session: qda.Session, worker: qda.RemoteModule, held: ExitStack
) -> None:
    """The DSP finds a MEM_MAP mapping by the fd of the request, whatever the dialect."""
    buffer = held.enter_context(session.alloc(4096))
    buffer[:3] = b"abc"
    with session.map(buffer):
        name = session.fd_of(buffer).to_bytes(4, "little")
        assert worker.invoke(6, [name], [3]) == [b"abc"]


def test_dropped_buffers_give_their_handles_back(session: qda.Session) -> None:
    """A thousand arrays that nobody keeps do not fill the handle table."""
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(1000):
        session.empty(4096, np.uint8)
    gc.collect()
    with session.alloc(4096) as buffer:
        assert buffer.handle < 50 or session.dialect.startswith(
            "legacy"
        )  # which has descriptors instead
    assert len(os.listdir("/proc/self/fd")) < before + 50


def test_an_array_outlives_its_session() -> None:
    """Pages go when the last array of them does."""
    with qda.open("cdsp", device="virtual") as session:
        array = session.empty(10_000, np.float32)
        array[:] = 3
    assert array.sum() == 30_000
    with pytest.raises(qda.DeviceError, match="EBADF"):
        session.alloc(4096)


def test_the_log_of_the_dsp_reaches_the_session(
    session: qda.Session, worker: qda.RemoteModule
) -> None:
    """What a skeleton logs can be read here (U5)."""
    session.read_log()
    worker.invoke(7)
    assert any("WARNING said on client" in line for line in session.read_log())


def test_a_skeleton_may_refuse_to_be_opened(session: qda.Session, worker: qda.RemoteModule) -> None:
    """What its open method raises is the error of `load`."""
    uri = "file:///libworker_skel.so?worker_skel_handle_invoke&_modver=1.0&_refuse=1"
    with pytest.raises(qda.DspError, match="not for you") as caught:
        session.load(uri)
    assert caught.value.status == 0x8000044E


@pytest.mark.parametrize("number", [1 << 32, -(1 << 40), 1 << 63, (1 << 32) + 5])
def test_a_result_of_more_than_a_word_is_a_failure(worker: qda.RemoteModule, number: int) -> None:
    """Its low word could be 0, or mean something else."""
    with pytest.raises(qda.DspError) as caught:
        worker.invoke(23, [str(number).encode()])
    assert caught.value.status == SKELETON_RAISED
    assert any(str(number) in line for line in caught.value.log)


def test_a_method_cannot_fail_with_success(worker: qda.RemoteModule) -> None:
    """Neither by 0 nor by a multiple of a word."""
    for number in (0, 1 << 32):
        with pytest.raises(qda.DspError) as caught:
            worker.invoke(24, [str(number).encode()])
        assert caught.value.status == SKELETON_RAISED
        assert any("is no failure" in line for line in caught.value.log)


@pytest.mark.parametrize("name", ["wor\0ker", "worker\0", "file:///libx.so?worker\0&x", "\ud800"])
def test_a_name_that_would_not_arrive_whole_is_refused(session: qda.Session, name: str) -> None:
    """The DSP reads up to the first NUL, and would open another module."""
    with pytest.raises(qda.UsageError, match=r"NUL|surrogates"):
        session.load(name)


def test_a_plain_skeleton_is_one_object_for_the_process(
    session: qda.Session, worker: qda.RemoteModule
) -> None:
    """Opened by a URI without version, or by plain name."""
    with session.load("worker") as one, session.load("worker") as two:
        assert one.handle != two.handle
        assert one.invoke(2, [b"a"], [1]) == two.invoke(2, [b"a"], [1])


@pytest.mark.parametrize("nonsense", [int, qda.Session, 5])
def test_only_skeletons_and_uris_can_be_loaded(session: qda.Session, nonsense: Any) -> None:
    """A TypeError that quotes what was given."""
    with pytest.raises(qda.UsageTypeError):
        session.load(nonsense)


def test_several_processes_of_one_dsp_do_not_see_each_other() -> None:
    """Each session has its own protection domain, memory and modules."""
    with (
        qda.open(device="virtual") as one,
        qda.open(device="virtual") as two,
        one.load(Worker),
        pytest.raises(qda.DspError, match="not found"),
    ):
        two.load("worker")


def test_attached_clients_share_the_root_protection_domain() -> None:
    """INIT_ATTACH needs no process of one's own (R9); handles stay with their client."""
    with (
        qda.open(device="virtual", process="root") as one,
        qda.open(device="virtual", process="root") as two,
    ):
        module = one.load(Worker)
        assert module.invoke(2, [b"\0"], [1]) == [b"\xff"]
        with two.load("worker") as other:
            assert other.invoke(2, [b"\0"], [1]) == [b"\xff"]
        with pytest.raises(qda.DspError):
            two.invoke(module.handle, 2, [b"\0"], [1])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"domain": "xdsp"}, "is no DSP"),
        ({"domain": "mdsp", "device": "virtual"}, "has adsp, cdsp"),
        ({"dialect": "v9"}, "there are rfc, v1, handle, legacy"),
        ({"profile": "none"}, "there are"),
        ({"process": "other"}, "there are user, root, sensors, audio"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(options: dict[str, Any], words: str) -> None:
    """A ValueError that lists the choices."""
    with pytest.raises(qda.UsageError, match=words):
        qda.open(**{"device": "virtual", **options})


def test_a_path_that_is_no_device_is_an_error_and_not_a_reason_to_go_virtual() -> None:
    """`device=` is obeyed."""
    with pytest.raises(qda.DeviceError, match="ENOENT"):
        qda.open(device="/dev/accel/accel99")
    with pytest.raises(qda.UsageError, match="no node of a DSP"):
        qda.open(device="/dev/null")


def run(program: str) -> str:
    """Run a program of its own; returns what it prints."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_importing_the_package_starts_nothing() -> None:
    """No process, no thread, no descriptor before the first open."""
    printed = run("""
        import os, threading
        before = len(os.listdir("/proc/self/fd"))
        import qda
        assert threading.active_count() == 1
        assert len(os.listdir("/proc/self/fd")) == before
        print(open("/proc/self/task/%d/children" % os.getpid()).read().split())
    """)
    assert printed.split() == ["[]"]


def test_a_forked_child_does_not_own_the_parents_device() -> None:
    """The child gets ENODEV and can open its own; the parent's session goes on."""
    printed = run("""
        import os, qda

        class Skeleton(qda.Skeleton):
            @qda.method(2)
            def pid(self, result):
                result[:] = os.getpid().to_bytes(4, "little")

        session = qda.open("cdsp", device="virtual")
        module = session.load(Skeleton)
        first = module.invoke(2, outs=[4])
        child = os.fork()
        if not child:
            try:
                module.invoke(2, outs=[4])
            except qda.DeviceError as error:
                assert error.symbol == "ENODEV", error
            session.close()
            with qda.open("cdsp", device="virtual") as own, own.load(Skeleton) as other:
                assert other.invoke(2, outs=[4]) != first
            from qda.virtual import machine
            machine().close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert module.invoke(2, outs=[4]) == first
        print("both")
    """)
    assert printed == "both\n"


def test_a_forked_child_keeps_of_a_session_what_the_program_has_mapped() -> None:
    """Its buffers, which are memory of the program, and nothing of the driver's."""
    printed = run("""
        import os, qda

        class Skeleton(qda.Skeleton):
            @qda.method(2)
            def length(self, data, result):
                result[:] = len(data).to_bytes(4, "little")

        def memory():
            found = [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                     if os.path.lexists(f"/proc/self/fd/{n}")]
            mapped = [line for line in open("/proc/self/maps") if "memfd:qda" in line]
            return sum("memfd:qda" in name for name in found), len(mapped)

        session = qda.open("cdsp", device="virtual")
        module = session.load(Skeleton)
        module.invoke(2, [bytes(1 << 20)], [4])  # which has message memory of its own
        buffer = session.alloc(1 << 20)
        buffer[:4] = b"here"
        child = os.fork()
        if not child:
            assert memory() == (1, 1), memory()
            assert bytes(buffer[:4]) == b"here"
            buffer.close()
            session.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert module.invoke(2, [buffer], [4]) == [(1 << 20).to_bytes(4, "little")]
        print("kept")
    """)
    assert printed == "kept\n"


def test_a_limit_of_addresses_is_named_where_it_is_too_low() -> None:
    """RLIMIT_AS is the processor's, too: it could only end, and nobody knew why."""
    printed = run("""
        import os, resource, qda
        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        try:
            qda.open("cdsp", device="virtual")
        except qda.DeviceError as error:
            print(error.symbol, str(error).splitlines()[0])
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        qda.open("cdsp", device="virtual").close()
    """)
    assert printed.startswith("ENOMEM ")
    assert "RLIMIT_AS allows 1024 MiB of addresses" in printed and "ulimit -v" in printed


def test_calls_say_which_thread_makes_them() -> None:
    """Each thread has its own number, and the one that goes on in a child has another one."""
    printed = run("""
        import os, threading, qda

        class Skeleton(qda.Skeleton):
            @qda.method(2)
            def thread(self, result):
                result[:] = self.dsp.served.thread.to_bytes(4, "little")

        def call():
            with qda.open("cdsp", device="virtual") as session, session.load(Skeleton) as module:
                for _ in range(2):
                    found = int.from_bytes(module.invoke(2, outs=[4])[0], "little")
                    assert found == threading.get_native_id(), found

        call()
        other = threading.Thread(target=call)
        other.start()
        other.join()
        child = os.fork()
        if not child:
            call()
            from qda.virtual import machine
            machine().close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print("each")
    """)
    assert printed == "each\n"


@pytest.mark.parametrize(
    "end", ["os._exit(0)", "os.kill(os.getpid(), 9)", "raise KeyboardInterrupt"]
)
def test_a_program_that_ends_in_any_way_leaves_no_process(end: str) -> None:
    """The processor dies with its owner, and takes the protection domains along."""
    program = f"""
        import os, sys, qda
        session = qda.open("cdsp", device="virtual")
        from qda.virtual import machine
        print(*machine().pids, flush=True)
        {end}
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    pid = int(result.stdout)
    watch = _pidfd(pid)
    if watch is not None:
        import select

        assert select.select([watch], [], [], 30)[0], "the processor outlives its owner"
        os.close(watch)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


FAR = """
import qda

def helper():
    return b"by value"

class Far(qda.Skeleton):
    @qda.method(2)
    def say(self, out):
        out[:] = helper()
"""


def test_a_class_that_the_dsp_cannot_import_is_sent_by_value(tmp_path: Any) -> None:
    """Skeletons of __main__, of a REPL, of a module off the path, and what is derived from them."""
    printed = run(f"""
        import importlib.util, pathlib, sys, qda
        path = pathlib.Path({str(tmp_path)!r}) / "elsewhere.py"
        path.write_text({FAR!r})
        spec = importlib.util.spec_from_file_location("elsewhere", path)
        module = importlib.util.module_from_spec(spec)
        sys.modules["elsewhere"] = module
        spec.loader.exec_module(module)

        class Farther(module.Far):
            pass

        for skeleton in module.Far, Farther:
            with qda.open("cdsp", device="virtual") as session, session.load(skeleton) as far:
                print(far.invoke(2, outs=[8])[0].decode())
        import cloudpickle
        assert not cloudpickle.list_registry_pickle_by_value()
    """)
    assert printed == "by value\n" * 2


def test_threads_of_a_program_may_open_and_close_at_once() -> None:
    """Sessions come and go independently."""
    wrong: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(5):
                with qda.open(device="virtual") as session, session.load(Worker) as module:
                    assert module.invoke(2, [b"\0"], [1]) == [b"\xff"]
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_class_that_cannot_be_sent_is_refused_with_the_reason(session: qda.Session) -> None:
    """A TypeError that says what stands in the way."""
    lock = threading.Lock()

    class Locked(qda.Skeleton):
        """Refers to something of this process."""

        @qda.method(2)
        def use(self) -> None:
            lock.acquire()

    with pytest.raises(qda.UsageTypeError, match="cannot be sent"):
        session.load(Locked)


def test_a_refusal_of_the_dsp_says_why(session: qda.Session, worker: qda.RemoteModule) -> None:
    """The log line that belongs to a status is part of the error (U3)."""
    with pytest.raises(qda.DspError, match="has no method 29"):
        worker.invoke(29)


@pytest.mark.parametrize(
    ("handle", "method", "outs"),
    [
        (-1, 2, []),
        (1 << 32, 2, []),
        (2.5, 2, []),
        ("5", 2, []),
        (8, -1, []),
        (8, 2.5, []),
        (8, "2", []),
        (8, 2, [-1]),
        (8, 2, [1 << 80]),
        (8, 2, 5),
    ],
)
def test_a_call_of_nonsense_is_refused_before_it_is_sent(
    session: qda.Session, handle: Any, method: Any, outs: list[Any]
) -> None:
    """A ValueError or TypeError of ours, which quotes what was given."""
    with pytest.raises((qda.UsageError, qda.UsageTypeError)):
        session.invoke(handle, method, outs=outs)
    with pytest.raises((qda.UsageError, qda.UsageTypeError)):
        session.invoke(handle, method, outs=outs, timeout=10)


def test_memory_that_is_there_no_more_is_no_argument(session: qda.Session) -> None:
    """A closed buffer and a released view; as a number of bytes there is neither."""
    buffer, view = session.alloc(4096), memoryview(session.alloc(8))
    buffer.close()
    view.release()
    for memory in (buffer, view):
        for ins, outs, handles in (([memory], [], []), ([], [memory], []), ([], [], [memory])):
            with pytest.raises(qda.UsageError, match="is not memory any more"):
                session.invoke(8, 2, ins, outs, handles)
    with pytest.raises(qda.UsageError, match="is closed"):
        buffer.numpy()
    with pytest.raises(qda.UsageTypeError):
        session.invoke(8, 2, 5)  # type: ignore[arg-type]
