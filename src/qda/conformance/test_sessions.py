"""Sessions: ATTACH, CREATE with and without a shell image, and the end of a session."""

from __future__ import annotations

from errno import EBUSY, ECONNREFUSED, EFAULT, EINVAL

import pytest

from qda.conformance.interface import (
    NOBODY,
    PAGE,
    OpenNode,
    Target,
    allocate,
    call,
    close_handle,
    inline,
    invoke,
    issue,
    map_object,
    name_of,
)
from qda.conformance.memory import KERNEL_ADDRESSES, NOWHERE, Memory, address_of
from qda.errors import BAD_STATE, as_signed

CURRENT_PROCESS, EXIT, ADDRESS_SPACE = 4, 2, 5
UNSIGNED = 8
IMAGE = b"\x7fELF" + bytes(range(256)) * 20


def address_space(node: OpenNode) -> int:
    """The number of the address space that the session's calls run in (spec 6.7)."""
    number = Memory(4)
    assert invoke(node, CURRENT_PROCESS, ADDRESS_SPACE, outs=[inline(number)]) == 0
    return number.word


def create(node: OpenNode, **values: int) -> int:
    """CREATE; its result.  Skips where the rule is that it must be unsigned (spec 5.1), and it is
    not: most tests here have no attributes."""
    result = call(node, "CREATE", **values)[0]
    if node.legacy and result == -ECONNREFUSED and not values.get("attrs", 0) & UNSIGNED:
        pytest.skip("this node is for unsigned processes: its other one, -secure, takes both")
    return result


def inline_names(node: OpenNode) -> list[int]:
    """The filefd values that mean an image in ordinary memory."""
    return [0, -1] if node.dialect.name == "v1" else [0]


def limit_of(node: OpenNode) -> int:
    """The length of the longest shell."""
    return node.dialect.image_limit


# ATTACH.


def test_attach_joins_the_root_protection_domain(node: OpenNode, target: Target) -> None:
    """Spec 3.4: attached files share a process; V1 has no ATTACH."""
    target.require_dialect("rfc", "legacy", why="there is no ATTACH (spec 4.2)")
    assert call(node, "INIT_ATTACH")[0] == 0
    with target.open() as other:
        assert call(other, "INIT_ATTACH")[0] == 0
        assert address_space(node) == address_space(other)


def test_attach_is_einval_where_it_is_a_hole(node: OpenNode) -> None:
    """Spec 4.5, trap 3."""
    node.target.require_dialect("v1", "handle", why="it has ATTACH")
    assert issue(node, 0x6443, bytearray()) == -EINVAL


def test_attach_to_a_file_with_a_session_is_ebusy(session_node: OpenNode) -> None:
    """H22: a file has one session."""
    session_node.target.require_dialect("rfc", "legacy", why="there is no ATTACH (spec 4.2)")
    assert call(session_node, "INIT_ATTACH")[0] == -EBUSY
    assert address_space(session_node)


def test_create_after_attach_is_ebusy(node: OpenNode) -> None:
    """H22: a file has one session."""
    node.target.require_dialect("rfc", "legacy", why="there is no ATTACH (spec 4.2)")
    assert call(node, "INIT_ATTACH")[0] == 0
    assert create(node, filefd=-1) == -EBUSY
    assert call(node, "INIT_ATTACH")[0] == -EBUSY


# CREATE without an image.


@pytest.mark.parametrize("filefd", [-1, 0])
def test_create_without_a_shell(node: OpenNode, filefd: int) -> None:
    """Spec 6.3: no image is no error, and nothing is looked at for it."""
    assert create(node, filefd=filefd, file=NOWHERE) == 0
    assert address_space(node)


@pytest.mark.parametrize("attributes", [0, 0x8, 0x6C, 0x8000_0000], ids=hex)
def test_create_with_attributes(node: OpenNode, attributes: int) -> None:
    """Spec 3.1, 3.3: without attributes CREATE is sent, otherwise CREATE_ATTR, with all bits."""
    assert create(node, filefd=-1, attrs=attributes) == 0
    assert address_space(node)


def test_each_file_has_a_process_of_its_own(
    session_node: OpenNode, second_session: OpenNode
) -> None:
    """Spec 3.4."""
    assert address_space(session_node) != address_space(second_session)


def test_create_twice_is_ebusy(session_node: OpenNode) -> None:
    """H22: the first session stays what it was."""
    before = address_space(session_node)
    assert create(session_node, filefd=-1) == -EBUSY
    assert create(session_node, filefd=-1, attrs=8) == -EBUSY
    assert address_space(session_node) == before


@pytest.mark.usefixtures("hostile")
def test_create_that_failed_can_be_tried_again(node: OpenNode) -> None:
    """H22, R10: a failure leaves nothing behind."""
    for _ in range(20):
        assert create(node, filelen=PAGE, filefd=0, file=NOWHERE) == -EFAULT
    assert create(node, filefd=-1) == 0
    assert address_space(node)


# CREATE with an image in ordinary memory.


@pytest.mark.usefixtures("hostile")
def test_create_with_a_shell_in_memory(target: Target) -> None:
    """Spec 4.5: filefd 0, and in V1 -1, mean that the image is copied from file."""
    image = Memory(IMAGE)
    for number in (0, -1) if target.dialect.name == "v1" else (0,):
        with target.open() as node:
            assert create(node, filelen=len(image), filefd=number, file=image.address) == 0
            assert address_space(node)


def test_create_with_a_length_and_filefd_minus_1_is_einval(node: OpenNode) -> None:
    """Spec 4.5: in V1 alone -1 means memory; elsewhere it is looked up."""
    node.target.require_dialect("rfc", "legacy", why="-1 means an image in ordinary memory")
    image = Memory(IMAGE)
    assert create(node, filelen=len(image), filefd=-1, file=image.address) == -EINVAL


@pytest.mark.usefixtures("hostile")
def test_create_with_a_signature(node: OpenNode) -> None:
    """Spec 3.1: siglen counts bytes at the end of the image."""
    image = Memory(IMAGE)
    values = {"filelen": len(image), "siglen": 256, "attrs": 8, "file": image.address}
    assert create(node, filefd=0, **values) == 0


@pytest.mark.usefixtures("hostile")
def test_create_with_the_longest_shell(node: OpenNode) -> None:
    """Spec 3.2: 4 MiB, and 2 for the older driver."""
    image = Memory(limit_of(node))
    assert create(node, filelen=len(image), filefd=0, file=image.address) == 0


@pytest.mark.parametrize("excess", [1, 0x7F000000, 0xFF000000], ids=hex)
@pytest.mark.parametrize("filefd", [0, -1, 1])
def test_create_with_a_longer_shell_is_einval(node: OpenNode, excess: int, filefd: int) -> None:
    """Spec 4.5: above the limit, wherever it lies."""
    length = limit_of(node) + excess
    assert create(node, filelen=length, filefd=filefd, file=NOWHERE) == -EINVAL


@pytest.mark.usefixtures("hostile")
def test_create_with_a_shell_at_a_bad_address_is_efault(node: OpenNode) -> None:
    """H21, R3: 0, no mapping, the kernel's half."""
    for address in (0, NOWHERE, *KERNEL_ADDRESSES):
        for filefd in inline_names(node):
            result = create(node, filelen=PAGE, filefd=filefd, file=address)
            assert result == -EFAULT, hex(address)


@pytest.mark.usefixtures("hostile")
def test_create_with_a_shell_that_wraps_is_einval(node: OpenNode) -> None:
    """H05, uapi CREATE: file + filelen goes around."""
    for filefd in inline_names(node):
        assert create(node, filelen=PAGE, filefd=filefd, file=(1 << 64) - 8) == -EINVAL


@pytest.mark.parametrize("filefd", [-2, -(1 << 31)])
def test_create_with_filefd_below_minus_1_is_einval(node: OpenNode, filefd: int) -> None:
    """H07, uapi CREATE."""
    image = Memory(IMAGE)
    assert create(node, filelen=len(image), filefd=filefd, file=image.address) == -EINVAL


# CREATE with an image in a buffer object.


def test_create_with_a_shell_in_an_object(node: OpenNode) -> None:
    """H20: file names the place in a mapping; the object is not needed afterwards."""
    handle = allocate(node, 3 * PAGE)
    with map_object(node, handle, 3 * PAGE) as mapped:
        mapped[PAGE : PAGE + len(IMAGE)] = IMAGE
        file = address_of(mapped) + PAGE
        filefd = name_of(node, handle)
        assert create(node, filelen=len(IMAGE), filefd=filefd, file=file) == 0
    close_handle(node, handle)
    assert address_space(node)


def test_create_with_a_shell_in_an_object_and_pointer_0(node: OpenNode) -> None:
    """H20: pointer 0 means the object's first byte."""
    filefd = name_of(node, allocate(node, 2 * PAGE))
    assert create(node, filelen=2 * PAGE, filefd=filefd) == 0


@pytest.mark.usefixtures("hostile")
def test_create_with_a_shell_longer_than_its_object_is_einval(node: OpenNode) -> None:
    """H20: also counted from file on."""
    handle = allocate(node, 2 * PAGE)
    filefd = name_of(node, handle)
    assert create(node, filelen=2 * PAGE + 1, filefd=filefd) == -EINVAL
    with map_object(node, handle, 2 * PAGE) as mapped:
        file = address_of(mapped)
        assert create(node, filelen=2 * PAGE + 1, filefd=filefd, file=file) == -EINVAL
        assert create(node, filelen=2 * PAGE, filefd=filefd, file=file + 1) == -EINVAL


@pytest.mark.usefixtures("hostile")
def test_create_with_an_object_and_a_pointer_elsewhere_is_refused(node: OpenNode) -> None:
    """H09, H10, H21: EFAULT in no mapping, EINVAL in a mapping of something else."""
    filefd = name_of(node, allocate(node))
    elsewhere = Memory(PAGE)
    for address in (NOWHERE, *KERNEL_ADDRESSES):
        assert create(node, filelen=64, filefd=filefd, file=address) == -EFAULT, hex(address)
    assert create(node, filelen=64, filefd=filefd, file=elsewhere.address) == -EINVAL
    with map_object(node, allocate(node)) as other:
        assert create(node, filelen=64, filefd=filefd, file=address_of(other)) == -EINVAL


def test_create_with_an_unknown_object_is_einval(node: OpenNode) -> None:
    """Spec 4.5: a failed look-up of filefd is EINVAL, not ENOENT or EBADF."""
    assert create(node, filelen=64, filefd=NOBODY) == -EINVAL


def test_create_without_length_does_not_look_filefd_up(node: OpenNode) -> None:
    """Spec 4.5: filefd counts only if filelen is not 0."""
    assert create(node, filefd=NOBODY) == 0


# The end.


def test_closing_a_file_leaves_other_sessions_alone(session_node: OpenNode, target: Target) -> None:
    """Spec 3.4: RELEASE destroys what belongs to its own client."""
    with target.session() as other:
        assert address_space(other)
    assert address_space(session_node)


def test_sessions_can_be_made_again_and_again(target: Target) -> None:
    """R11: closing a file gives everything back."""
    for _ in range(40):
        with target.session():
            pass


def test_calls_after_exit_are_a_bad_state(session_node: OpenNode) -> None:
    """Spec 6.6: from exit on the session's calls end with 0x8000040D, and closing works."""
    assert invoke(session_node, CURRENT_PROCESS, EXIT) == 0
    for handle in (0, 8, 2):
        assert invoke(session_node, handle, 0) == as_signed(BAD_STATE)


def test_closing_without_a_session(target: Target) -> None:
    """Spec 3.4: RELEASE goes out on every close, and is answered at once."""
    for _ in range(20):
        with target.open() as node:
            if not node.legacy:
                call(node, "QUERY")
