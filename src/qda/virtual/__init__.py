"""Puts driver and DSP together: SoC profiles, boot, device nodes in this process."""

from qda.virtual.machine import Machine, machine
from qda.virtual.nodes import SPOKEN, NodeKind, NodePath, nodes_of
from qda.virtual.profile import Profile
from qda.virtual.profile import load as load_profile
from qda.virtual.profile import names as profile_names

__all__ = [
    "SPOKEN",
    "Machine",
    "NodeKind",
    "NodePath",
    "Profile",
    "load_profile",
    "machine",
    "nodes_of",
    "profile_names",
]
