"""The board: where everything lies, and what its device tree says of the DSPs.

It is QEMU's "virt" machine with what a Snapdragon has for each DSP: an edge of GLINK in message
RAM, a mailbox to ring the DSP, an interrupt by which the DSP rings back, and below the edge the
node of FastRPC with its context banks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qda.profiles.profile import DspProfile

__all__ = ["BASE", "CHANNEL", "FIRST_STREAM", "Board", "Edge"]

BASE = 0x4000_0000
"""Where the machine's memory begins."""
CHANNEL = "fastrpcglink-apps-dsp"
FIRST_STREAM = 0x500
"""The SMMU's stream of a context bank is this plus its stream id, and 0x100 more for each DSP."""
REGISTERS = 0x1000_0000
"""Where the registers of the doorbells lie, in what would be the PCI host's window."""
MESSAGE_RAM = 0x1_0000
_LAST_INTERRUPT = 110
"""The last one that the GICv2m can raise; the others of the DSPs are below."""
_FIRST_CHANNEL = 16
_RESERVED = 0x20_0000
_FOUR_GIB = 1 << 32
"""Message RAM lies below: an address has no more bits where it is told of."""
_HEAP = 0x40_0000
"""Bytes of a DSP's remote heap, of which the driver takes what static processes ask for."""


@dataclass(frozen=True)
class Edge:
    """What one DSP has on the board: message RAM at a physical address, a channel of the mailbox,
    the number that a write to it means to the doorbells, and an interrupt."""

    dsp: DspProfile
    number: int
    message_ram: int

    @property
    def mailbox(self) -> int:
        """The channel: to ring it the kernel writes a word with this bit."""
        return _FIRST_CHANNEL + self.number

    @property
    def peer(self) -> int:
        """What that word means to the doorbells: the peer in its upper half."""
        return 1 << self.number

    @property
    def interrupt(self) -> int:
        """The shared peripheral interrupt, edge."""
        return _LAST_INTERRUPT - self.number

    @property
    def first_stream(self) -> int:
        """The SMMU's stream of stream id 0."""
        return FIRST_STREAM + 0x100 * self.number


class Board:
    """A board with `size` bytes of memory and these DSPs, at most four."""

    def __init__(self, dsps: Sequence[DspProfile], size: int, smmu: bool) -> None:
        top = min(BASE + size, _FOUR_GIB) - _RESERVED
        self.size, self.smmu = size, smmu
        self.edges = [
            Edge(dsp, number, top + MESSAGE_RAM * number) for number, dsp in enumerate(dsps)
        ]

    def device_tree(self) -> str:
        """What is added to the tree of the "virt" machine, as source."""
        memory = "".join(_message_ram(edge) for edge in self.edges)
        edges = "".join(_edge(edge, self.smmu) for edge in self.edges)
        return _TREE.format(memory=memory, edges=edges, registers=REGISTERS)


_TREE = """
/ {{
	/delete-node/ pcie@10000000;

	reserved-memory {{
		#address-cells = <2>;
		#size-cells = <2>;
		ranges;
{memory}	}};

	doorbells: mailbox@{registers:x} {{
		compatible = "qcom,sdm845-apss-shared";
		reg = <0x0 {registers:#x} 0x0 0x1000>;
		#mbox-cells = <1>;
	}};
{edges}}};
"""


def _message_ram(edge: Edge) -> str:
    return f"""\
		{edge.dsp.name}_ram: memory@{edge.message_ram:x} {{
			compatible = "qcom,rpm-msg-ram";
			reg = <0x0 {edge.message_ram:#x} 0x0 {MESSAGE_RAM:#x}>;
			no-map;
		}};
{_heap(edge) if edge.dsp.remote_heap else ""}"""


def _heap(edge: Edge) -> str:
    """Memory of static processes.  A Snapdragon's tree has `qcom,vmids` as well, who may reach it:
    with that the driver waits for the firmware that hands it over, which is not here."""
    return f"""\
		{edge.dsp.name}_heap: {edge.dsp.name}-heap {{
			compatible = "shared-dma-pool";
			size = <0x0 {_HEAP:#x}>;
			alignment = <0x0 {_HEAP:#x}>;
			reusable;
		}};
"""


def _edge(edge: Edge, smmu: bool) -> str:
    banks = "".join(_bank(edge, stream, smmu) for stream in edge.dsp.stream_ids)
    more = "" if edge.dsp.secure else "\t\t\tqcom,non-secure-domain;\n"
    if edge.dsp.remote_heap:
        more += f"\t\t\tmemory-region = <&{edge.dsp.name}_heap>;\n"
    return f"""
	{edge.dsp.name}-edge {{
		compatible = "qcom,glink-rpm";
		label = "{edge.dsp.name}";
		interrupt-parent = <&{{/intc@8000000}}>;
		interrupts = <0 {edge.interrupt} 1>;
		mboxes = <&doorbells {edge.mailbox}>;
		qcom,rpm-msg-ram = <&{edge.dsp.name}_ram>;

		fastrpc {{
			compatible = "qcom,fastrpc";
			qcom,glink-channels = "{CHANNEL}";
			label = "{edge.dsp.name}";
{more}			#address-cells = <1>;
			#size-cells = <0>;
{banks}		}};
	}};
"""


def _bank(edge: Edge, stream: int, smmu: bool) -> str:
    behind = f" iommus = <&{{/smmuv3@9050000}} {edge.first_stream + stream}>;" if smmu else ""
    return (
        f'\t\t\tcompute-cb@{stream} {{ compatible = "qcom,fastrpc-compute-cb"; reg = <{stream}>;'
        f" dma-coherent;{behind} }};\n"
    )
