"""Modules: opening and closing them, the fixed ones, and the results that come back from them."""

from __future__ import annotations

import os
import struct
from errno import EINVAL, EPERM

import pytest

from qda.conformance.interface import OpenNode, Target, command, inline, invoke
from qda.conformance.memory import Memory
from qda.conformance.skeletons import Probe
from qda.errors import (
    BAD_ADDRESS,
    BAD_HANDLE,
    BAD_STATE,
    PROCESS_DIED,
    SKELETON_RAISED,
    UNSUPPORTED,
    as_signed,
    is_errno,
)
from qda.fastrpc.loader import LOADER_URI
from qda.fastrpc.remotectl import (
    REMOTECTL,
    REMOTECTL1,
    CloseAnswer,
    CloseRequest,
    Manager,
    OpenAnswer,
    OpenRequest,
)

UTILITIES, CURRENT_PROCESS = 2, 4
MISSING = "file:///libconformance_no_such_skel.so?no_such_skel_handle_invoke&_modver=1.0&_dom=cdsp"
managers = pytest.mark.parametrize("manager", [REMOTECTL1, REMOTECTL], ids=["at-8", "at-0"])


def open_module(
    node: OpenNode, manager: Manager, uri: str, room: int = 255
) -> tuple[int, OpenAnswer, bytes]:
    """Open a module; the result of the call, the answer, and the error text in full."""
    name = Memory(uri.encode() + b"\0")
    request = Memory(OpenRequest(name_length=len(name), text_capacity=room).pack())
    answer, words = Memory(OpenAnswer.byte_size), Memory(room)
    result = invoke(
        node,
        manager.handle,
        manager.open.method,
        [inline(request), inline(name)],
        [inline(answer), inline(words)],
    )
    return result, OpenAnswer.unpack(answer.content), words.content


def opened_module(node: OpenNode, manager: Manager, uri: str) -> int:
    """The handle of a module that opens."""
    result, answer, words = open_module(node, manager, uri)
    assert (result, answer.error) == (0, 0), words
    return answer.handle


def close_module(node: OpenNode, manager: Manager, handle: int) -> tuple[int, int]:
    """Close a module; the result of the call, and the error in the answer."""
    request = Memory(CloseRequest(handle=handle, text_capacity=64).pack())
    answer, words = Memory(CloseAnswer.byte_size), Memory(64)
    arguments = [inline(request)], [inline(answer), inline(words)]
    result = invoke(node, manager.handle, manager.close.method, *arguments)
    return result, CloseAnswer.unpack(answer.content).error


def loader_uri(node: OpenNode) -> str:
    """The URI of the loader module, if the DSP has one."""
    if not node.target.virtual and open_module(node, REMOTECTL, LOADER_URI)[1].error:
        pytest.skip("the DSP has no loader module, the only one that these tests know by name")
    return LOADER_URI


# Opening and closing.


@managers
@pytest.mark.parametrize("uri", [MISSING, "conformance_no_such"])
def test_open_of_a_missing_module_fails_in_the_answer(
    session_node: OpenNode, manager: Manager, uri: str
) -> None:
    """Spec 6.4: the call works; nErr says that loading failed, and the text why."""
    result, answer, words = open_module(session_node, manager, uri)
    assert result == 0
    assert answer.error != 0
    assert words.rstrip(b"\0") and words.endswith(b"\0")


def test_error_of_an_open_at_handle_0_is_a_small_number(session_node: OpenNode) -> None:
    """Spec 6.4: clients there use it as an index without looking; -5 or a plain AEE code."""
    error = open_module(session_node, REMOTECTL, MISSING)[1].error
    assert error == -5 or 0 < error < 0x200


@managers
@pytest.mark.parametrize("room", [0, 1, 2, 10])
def test_error_text_is_cut_to_the_room_that_there_is(
    session_node: OpenNode, manager: Manager, room: int
) -> None:
    """Spec 6.4: with its end mark, if there is room for one."""
    result, answer, words = open_module(session_node, manager, MISSING, room)
    assert result == 0 and answer.error != 0
    assert len(words) == room and words[-1:] in (b"", b"\0")


@managers
def test_module_is_opened_called_and_closed(session_node: OpenNode, manager: Manager) -> None:
    """Spec 1.3, 6.4: handles are above 0x200; a closed one means nothing any more."""
    handle = opened_module(session_node, manager, loader_uri(session_node))
    assert 0x200 < handle < 0xFFFFFFFF
    assert invoke(session_node, handle, Probe.ABSENT) == as_signed(UNSUPPORTED)
    assert close_module(session_node, manager, handle) == (0, 0)
    assert invoke(session_node, handle, Probe.ABSENT) == as_signed(BAD_HANDLE)


@managers
def test_module_opened_twice_has_two_handles(session_node: OpenNode, manager: Manager) -> None:
    """Spec 1.6: each open of a handle64 module is one of its own."""
    uri = loader_uri(session_node)
    first, second = (opened_module(session_node, manager, uri) for _ in range(2))
    assert first != second
    assert close_module(session_node, manager, first) == (0, 0)
    assert invoke(session_node, second, Probe.ABSENT) == as_signed(UNSUPPORTED)


def test_both_managers_are_one(session_node: OpenNode) -> None:
    """Spec 1.3: what handle 8 has opened, handle 0 closes."""
    handle = opened_module(session_node, REMOTECTL1, loader_uri(session_node))
    assert close_module(session_node, REMOTECTL, handle) == (0, 0)


@managers
@pytest.mark.parametrize("handle", [0, 8, 0x7FFFFFF0, 0xFFFFFFFF], ids=hex)
def test_close_of_what_is_not_open_fails_in_the_answer(
    session_node: OpenNode, manager: Manager, handle: int
) -> None:
    """Spec 6.4: two error channels."""
    result, error = close_module(session_node, manager, handle)
    assert result == 0 and error != 0


@managers
def test_close_twice_fails_in_the_answer(session_node: OpenNode, manager: Manager) -> None:
    """Spec 6.4."""
    handle = opened_module(session_node, manager, loader_uri(session_node))
    assert close_module(session_node, manager, handle) == (0, 0)
    result, error = close_module(session_node, manager, handle)
    assert result == 0 and error != 0


def test_module_handle_of_another_session_means_nothing(
    session_node: OpenNode, second_session: OpenNode
) -> None:
    """Spec 1.3: a handle is chosen by the process that serves it."""
    handles = [opened_module(session_node, REMOTECTL, loader_uri(session_node)) for _ in range(5)]
    assert invoke(second_session, handles[-1], Probe.ABSENT) == as_signed(BAD_HANDLE)
    result, error = close_module(second_session, REMOTECTL, handles[-1])
    assert result == 0 and error != 0


def test_module_handle_of_another_attached_file_means_nothing(
    node: OpenNode, second_node: OpenNode
) -> None:
    """Spec 1.3, 3.4: also where both files are served by the root protection domain."""
    node.target.require_dialect("rfc", "legacy", why="there is no ATTACH (spec 4.2)")
    for opened in (node, second_node):
        assert opened.node.ioctl(command(opened, "INIT_ATTACH").code, bytearray()) == 0
    handle = opened_module(node, REMOTECTL, loader_uri(node))
    assert invoke(second_node, handle, Probe.ABSENT) == as_signed(BAD_HANDLE)
    result, error = close_module(second_node, REMOTECTL, handle)
    assert result == 0 and error != 0
    assert invoke(node, handle, Probe.ABSENT) == as_signed(UNSUPPORTED)


def test_plain_module_is_opened_by_its_name(session_node: OpenNode, probe: int) -> None:
    """Spec 1.7: a URI without version is the plain kind."""
    uri = f"file:///lib{Probe.name}_skel.so?{Probe.name}_skel_invoke"
    handle = opened_module(session_node, REMOTECTL, uri)
    source, target = Memory(b"data"), Memory(4)
    assert invoke(session_node, handle, Probe.ECHO, [inline(source)], [inline(target)]) == 0
    assert target.content == b"data"


@managers
@pytest.mark.parametrize("length", [0, 3, 1000, 0xFFFFFFFF])
def test_open_with_a_wrong_name_length_is_refused(
    session_node: OpenNode, manager: Manager, length: int
) -> None:
    """R3: the DSP does not trust lengths in a request."""
    request = Memory(OpenRequest(name_length=length, text_capacity=255).pack())
    name, answer, words = Memory(b"name\0"), Memory(OpenAnswer.byte_size), Memory(255)
    arguments = [inline(request), inline(name)], [inline(answer), inline(words)]
    result = invoke(session_node, manager.handle, manager.open.method, *arguments)
    assert result != 0 or OpenAnswer.unpack(answer.content).error != 0


@managers
def test_open_with_short_buffers_is_refused(session_node: OpenNode, manager: Manager) -> None:
    """Spec 1.4: a request must be as long as its record."""
    short, name, answer, words = Memory(4), Memory(b"name\0"), Memory(8), Memory(16)
    arguments = [inline(short), inline(name)], [inline(answer), inline(words)]
    result = invoke(session_node, manager.handle, manager.open.method, *arguments)
    assert result != 0 and not is_errno(result)
    arguments = [inline(name)], [inline(answer)]
    result = invoke(session_node, manager.handle, manager.open.method, *arguments)
    assert result != 0 and not is_errno(result)


# The fixed modules.


@pytest.mark.parametrize("count", [1, 6, 255])
def test_capabilities(session_node: OpenNode, count: int) -> None:
    """Spec 3.5: word k is attribute k + 1; a DSP without capabilities says 0x80000414."""
    length, values = Memory(struct.pack("<I", count * 4)), Memory(b"\xa5" * (count * 4))
    result = invoke(session_node, UTILITIES, 0, [inline(length)], [inline(values)])
    assert result in (0, as_signed(UNSUPPORTED))
    if result == 0:
        words = struct.unpack(f"<{count}I", values.content)
        assert words[0] in (0, 1)
        assert count < 255 or words[5] != 0  # the version of the architecture


@pytest.mark.parametrize("handle", [UTILITIES, CURRENT_PROCESS, 0, 8])
def test_unknown_method_is_the_dsps_refusal(session_node: OpenNode, handle: int) -> None:
    """design.md, Errors: status 0x80000414."""
    assert invoke(session_node, handle, 29) == as_signed(UNSUPPORTED)


def test_threads_may_say_that_they_end(session_node: OpenNode) -> None:
    """Spec 6.5, 10: thread_exit works, and its result after exit does not matter."""
    assert invoke(session_node, CURRENT_PROCESS, 3) == 0
    assert invoke(session_node, CURRENT_PROCESS, 2) == 0
    assert not is_errno(invoke(session_node, CURRENT_PROCESS, 3))


def test_opened_modules_end_with_exit(session_node: OpenNode, probe: int) -> None:
    """Spec 6.6: later calls give 0x8000040D, and exit can be called once more."""
    assert invoke(session_node, CURRENT_PROCESS, 2) == 0
    assert invoke(session_node, probe, Probe.MARK) == as_signed(BAD_STATE)
    assert invoke(session_node, CURRENT_PROCESS, 2) == 0


# Results.


def result_of(node: OpenNode, probe: int, status: int) -> int:
    """What the node makes of a status that a skeleton returns."""
    word = Memory(struct.pack("<i", status))
    return invoke(node, probe, Probe.STATUS, [inline(word)])


@pytest.mark.parametrize(
    "status", [1, 14, 39, 4095, 0x7FFFFFFF, -4096, -4097, as_signed(BAD_STATE), -(1 << 31)]
)
def test_status_outside_the_range_of_errnos_is_a_number(
    session_node: OpenNode, probe: int, status: int
) -> None:
    """Spec 8.3, H17."""
    word = Memory(struct.pack("<i", status))
    scalars, elements = 0x03010000, Memory(inline(word, fd=0).pack())
    request = bytearray(struct.pack("<IIQ", probe, scalars, elements.address))
    assert session_node.node.ioctl(command(session_node, "INVOKE").code, request) == status


@pytest.mark.parametrize("status", [-1, -22, -512, -4095])
def test_status_in_the_range_of_errnos_is_an_oserror(
    session_node: OpenNode, probe: int, status: int
) -> None:
    """Spec 8.3: so that "unknown", -1, shows as EPERM."""
    word = Memory(struct.pack("<i", status))
    scalars, elements = 0x03010000, Memory(inline(word, fd=0).pack())
    request = bytearray(struct.pack("<IIQ", probe, scalars, elements.address))
    with pytest.raises(OSError) as raised:
        session_node.node.ioctl(command(session_node, "INVOKE").code, request)
    assert raised.value.errno == -status


def test_outputs_come_back_whatever_the_status_is(session_node: OpenNode, probe: int) -> None:
    """Spec 2.5: the copy happens before the result is looked at."""
    for status in (5, as_signed(BAD_STATE), -EINVAL, -EPERM):
        word, target = Memory(struct.pack("<i", status)), Memory(4)
        result = invoke(session_node, probe, Probe.STATUS, [inline(word)], [inline(target)])
        assert (result, target.content) == (status, b"ssss")


def test_skeleton_that_raises_ends_its_call_only(session_node: OpenNode, probe: int) -> None:
    """design.md, Errors: status 0x80000401."""
    assert invoke(session_node, probe, Probe.RAISE) == as_signed(SKELETON_RAISED)
    assert invoke(session_node, probe, Probe.MARK) == 0


def test_access_outside_any_mapping_ends_its_call_only(session_node: OpenNode, probe: int) -> None:
    """design.md, Errors: status 0x80000483."""
    assert invoke(session_node, probe, Probe.ADDRESS_FAULT) == as_signed(BAD_ADDRESS)
    assert invoke(session_node, probe, Probe.MARK) == 0


def test_skeleton_that_kills_its_process_harms_nobody_else(
    session_node: OpenNode, probe: int, second_session: OpenNode, second_probe: int, target: Target
) -> None:
    """design.md, Errors: status 39 for the call, 0x8000040D for later ones; others go on."""
    target.require_virtual("a skeleton for it would have to be a native one")
    died = Memory(b"\xa5" * 4)
    assert invoke(session_node, probe, Probe.DIE) == PROCESS_DIED
    for _ in range(2):
        result = invoke(session_node, probe, Probe.COUNT, outs=[inline(died)])
        assert result == as_signed(BAD_STATE)
    assert died.content == b"\xa5" * 4
    assert invoke(second_session, second_probe, Probe.MARK) == 0
    session_node.close()
    with target.session() as fresh:
        space = Memory(4)
        assert invoke(fresh, CURRENT_PROCESS, 5, outs=[inline(space)]) == 0
        assert space.word != os.getpid()
