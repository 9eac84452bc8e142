"""C and Python marshal alike: a stub of one speaks with a skeleton of the other, for any types.

Interfaces and values come from seeds, many methods to an interface, because compiling takes long.
"""

from __future__ import annotations

import copy
import ctypes
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from qda.fastrpc.scalars import Scalars
from qda.idl.model import Method
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.nodes import Dma
from tests.idl.native import Request, SkeletonLibrary, Stub, build, find_compiler
from tests.idl.native.examples import Lengths, Sent, any_interface, own_methods
from tests.idl.native.skeleton import dma_word
from tests.idl.values import as_bytes

pytestmark = pytest.mark.skipif(find_compiler() is None, reason="there is no C compiler")


class PythonSkeleton:
    """A client library behind which is a skeleton in Python."""

    def __init__(self, codec: InterfaceCodec) -> None:
        self._codec = codec
        self._lengths: dict[int, int] = {}
        self.results: dict[str, Any] = {}
        self.seen: dict[str, Any] = {}

    def open(self, name: str, handle64: bool) -> tuple[int, int]:
        return 0, 9

    def close(self, handle: int) -> int:
        return 0

    def register(self, fd: int, length: int) -> int:
        self._lengths[fd] = length
        return 0

    def invoke(self, handle: int, scalars: Scalars, arguments: list[Any], descriptor: int) -> int:
        views = [_view(one.buffer) for one in arguments[: scalars.buffers]]
        ins, outs = views[: scalars.in_buffers], views[scalars.in_buffers :]
        dmas = [self._dma(one.handle) for one in arguments[scalars.buffers :]]
        codec = self._codec.requested(scalars, ins)
        handles = dmas[: scalars.in_handles], dmas[scalars.in_handles :]
        codec.serve(scalars, ins, outs, *handles, self._run)
        return 0

    def _dma(self, word: int) -> Dma:
        fd = word & 0xFFFF_FFFF
        return Dma(fd, word >> 32, self._lengths[fd])

    def _run(self, inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
        self.seen = copy.deepcopy(inputs)  # they are views on the caller's memory
        return self.results


def _view(buffer: Any) -> memoryview:
    if not buffer.length:
        return memoryview(bytearray())
    return memoryview((ctypes.c_ubyte * buffer.length).from_address(buffer.pv)).cast("B")


class CSkeleton(PythonSkeleton):
    """A client library behind which is a skeleton in C."""

    def __init__(self, codec: InterfaceCodec, skeleton: SkeletonLibrary) -> None:
        super().__init__(codec)
        self._skeleton = skeleton

    def invoke(self, handle: int, scalars: Scalars, arguments: list[Any], descriptor: int) -> int:
        views = [_view(one.buffer) for one in arguments[: scalars.buffers]]
        words = [one.handle for one in arguments[scalars.buffers :]]
        outs = views[scalars.in_buffers :]
        request = Request(
            scalars,
            [bytes(one) for one in views[: scalars.in_buffers]],
            [bytearray(one) for one in outs],
            words[: scalars.in_handles],
            words[scalars.in_handles :],
            handle,
        )
        status = self._skeleton.serve(request, Lengths())
        for view, data in zip(outs, request.outs, strict=True):
            view[:] = data
        return status


@settings(max_examples=4, phases=[Phase.explicit, Phase.generate])
@given(seed=st.integers(0, 1 << 32))
@example(seed=0)
def test_c_and_python_understand_each_other(seed: int) -> None:
    """For each method of any interface, and any values: C stub to Python skeleton, Python stub to C
    skeleton, and C stub to C skeleton (Python to Python is in test_marshal).

    Nothing is made smaller after a failure, since every interface has to be compiled.
    """
    document, interface, chance = any_interface(seed)
    libraries = build(document)
    codec = InterfaceCodec(interface)
    python = PythonSkeleton(codec)
    stub = Stub(libraries.stub, interface, python)
    served: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []

    def implementation(
        method: Method, inputs: dict[str, Any], rooms: dict[str, int]
    ) -> Mapping[str, Any] | int:
        served.append(inputs)
        return answers[-1]

    skeleton = SkeletonLibrary(libraries.skel, interface, implementation)
    in_c = Stub(libraries.stub, interface, CSkeleton(codec, skeleton))
    for method in own_methods(interface):
        assert not method.refusal, method
        for _ in range(3):
            sent = Sent(method, chance)
            python.results = sent.results
            status, found = stub.call(method.name, sent.values, sent.rooms)
            assert status == 0
            sent.check_inputs(python.seen)
            sent.check_results(found)
            answers.append(sent.results)
            sent.check_results(_call_c(codec.method(method.index), sent, skeleton))
            sent.check_inputs(served[-1])
            status, found = in_c.call(method.name, sent.values, sent.rooms)
            assert status == 0
            sent.check_inputs(served[-1])
            sent.check_results(found)


def _call_c(codec: MethodCodec, sent: Sent, skeleton: SkeletonLibrary) -> dict[str, Any]:
    call = codec.pack(sent.values, sent.rooms)
    request = Request(
        call.scalars,
        [bytes(as_bytes(one)) for one in call.ins],
        [bytearray(as_bytes(one)) for one in call.outs],
        [dma_word(one) for one in call.in_handles],
        [dma_word(one) for one in call.out_handles],
    )
    assert skeleton.serve(request, Lengths()) == 0
    for target, out in zip(call.outs, request.outs, strict=True):
        as_bytes(target)[:] = out
    return codec.unpack(call)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [5, 6])
def test_c_refuses_what_python_refuses(seed: int) -> None:
    """Requests with wrong lengths, counts, and numbers of buffers: the same status, and the same
    inputs where there are some, and no access outside the buffers (idl.md 6.8).

    Runs beside us, because C that is wrong here may crash, and with sanitizers if there are some.
    """
    environment = os.environ | {"PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0"}
    sanitizers = _sanitizers()
    if sanitizers:
        environment["LD_PRELOAD"] = " ".join(sanitizers)
    command = [sys.executable, "-m", "tests.idl.native.hostile", str(seed)]
    result = subprocess.run(
        [*command, *(["sanitized"] if sanitizers else [])],
        cwd=Path(__file__).parents[3],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]


def _sanitizers() -> list[str]:
    """The sanitizers' libraries, which have to be loaded before the interpreter."""
    found = []
    for name in ("libasan.so", "libubsan.so"):
        command = [str(find_compiler()), f"-print-file-name={name}"]
        path = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if not Path(path).is_absolute():  # the compiler does not have it
            return []
        found.append(path)
    return found
