"""Requests that no stub sends, to skeletons in C and in Python: both do the same.

`python -m tests.idl.native.hostile SEED [sanitized]` prints each difference; exit status 1 if there
is one.  With `sanitized`, C is compiled for sanitizers, whose libraries must be loaded already.
"""

from __future__ import annotations

import copy
import os
import random
import sys
from collections.abc import Callable
from typing import Any

from qda import limits
from qda.errors import DSP_OFFSET, StatusError, as_unsigned
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Direction, Method, Parameter
from qda.idl.types import Sequence
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.nodes import Dma
from tests.idl.native.compiler import FLAGS, build
from tests.idl.native.examples import Lengths, Sent, any_interface, own_methods
from tests.idl.native.skeleton import Request, SkeletonLibrary, dma_word
from tests.idl.values import as_bytes, plain

REQUESTS = 25
"""Requests for each method."""

# -z undefs: the sanitizers' symbols are in libraries that are loaded already.
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-Wl,-z,undefs")

NUMBERS = (0, 1, 1000, 1 << 16, (1 << 30) + 1, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
"""What counts are replaced with."""


class Spoiled:
    """A request that was right once."""

    def __init__(self, call: Any, chance: random.Random) -> None:
        self._chance = chance
        self.method = call.scalars.method
        self.ins = [bytearray(as_bytes(one)) for one in call.ins]
        self.outs = [len(as_bytes(one)) for one in call.outs]
        self.in_handles, self.out_handles = list(call.in_handles), list(call.out_handles)
        ways: list[Callable[[], None]] = [
            self._change_byte,
            self._change_number,
            self._shorten,
            self._shorten_room,
            self._insert,
            lambda: self._remove(self.ins),
            lambda: self._remove(self.outs),
            lambda: self._remove(self.in_handles),
            self._add_handle,
        ]
        for way in chance.choices(ways, k=chance.randint(1, 2)):
            way()

    def _change_byte(self) -> None:
        data = self._some()
        if data:
            place = self._chance.randrange(len(data))
            data[place] = self._chance.choice([0, 1, 128, 255, data[place] ^ 1])

    def _change_number(self) -> None:
        data = self._some()
        if len(data) >= 4:
            place = 4 * self._chance.randrange(len(data) // 4)
            data[place : place + 4] = self._chance.choice(NUMBERS).to_bytes(4, "little")

    def _shorten(self) -> None:
        data = self._some()
        del data[len(data) - self._chance.randint(0, min(len(data), 9)) :]

    def _shorten_room(self) -> None:
        if self.outs:
            place = self._chance.randrange(len(self.outs))
            self.outs[place] = max(0, self.outs[place] - self._chance.randint(1, 5))

    def _insert(self) -> None:
        if len(self.ins) < limits.BUFFERS:
            place = self._chance.randint(0, len(self.ins))
            self.ins.insert(place, bytearray(self._chance.randint(0, 8)))

    def _add_handle(self) -> None:
        self.out_handles.append(Dma(3))

    def _some(self) -> bytearray:
        return self._chance.choice(self.ins) if self.ins else bytearray()

    def _remove(self, items: list[Any]) -> None:
        if items:
            del items[self._chance.randrange(len(items))]

    @property
    def scalars(self) -> Scalars:
        handles = len(self.in_handles), len(self.out_handles)
        return Scalars(self.method, len(self.ins), len(self.outs), *handles)

    def to_c(self, skeleton: SkeletonLibrary) -> int:
        """The status of the skeleton in C."""
        request = Request(
            self.scalars,
            [bytes(one) for one in self.ins],
            [bytearray(size) for size in self.outs],
            [dma_word(one) for one in self.in_handles],
            [dma_word(one) for one in self.out_handles],
        )
        return as_unsigned(skeleton.serve(request, Lengths()))

    def to_python(self, codec: InterfaceCodec, seen: list[dict[str, Any]]) -> int:
        """The status of the skeleton in Python, as a host's library has it."""
        ins = [memoryview(bytes(one)) for one in self.ins]
        outs = [memoryview(bytearray(size)) for size in self.outs]

        def run(inputs: dict[str, Any], targets: dict[str, Any]) -> dict[str, Any]:
            seen.append(copy.deepcopy(inputs))
            return {}

        try:
            found: MethodCodec = codec.requested(self.scalars, ins)
            found.serve(self.scalars, ins, outs, self.in_handles, self.out_handles, run)
        except StatusError as error:
            return as_unsigned(error.status) & ~DSP_OFFSET
        return 0

    def __str__(self) -> str:
        return f"{self.scalars} {[one.hex() for one in self.ins]} {self.outs}"


def differences(seed: int, flags: tuple[str, ...] = FLAGS) -> list[str]:
    """A sentence for each request that C and Python do not treat alike."""
    document, interface, chance = any_interface(seed)
    codec = InterfaceCodec(interface)
    in_c: list[tuple[Method, dict[str, Any]]] = []

    def implementation(method: Method, inputs: dict[str, Any], rooms: dict[str, int]) -> int:
        in_c.append((method, inputs))
        return 0

    skeleton = SkeletonLibrary(build(document, flags=flags).skel, interface, implementation)
    found = []
    for method in own_methods(interface):
        for _ in range(REQUESTS):
            sent = Sent(method, chance)
            request = Spoiled(codec.method(method.index).pack(sent.values, sent.rooms), chance)
            in_python: list[dict[str, Any]] = []
            in_c.clear()
            one, two = request.to_c(skeleton), request.to_python(codec, in_python)
            if one != two:
                found.append(f"{method}: {one} in C, {two} in Python: {request}")
            for (called, seen), other in zip(in_c, in_python, strict=one == two):
                found += [
                    f"{called}: {parameter.name} differs: {request}"
                    for parameter in called.parameters
                    if _is_comparable(parameter)
                    and repr(plain(parameter.type, seen[parameter.name]))
                    != repr(plain(parameter.type, other[parameter.name]))
                ]
    return found


def _is_comparable(parameter: Parameter) -> bool:
    """C is not told how many elements of an inrout sequence are the caller's."""
    is_sequence = isinstance(parameter.type.resolved, Sequence)
    return parameter.direction.goes_in and not (
        parameter.direction is Direction.INROUT and is_sequence
    )


def main(seed: str, sanitized: str = "") -> int:
    """Print what is different; 1 if something is."""
    if sanitized:  # sanitizers refuse RTLD_DEEPBIND; -Bsymbolic does the same
        vars(os).pop("RTLD_DEEPBIND", None)
    found = differences(int(seed), (*FLAGS, *(SANITIZERS if sanitized else ())))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
