"""What a program may choose on an open file of the older driver, in kernels since 7.3."""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP

from qda.layout import ZERO, Record, between, octets, one_of, s32, u32
from qda.uapi.interface import Constant, Constants
from qda.uapi.legacy.refusals import command, refusals

__all__ = ["OPTIONS", "POLL_MODE", "SET_OPTION", "SetOption"]

POLL_MODE = 1

OPTIONS: Constants = (
    "Options of an open file",
    (Constant("FASTRPC_POLL_MODE", POLL_MODE, "Whether calls wait awake; value 0 or 1"),),
)


# 0x0c, SET_OPTION.


class SetOption(Record, spelling="fastrpc_ioctl_set_option"):
    """Choose how the open file behaves."""

    request_id: int = u32(
        "Which option",
        legal=one_of(POLL_MODE, words="FASTRPC_POLL_MODE (1)"),
        breach=EINVAL,
    )
    value: int = u32("1 to switch it on, 0 to switch it off", legal=between(0, 1), breach=EINVAL)
    reserved: bytes = octets(6, "Reserved; write zeros", s32, legal=ZERO, breach=EINVAL)


SET_OPTION = command(
    "SET_OPTION",
    0x0C,
    SetOption,
    "Choose an option of this open file.  In poll mode a call of an opened module, in a user "
    "protection domain, looks for its answer for up to 10 milliseconds before it sleeps: it "
    "returns sooner, and keeps a CPU busy.  Needs no session, and concerns calls that begin later.",
    refusals((EOPNOTSUPP, "the DSP, or the system that it is part of, has no poll mode")),
    step="""\
{SET_OPTION} may be used at any time, for shorter waits.""",
)
