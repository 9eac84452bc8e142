"""What a C compiler says of the original headers, by the name of the dialect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qda import uapi

__all__ = ["dialects", "facts"]

_FACTS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "packing" / "uapi.json").read_text("ascii")
)
_SECTIONS = {
    "rfc": "rfc_v1",
    "v1": "later",
    "handle": "later",
    "legacy": "legacy",
    "legacy-7.3": "legacy",
    "legacy-signals": "legacy",
}

_SET_OPTION = {"value": 0xC020520C, "hex": "0xc020520c", "dir": 3, "type": 82, "nr": 12, "size": 32}


def _code(value: int) -> dict[str, Any]:
    fields = {"dir": value >> 30, "type": value >> 8 & 0xFF, "nr": value & 0xFF}
    return {"value": value, "hex": f"0x{value:08x}", **fields, "size": value >> 16 & 0x3FFF}


_MORE: dict[str, dict[str, Any]] = {
    "handle": {
        "ioctls": {
            "DRM_IOCTL_QDA_QUERY": _code(0xC0186440),
            "DRM_IOCTL_QDA_INIT_ATTACH": _code(0x00006443),
            "DRM_IOCTL_QDA_REMOTE_MUNMAP": _code(0xC0286446),
        },
        "uapi": {
            "drm_qda_query": {
                "size": 24,
                "align": 4,
                "fields": {
                    "query_type": [0, 4, "u32"],
                    "pad": [4, 4, "u32"],
                    "dsp_name": [8, 16, "u8[16]"],
                },
            },
            "drm_qda_init_create": {
                "size": 24,
                "align": 8,
                "fields": {
                    "filelen": [0, 4, "u32"],
                    "filehandle": [4, 4, "u32"],
                    "attrs": [8, 4, "u32"],
                    "siglen": [12, 4, "u32"],
                    "file": [16, 8, "u64"],
                },
            },
            "drm_qda_mem_map": {
                "size": 48,
                "align": 8,
                "fields": {
                    "request": [0, 4, "u32"],
                    "flags": [4, 4, "u32"],
                    "handle": [8, 4, "u32"],
                    "attrs": [12, 4, "u32"],
                    "offset": [16, 4, "u32"],
                    "dsp_handle": [20, 4, "s32"],
                    "vaddrin": [24, 8, "u64"],
                    "size": [32, 8, "u64"],
                    "vaddrout": [40, 8, "u64"],
                },
            },
            "drm_qda_mem_unmap": {
                "size": 40,
                "align": 8,
                "fields": {
                    "request": [0, 4, "u32"],
                    "handle": [4, 4, "u32"],
                    "dsp_handle": [8, 4, "s32"],
                    "pad": [12, 4, "u32"],
                    "vaddr": [16, 8, "u64"],
                    "vaddrout": [24, 8, "u64"],
                    "size": [32, 8, "u64"],
                },
            },
            "drm_qda_fastrpc_invoke_args": {
                "size": 24,
                "align": 8,
                "fields": {
                    "ptr": [0, 8, "u64"],
                    "length": [8, 8, "u64"],
                    "handle": [16, 4, "u32"],
                    "attr": [20, 4, "u32"],
                },
            },
        },
    },
    "legacy-7.3": {
        "ioctls": {"FASTRPC_IOCTL_SET_OPTION": _SET_OPTION},
        "uapi": {
            "fastrpc_ioctl_set_option": {
                "size": 32,
                "align": 4,
                "fields": {
                    "request_id": [0, 4, "u32"],
                    "value": [4, 4, "u32"],
                    "reserved": [8, 24, "s32[6]"],
                },
            }
        },
    },
    "legacy-signals": {
        "ioctls": {
            "FASTRPC_IOCTL_DSPSIGNAL_CREATE": _code(0xC0085217),
            "FASTRPC_IOCTL_DSPSIGNAL_DESTROY": _code(0xC0045218),
            "FASTRPC_IOCTL_DSPSIGNAL_SIGNAL": _code(0xC0045219),
            "FASTRPC_IOCTL_DSPSIGNAL_WAIT": _code(0xC008521A),
            "FASTRPC_IOCTL_DSPSIGNAL_CANCEL_WAIT": _code(0xC004521B),
        },
        "uapi": {
            f"fastrpc_ioctl_dspsignal_{name}": {
                "size": 4 + 4 * bool(second),
                "align": 4,
                "fields": {"signal_id": [0, 4, "u32"], **second},
            }
            for name, second in (
                ("create", {"flags": [4, 4, "u32"]}),
                ("destroy", {}),
                ("signal", {}),
                ("wait", {"timeout_usec": [4, 4, "u32"]}),
                ("cancel_wait", {}),
            )
        },
    },
}
"""What is younger than the golden data (spec/versions.md 3, 6)."""

dialects = pytest.mark.parametrize("dialect", sorted(uapi.DIALECTS))
"""The test is for every dialect."""


def facts(dialect: str) -> dict[str, Any]:
    """The section of the golden data that is a dialect's, and what is younger."""
    section: dict[str, Any] = _FACTS[_SECTIONS[dialect]]
    more = _MORE.get(dialect, {})
    return {part: {**known, **more.get(part, {})} for part, known in section.items()}
