"""Nodes of a guest as nodes of this process: an agent in the guest makes the system calls.

What a request names, memory and descriptors, is made the same in the guest first, so that a test of
the device interface runs here, at full speed, on the driver of the guest's kernel.
"""

from qda.agent.channel import Agent, AgentGone, Number
from qda.agent.mirror import Mirror
from qda.agent.node import GuestNode

__all__ = ["Agent", "AgentGone", "GuestNode", "Mirror", "Number"]
