"""uapi.json: sizes, offsets and ioctl numbers of the declarations."""

from __future__ import annotations

from typing import Any

from qda.fastrpc import control, message, payload
from qda.layout import Record
from qda.uapi import DIALECTS, Interface
from tests.vectors.packing import Failures, _differ

_SETS = {"rfc_v1": "rfc", "later": "v1", "legacy": "legacy"}
_MODULES = (control, message, payload)
_WIRE: dict[str, type[Record]] = {
    item.spelling: item
    for module in _MODULES
    for item in vars(module).values()
    if isinstance(item, type) and issubclass(item, Record) and item is not Record
}
_OTHER_NAMES = {
    "fastrpc_mmap_req_msg": "fastrpc_map_req_msg",
    "fastrpc_mmap_rsp_msg": "fastrpc_map_rsp_msg",
    "qda_invoke_rsp": "fastrpc_invoke_rsp",
}


def interface_cases(data: dict[str, Any]) -> dict[str, Any]:
    """A check for each ioctl and each structure of all dialects."""
    checks: dict[str, Any] = {}
    for part, name in _SETS.items():
        facts, interface = data[part], DIALECTS[name]
        for spelling, ioctl in facts["ioctls"].items():
            checks[f"{part} {spelling}"] = _ioctl_check(interface, spelling, ioctl)
        records = {record.spelling: record for record in interface.records}
        for spelling, structure in facts["uapi"].items():
            checks[f"{part} {spelling}"] = _record_check(records.get(spelling), structure, True)
        for spelling, structure in facts["wire"].items():
            record = _WIRE.get(_OTHER_NAMES.get(spelling, spelling))
            if spelling != "fastrpc_remote_arg":  # a union of two records that are checked
                checks[f"{part} wire {spelling}"] = _record_check(record, structure, False)
    return checks


def _ioctl_check(interface: Interface, spelling: str, wanted: dict[str, Any]) -> Any:
    def check() -> Failures:
        command = next((c for c in interface.commands if c.spelling == spelling), None)
        if command is None:
            yield "no such command"
            return
        yield from _differ("code", hex(command.code), f"{wanted['value']:#x}")
        yield from _differ("number", command.number, wanted["nr"])
        yield from _differ("size", command.size, wanted["size"])

    return check


def _record_check(record: type[Record] | None, wanted: dict[str, Any], names: bool) -> Any:
    def check() -> Failures:
        if record is None:
            yield "no such record"
            return
        yield from _differ("size", record.byte_size, wanted["size"])
        yield from _differ("alignment", record.alignment, wanted["align"])
        found = [
            [f.spelling if names else "", f.offset, f.size, f.type_name] for f in record.fields
        ]
        fields = [[name if names else "", *facts] for name, facts in wanted["fields"].items()]
        yield from _differ("fields", found, fields)

    return check
