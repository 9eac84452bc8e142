"""Helpers in C: a file has those that it calls, and those that they call, and no others."""

from __future__ import annotations

import re

import pytest

from qda.idl import parse
from qda.idl.c import skeleton, stub
from qda.idl.c.helpers import Helper, Helpers
from qda.idl.c.skel_helpers import HELPERS as OF_SKELETONS
from qda.idl.c.stub_helpers import HELPERS as OF_STUBS

TABLES = {"stub": OF_STUBS, "skel": OF_SKELETONS}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_helper_says_which_earlier_ones_it_uses(table: tuple[Helper, ...]) -> None:
    """What is not said would be missing in a file that needs nothing else."""
    earlier: list[Helper] = []
    for helper in table:
        used = {
            one.names
            for one in earlier
            if any(re.search(rf"\b{name}\b", helper.text) for name in one.names)
        }
        said = {one.names for one in earlier if not set(one.names).isdisjoint(helper.needs)}
        assert said == used
        earlier.append(helper)


def test_helpers_are_printed_once_in_their_order_with_what_they_need() -> None:
    table = (Helper(("a",), "A"), Helper(("b", "c"), "B", needs=("a",)), Helper(("d",), "D"))
    helpers = Helpers(table)
    assert helpers.call("d", "1", "2") == "d(1, 2)"
    assert helpers.call("c") == helpers.call("c") == "c()"
    assert helpers.lines == ["A", "", "B", "", "D", ""]
    assert helpers.is_needed("b")


def test_names_that_look_like_helpers_ask_for_none() -> None:
    """Methods may be called as they like: no text is searched."""
    document = parse(
        "interface any { long get_dma(in long a); long fill_stub_in(in long b); };", name="any.idl"
    )
    (interface,) = document.interfaces
    assert "adsp_mmap_fd_getinfo" not in skeleton(document, interface)
    assert "static void _stub_in(" not in stub(document, interface)
