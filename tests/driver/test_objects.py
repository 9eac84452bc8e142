"""Memory that goes from one device to another."""

from __future__ import annotations

import os

from qda.uapi import DIALECTS, drm
from qda.uapi.accel import GemCreate
from tests.system import new_machine

EXPORT, IMPORT = (
    next(one for one in drm.CORE.commands if one.key == key)
    for key in ("PRIME_HANDLE_TO_FD", "PRIME_FD_TO_HANDLE")
)


def test_an_export_that_cannot_be_mapped_for_writing_can_be_imported() -> None:
    """The mode of a DMA-BUF's descriptor limits who maps it, not which device imports it: the QDA
    library exports so (clients.md 9)."""
    system = new_machine()
    create = DIALECTS["rfc"].command("GEM_CREATE")
    one, two = system.open("adsp"), system.open("cdsp")
    try:
        made = bytearray(GemCreate(size=8000).pack())
        assert one.ioctl(create.code, made) == 0
        handle = GemCreate.unpack(made).handle
        exported = bytearray(drm.PrimeHandle(handle=handle, flags=os.O_CLOEXEC).pack())
        assert one.ioctl(EXPORT.code, exported) == 0
        fd = drm.PrimeHandle.unpack(exported).fd
        imported = bytearray(drm.PrimeHandle(fd=fd).pack())
        assert two.ioctl(IMPORT.code, imported) == 0
        assert drm.PrimeHandle.unpack(imported).handle == 1
        os.close(fd)
    finally:
        one.close()
        two.close()
        system.close()
