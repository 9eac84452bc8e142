"""Memory that goes from one device to another."""

from __future__ import annotations

import os

from qda.client.node import issue
from qda.uapi import drm
from qda.uapi.accel import GEM_CREATE, GemCreate
from qda.virtual import Machine


def test_an_export_that_cannot_be_mapped_for_writing_can_be_imported(machine: Machine) -> None:
    """The mode of a DMA-BUF's descriptor limits who maps it, not which device imports it: the QDA
    library exports so (clients.md 9)."""
    one, two = machine.open("adsp"), machine.open("cdsp")
    try:
        made = GemCreate(size=8000)
        assert issue(one, GEM_CREATE, made) == 0
        exported = drm.PrimeHandle(handle=made.handle, flags=os.O_CLOEXEC)
        assert issue(one, drm.PRIME_HANDLE_TO_FD, exported) == 0
        imported = drm.PrimeHandle(fd=exported.fd)
        assert issue(two, drm.PRIME_FD_TO_HANDLE, imported) == 0
        assert imported.handle == 1
        os.close(exported.fd)
    finally:
        one.close()
        two.close()
