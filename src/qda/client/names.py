"""By which name or URI a module is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qda.fastrpc.skeleton import AnySkeleton
from qda.fastrpc.uri import ModuleUri, skeleton_uri

if TYPE_CHECKING:
    from qda.idl import Interface

__all__ = ["name_in", "name_of", "uri_of_interface", "uri_of_skeleton"]


def name_of(skeleton: type[AnySkeleton]) -> str:
    """The name under which a skeleton is installed: its interface's, or its own, not that of a base
    class."""
    from qda.idl import Skeleton as InterfaceSkeleton  # not for those who open modules by URI

    if issubclass(skeleton, InterfaceSkeleton):
        return skeleton.name
    return str(vars(skeleton).get("name", skeleton.__name__))


def name_in(uri: str) -> str | None:
    """The name of the module that a URI or name means, None for nonsense: the DSP says so."""
    try:
        return ModuleUri.parse(uri).name
    except ValueError:
        return None


def uri_of_interface(interface: Interface, domain: str) -> str:
    """A plain interface is opened by its name, once for the process."""
    if interface.is_handle64:
        return f"{interface.uri}&_dom={domain}"
    return interface.c_name


def uri_of_skeleton(skeleton: type[AnySkeleton], domain: str) -> str:
    """A skeleton of an interface is opened as that; any other has the style of handle64."""
    from qda.idl import Skeleton as InterfaceSkeleton

    if issubclass(skeleton, InterfaceSkeleton):
        return uri_of_interface(skeleton.interface, domain)
    return skeleton_uri(name_of(skeleton), domain=domain)
