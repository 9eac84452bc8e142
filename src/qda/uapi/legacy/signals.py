"""Signals between a program and its process on the DSP, in the kernels of vendors.

The numbers and layouts are those of `adsprpc_shared.h` (spec/dspqueue.md); no kernel of Linux
itself has them.  A signal is a number and no data: it says that the other side should look again.
"""

from __future__ import annotations

from dataclasses import replace
from errno import EBUSY, EINTR, EINVAL, ENODEV, ENOENT, EOVERFLOW, ETIMEDOUT

from qda.layout import ZERO, Record, between, differs, u32
from qda.uapi.interface import Command
from qda.uapi.legacy.buffers import GET_DSP_INFO, Capability
from qda.uapi.legacy.refusals import command, refusals

__all__ = [
    "CANCEL_WAIT",
    "CREATE_SIGNAL",
    "DESTROY_SIGNAL",
    "DRIVER_SIGNALS",
    "DSP_SIGNALS",
    "FOR_EVER",
    "SEND_SIGNAL",
    "WAIT_SIGNAL",
    "CancelWait",
    "CreateSignal",
    "DestroySignal",
    "SendSignal",
    "SignalCapability",
    "WaitSignal",
    "signals_of",
]

SIGNALS = 1024
"""Numbers of signals; the first 256 are those of queues, four each."""

FOR_EVER = 0xFFFFFFFF

DSP_SIGNALS, DRIVER_SIGNALS = 130, 259
"""Attributes: whether the DSP, and the driver, have signals."""

_NUMBER = between(0, SIGNALS - 1, words=f"0 to {SIGNALS - 1}")
_ALONE = (ENODEV, "this open file has no session")
_UNKNOWN = (ENOENT, "this open file has created no such signal")


class SignalCapability(Capability):
    """Ask what the DSP can do, or the driver."""

    attribute_id: int = differs(
        text="Which property: 1 to 255 are the DSP's; 259 is whether the driver has signals; "
        "others are not known to the driver and answered with 0",
        legal=between(0, DRIVER_SIGNALS, words=f"0 to {DRIVER_SIGNALS}"),
        breach=EOVERFLOW,
    )


class CreateSignal(Record, spelling="fastrpc_ioctl_dspsignal_create"):
    """Create a signal, on which the program can wait."""

    number: int = u32("Which signal", spelling="signal_id", legal=_NUMBER, breach=EINVAL)
    flags: int = u32("Reserved; write 0", legal=ZERO, breach=EINVAL)


class DestroySignal(Record, spelling="fastrpc_ioctl_dspsignal_destroy"):
    """Destroy a signal."""

    number: int = u32("Which signal", spelling="signal_id", legal=_NUMBER, breach=EINVAL)


class SendSignal(Record, spelling="fastrpc_ioctl_dspsignal_signal"):
    """Send a signal to the DSP."""

    number: int = u32("Which signal", spelling="signal_id", legal=_NUMBER, breach=EINVAL)


class WaitSignal(Record, spelling="fastrpc_ioctl_dspsignal_wait"):
    """Wait for a signal of the DSP."""

    number: int = u32("Which signal", spelling="signal_id", legal=_NUMBER, breach=EINVAL)
    timeout: int = u32(
        "How long at most, 0xffffffff for ever", spelling="timeout_usec", unit="microseconds"
    )


class CancelWait(Record, spelling="fastrpc_ioctl_dspsignal_cancel_wait"):
    """End the waits for a signal."""

    number: int = u32("Which signal", spelling="signal_id", legal=_NUMBER, breach=EINVAL)


# 0x17 to 0x1b.

CREATE_SIGNAL = command(
    "DSPSIGNAL_CREATE",
    0x17,
    CreateSignal,
    "Create a signal, on which the program can wait.",
    refusals(_ALONE, (EBUSY, "this open file has created it already")),
)

DESTROY_SIGNAL = command(
    "DSPSIGNAL_DESTROY",
    0x18,
    DestroySignal,
    "Destroy a signal; waits for it end with EINTR.",
    refusals(_ALONE, _UNKNOWN),
)

SEND_SIGNAL = command(
    "DSPSIGNAL_SIGNAL",
    0x19,
    SendSignal,
    "Send a signal to the DSP, which need not have been created.  Several may become one.",
    refusals(_ALONE),
)

WAIT_SIGNAL = command(
    "DSPSIGNAL_WAIT",
    0x1A,
    WaitSignal,
    "Wait until the DSP sends a signal, or return at once if it has since the last wait.",
    refusals(
        _ALONE,
        _UNKNOWN,
        (ETIMEDOUT, "the time is over"),
        (
            EINTR,
            "it was cancelled or destroyed, or the process on the DSP has died, before or "
            "meanwhile; or a signal handler ran",
        ),
    ),
)

CANCEL_WAIT = command(
    "DSPSIGNAL_CANCEL_WAIT",
    0x1B,
    CancelWait,
    "End the waits for a signal, those to come included, until it is destroyed.",
    refusals(_ALONE, _UNKNOWN),
)

_COMMANDS = (CREATE_SIGNAL, DESTROY_SIGNAL, SEND_SIGNAL, WAIT_SIGNAL, CANCEL_WAIT)


def signals_of(commands: tuple[Command[Record], ...]) -> tuple[Command[Record], ...]:
    """The commands that an interface with signals has instead of, and beside, `commands`."""
    asks = replace(GET_DSP_INFO, record=SignalCapability)
    return (*(asks if one is GET_DSP_INFO else one for one in commands), *_COMMANDS)
