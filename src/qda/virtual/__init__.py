"""Puts driver and DSP together: boot, device nodes in this process."""

from qda.profiles.nodes import NodeKind, NodePath, nodes_of
from qda.profiles.profile import Profile
from qda.profiles.profile import load as load_profile
from qda.profiles.profile import names as profile_names
from qda.virtual.machine import Machine, machine, stands_in
from qda.virtual.nodes import SPOKEN

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
    "stands_in",
]
