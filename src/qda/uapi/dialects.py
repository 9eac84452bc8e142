"""The dialects in which a program may speak to a DSP, by the name that people give."""

from __future__ import annotations

from collections.abc import Mapping

from qda.uapi.accel import RFC, V1
from qda.uapi.interface import Interface
from qda.uapi.legacy import LEGACY

__all__ = ["ACCEL_DIALECTS", "DIALECTS"]

ACCEL_DIALECTS: Mapping[str, Interface] = {"rfc": RFC, "v1": V1}
"""The dialects of the accelerator's nodes.  Numbers do not tell them apart."""

DIALECTS: Mapping[str, Interface] = {**ACCEL_DIALECTS, "legacy": LEGACY}
"""All dialects, that of the older driver's nodes included."""
