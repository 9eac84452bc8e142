"""Generated C, compiled for the host and driven from Python.

    libraries = build(parse("calculator.idl"))
    stub = Stub(libraries.stub, interface, transport)
    status, results = stub.call("sum", {"vec": [1, 2, 3]}, {}, handle=handle)

A stub library calls a `Transport` where the client library would be, a skeleton library calls an
`Implementation`.  `device` connects both with a session.  Values are those of the marshaller
(`qda.idl.wire.calls`), so that the same test can be run with Python on either side.
"""

from tests.idl.native.compiler import BuildError, Libraries, build, build_all, find_compiler
from tests.idl.native.device import SessionTransport, c_skeleton, install
from tests.idl.native.skeleton import Implementation, Request, SkeletonLibrary
from tests.idl.native.stub import Stub, Transport

__all__ = [
    "BuildError",
    "Implementation",
    "Libraries",
    "Request",
    "SessionTransport",
    "SkeletonLibrary",
    "Stub",
    "Transport",
    "build",
    "build_all",
    "c_skeleton",
    "find_compiler",
    "install",
]
