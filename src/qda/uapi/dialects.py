"""The dialects in which a program may speak to a DSP, by the name that people give."""

from __future__ import annotations

from collections.abc import Mapping

from qda.uapi.accel import HANDLE, RFC, V1
from qda.uapi.interface import Family, Interface
from qda.uapi.legacy import LEGACY, LEGACY_73, LEGACY_SIGNALS

__all__ = ["ACCEL_DIALECTS", "DIALECTS"]

DIALECTS: Mapping[str, Interface] = {
    spoken.name: spoken for spoken in (RFC, V1, HANDLE, LEGACY, LEGACY_73, LEGACY_SIGNALS)
}
"""All dialects, those of the older driver's nodes included."""

ACCEL_DIALECTS: Mapping[str, Interface] = {
    name: spoken for name, spoken in DIALECTS.items() if spoken.family is Family.ACCEL
}
"""The dialects of the accelerator's nodes.  Numbers do not tell them apart."""
