"""By which name or URI a module is opened."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

from qda.errors import UsageError
from qda.fastrpc.skeleton import AnySkeleton
from qda.fastrpc.uri import ModuleUri, skeleton_uri

if TYPE_CHECKING:
    from qda.idl import Interface, Remote
    from qda.idl import Skeleton as InterfaceSkeleton

__all__ = [
    "is_remote",
    "is_typed",
    "name_in",
    "name_of",
    "refuse_misnamed",
    "uri_of_interface",
    "uri_of_skeleton",
]


def is_remote(module: object) -> TypeGuard[type[Remote]]:
    """Whether it is an interface."""
    return isinstance(module, type) and issubclass(module, _of_the_language("Remote"))


def is_typed(skeleton: type) -> TypeGuard[type[InterfaceSkeleton[object]]]:
    """Whether it is a skeleton of an interface."""
    return issubclass(skeleton, _of_the_language("Skeleton"))


def _of_the_language(name: str) -> tuple[type, ...]:
    """A class of `qda.idl`.  Where that has not been loaded, which takes long, nothing is of it."""
    found = getattr(sys.modules.get("qda.idl"), name, None)
    return () if found is None else (found,)


def name_of(skeleton: type[AnySkeleton]) -> str:
    """The name under which a skeleton is installed: its interface's, or its own, not that of a base
    class."""
    if is_typed(skeleton):
        return skeleton.name
    return str(vars(skeleton).get("name", skeleton.__name__))


def name_in(uri: str) -> str | None:
    """The name of the module that a URI or name means, None for nonsense: the DSP says so."""
    try:
        return ModuleUri.parse(uri).name
    except ValueError:
        return None


def refuse_misnamed(module: str) -> None:
    """UsageError for a text that is no name or URI of a module, but plainly of something else."""
    if module.startswith("file:"):
        return
    if "{" in module or module.endswith(".idl"):
        what = "an interface: `session.load(qda.idl.load(...))` opens what implements it"
    elif module.endswith(".py"):
        what = "a file of Python: import it, and load its skeleton class"
    elif module.endswith(".so"):
        what = "a library: load it by the name of its interface, as in `libNAME_skel.so`, or by URI"
    else:
        return
    raise UsageError(f"{module!r:.80} is {what}")


def uri_of_interface(interface: Interface, domain: str) -> str:
    """A plain interface is opened by its name, once for the process."""
    if interface.is_handle64:
        return f"{interface.uri}&_dom={domain}"
    return interface.c_name


def uri_of_skeleton(skeleton: type[AnySkeleton], domain: str) -> str:
    """A skeleton of an interface is opened as that; any other has the style of handle64."""
    if is_typed(skeleton):
        return uri_of_interface(skeleton.interface, domain)
    return skeleton_uri(name_of(skeleton), domain=domain)
