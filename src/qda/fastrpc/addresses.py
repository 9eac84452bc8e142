"""Three kinds of address, three types (R3).  They are never told apart by their value."""

from __future__ import annotations

from typing import NewType

__all__ = ["BusAddress", "ClientAddress", "DspAddress"]

ClientAddress = NewType("ClientAddress", int)
"""An address in the memory of the process that calls the device."""

BusAddress = NewType("BusAddress", int)
"""A device address: what the DSP's SMMU translates.  Bits 63..32 are the stream id of the context
bank that it belongs to, 0 for device memory."""

DspAddress = NewType("DspAddress", int)
"""A virtual address of a process on the DSP, below 4 GiB."""
