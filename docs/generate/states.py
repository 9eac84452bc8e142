"""The page of states, from the tables by which the code goes."""

from __future__ import annotations

from typing import Any, Final

from qda.client.host.turns import TURN
from qda.driver.call import CALL as DRIVER_CALL
from qda.driver.mapping import MAPPING
from qda.dsp.session import LIFE
from qda.dsp.switchboard import CALL, HOST
from qda.glink import CHANNEL
from qda.states import Transitions

__all__ = ["MACHINES", "page"]

MACHINES: Final[dict[str, tuple[Transitions[Any, Any], ...]]] = {
    "qda.dsp.session": (LIFE,),
    "qda.driver.call": (DRIVER_CALL,),
    "qda.driver.mapping": (MAPPING,),
    "qda.dsp.switchboard": (HOST, CALL),
    "qda.client.host.turns": (TURN,),
    "qda.glink.channels": (CHANNEL,),
}
"""The machines of the page, by the module that has the table."""

_HEAD = (
    "# States\n\n"
    "What has states in this project has a table of them. The code asks it at every step; only the "
    "state of a buffer object is written down nowhere, it follows from what there is, and a test "
    "compares it with the table at every step. This page is printed from the tables by "
    "`make docs`, and tests walk each of them at random, over legal and illegal steps.\n"
)


def page() -> str:
    """The page, in Markdown."""
    parts = [_HEAD]
    for module, machines in MACHINES.items():
        for machine in machines:
            title = f"## {machine.name[:1].upper()}{machine.name[1:]}"
            parts.append(f"{title}\n\nThe rules in prose: `{module}`.\n\n{machine.page()}")
    return "\n".join(parts)
