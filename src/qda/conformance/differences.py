"""Where our driver keeps a rule that a kernel's driver does not, by choice, and why."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DIFFERENCES", "Difference", "difference"]


class Difference(NamedTuple):
    """Rules, tests by their names, that a kernel's driver does not keep: what it does instead, why
    ours keeps them, with which drivers that was seen, and whether ours answers as it with the
    switches of `qda.uapi.semantics.AS_KERNEL`."""

    rules: tuple[str, ...]
    kernel: str
    why: str
    dialects: tuple[str, ...] = ("legacy",)
    drivers: str = "6.12, 7.2"
    switched: bool = False

    @property
    def row(self) -> str:
        """A row of the table in docs/kernel.md."""
        rules = ", ".join(f"`{rule}`" for rule in self.rules)
        switched = "yes" if self.switched else ""
        return f"| {rules} | {self.kernel} | {self.why} | {self.drivers} | {switched} |"


_OLDER = (
    Difference(
        (
            "closing_a_file_leaves_other_sessions_alone",
            "each_file_has_a_process_of_its_own",
            "mapping_of_one_session_is_none_of_anothers",
            "memory_of_one_file_is_as_good_in_another",
            "module_handle_of_another_attached_file_means_nothing",
            "module_handle_of_another_session_means_nothing",
            "new_memory_of_another_file_is_not_mine",
            "skeleton_that_kills_its_process_harms_nobody_else",
        ),
        "a session is named by its process: a second one of the process is refused by the DSP, "
        "and any file that is closed ends it",
        "H27: what is a file's own belongs to the file",
        drivers="6.12",
    ),
    Difference(
        (
            "attach_to_a_file_with_a_session_is_ebusy",
            "create_after_attach_is_ebusy",
            "create_twice_is_ebusy",
            "sensors_share_a_process",
        ),
        "a second session of a file is asked for, and the DSP judges",
        "H22: a file has one session",
    ),
    Difference(
        (
            "allocation_of_a_size_that_makes_no_sense_is_einval",
            "new_memory_of_a_size_that_cannot_be",
        ),
        "ENOMEM",
        "H25: memory that nobody could have is an argument that is wrong",
        switched=True,
    ),
    Difference(
        ("allocation_need_not_be_whole_pages",),
        "a buffer has as many bytes as were asked for, and its last page cannot be mapped unless "
        "it is whole",
        "clients.md 6: the C library does not round, so all that it asks for can be mapped",
    ),
    Difference(
        ("second_mapping_of_an_object_is_as_good_as_the_first",),
        "a buffer is mapped from its start only: ENXIO",
        "H12: a mapping may begin in the middle",
    ),
    Difference(
        (
            "empty_buffer_with_fd_below_minus_1_is_einval",
            "fd_below_minus_1_is_einval",
        ),
        "a descriptor below -1 is not looked at without a length",
        "H07",
    ),
    Difference(
        (
            "create_with_a_length_and_filefd_minus_1_is_einval",
            "create_with_an_unknown_object_is_einval",
            "create_with_filefd_below_minus_1_is_einval",
        ),
        "EBADF",
        "H20: an image is in a buffer, or in memory of the program",
        switched=True,
    ),
    Difference(
        ("map_of_an_unknown_object", "map_without_an_object_is_einval"),
        "EBADF",
        "H23: a number that names nothing is an argument that is wrong, nothing was closed",
        switched=True,
    ),
    Difference(
        ("map_from_before_the_memory_is_einval", "mapping_begins_at_offset_and_runs_to_the_end"),
        "the offset is not looked at: the DSP is told of the buffer from its start",
        "H23: a mapping is the range that was asked for, and that lies in the buffer",
        switched=True,
    ),
    Difference(
        ("one_object_can_be_mapped_several_times",),
        "a buffer has one mapping: that of the second request takes the place of the first",
        "H23: what was mapped can be unmapped",
    ),
    Difference(
        ("mappings_without_a_session_are_the_dsps_refusal",),
        "a mapping that the driver does not know is EINVAL, whatever the session is",
        "the DSP knows sessions, and the driver does not answer for it",
    ),
    Difference(
        ("capabilities_need_no_session",),
        "a domain that the kernel does not know is ECHRNG",
        "newer kernels do not look at it (spec 5.3)",
        drivers="6.12",
    ),
    Difference(
        (
            "pointer_in_no_mapping_is_efault",
            "pointer_in_a_mapping_of_something_else_is_einval",
            "reserved_addresses_without_the_attribute_are_einval",
        ),
        "the address of a shared argument is not looked at: the DSP gets another place",
        "H09, H10",
    ),
    Difference(
        (
            "object_without_a_mapping_is_found_by_reserved_addresses",
            "reservations_that_the_kernel_has_joined_have_whole_objects",
        ),
        "an argument may be longer than its buffer, and one reservation holds one buffer",
        "H11",
    ),
    Difference(
        ("heap_itself_cannot_be_mapped",),
        "EACCES: that it is open for reading only is looked at first",
        "spec 5.4: nobody can map it, however it is open",
        drivers="7.2",
    ),
    Difference(
        ("handle_argument_with_an_unknown_object_is_refused",),
        "a handle argument without a length is not looked up",
        "H13: a handle argument names its object itself",
    ),
    Difference(
        ("handle_argument_without_an_object_is_a_number",),
        "the descriptor and the lower half of the address, as of a handle argument with an object",
        "spec 2.4: without an object it is a number",
    ),
)

_ACCELERATOR = (
    Difference(
        (
            "empty_buffer_with_fd_below_minus_1_is_einval",
            "create_with_filefd_below_minus_1_is_einval",
            "refused_call_does_not_reach_the_dsp",
        ),
        "a descriptor below -1 has no room in the message: ENOSPC, or the DSP's refusal if it "
        "needs none",
        "H07",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        (
            "pointer_in_no_mapping_is_efault",
            "pointer_in_a_mapping_of_something_else_is_einval",
            "reserved_addresses_without_the_attribute_are_einval",
        ),
        "the address of a shared argument is not looked at: the DSP gets another place, or "
        "refuses it",
        "H09, H10",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        (
            "object_without_a_mapping_is_found_by_reserved_addresses",
            "reservations_that_the_kernel_has_joined_have_whole_objects",
        ),
        "an argument may be longer than its object: the DSP refuses the place",
        "H11",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        ("second_mapping_of_an_object_is_as_good_as_the_first",),
        "where in its object a mapping begins is not looked at",
        "H12",
        ("v1",),
        "V1",
    ),
    Difference(
        ("create_with_a_shell_in_an_object_and_pointer_0",),
        "an image in an object needs its address: without, the DSP gets another place, which it "
        "refuses behind an SMMU",
        "H20: no address is the object's first byte",
        ("rfc", "v1"),
        "RFC, V1, with `--smmu`",
    ),
    Difference(
        ("create_twice_is_ebusy",),
        "a second process is asked for, and the DSP judges",
        "H22: a file has one session",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        ("map_with_fd_below_minus_1_is_einval", "map_without_an_object_is_einval"),
        "the DSP is told of no memory, and refuses",
        "H23: a mapping needs an object",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        (
            "legacy_unmap_must_match_the_size",
            "mapping_of_one_session_is_none_of_anothers",
            "unmap_of_what_is_not_mapped_is_einval",
            "unmap_twice_is_einval",
            "unmap_with_attributes_by_fd_alone",
            "unmap_with_the_other_request_is_einval",
        ),
        "an unmap is passed on as it is, and the DSP judges",
        "H23: the driver knows what is mapped",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        ("map_and_unmap_without_a_session_are_enodev",),
        "a request without a session is passed on, and the DSP refuses it",
        "H23: without a session there is nothing to map into",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        ("create_beyond_all_memory_is_enomem",),
        "the greatest size of whole pages is EINVAL",
        "H25: memory that nobody could have",
        ("rfc", "v1"),
        "RFC, V1",
    ),
    Difference(
        ("second_mapping_of_an_object_is_as_good_as_the_first",),
        "an exported object is mapped from its start only",
        "H12: a mapping may begin in the middle",
        ("rfc",),
        "RFC",
    ),
    Difference(
        ("attach_to_a_file_with_a_session_is_ebusy", "create_after_attach_is_ebusy"),
        "a second session of a file is asked for, and the DSP judges",
        "H22: a file has one session, however it began",
        ("rfc",),
        "RFC",
    ),
    Difference(
        ("create_with_a_pad_is_einval", "map_with_a_reserved_field_is_einval"),
        "fields without a meaning are not looked at",
        "H23, H25: what is reserved can have a meaning later",
        ("rfc",),
        "RFC",
    ),
)

DIFFERENCES: tuple[Difference, ...] = (*_OLDER, *_ACCELERATOR)


def difference(name: str, dialect: str) -> Difference | None:
    """The difference that is named for a test in a dialect."""
    rule = name.split("::")[-1].split("[")[0].removeprefix("test_")
    for known in DIFFERENCES:
        if rule in known.rules and dialect in known.dialects:
            return known
    return None
