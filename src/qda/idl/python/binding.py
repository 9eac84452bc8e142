"""Methods as Python functions: called with Python arguments, served by a Python function.

Which arguments and results these have, `qda.idl.python.signature` says.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import NamedTuple, Protocol

from qda.errors import UsageError, UsageTypeError, quoted
from qda.fastrpc.scalars import Scalars
from qda.idl.model import Direction, Interface, Parameter
from qda.idl.python.lift import Classes, Lift, Lifted, lift_of, room_of_target
from qda.idl.python.signature import arguments_of, capacities_of, result_name, results_of
from qda.idl.python.straight import Caller, Server, Straight
from qda.idl.types import DmaHandle, String
from qda.idl.wire.calls import InterfaceCodec, MethodCodec
from qda.idl.wire.records import refusal
from qda.idl.wire.values import Bytes, Given, Handle, Value

__all__ = ["Binding", "BoundMethod", "Invoke"]


class Invoke(Protocol):
    """Calls a method of a module that is open somewhere, and fills `outs`."""

    def __call__(
        self,
        method: int,
        ins: Sequence[Bytes],
        outs: Sequence[Bytes],
        in_handles: Sequence[Handle],
        out_handles: Sequence[Handle],
        *,
        timeout: float | None = None,
        label: str,
    ) -> object: ...


class _Given(NamedTuple):
    """An argument of an implementation: a value, or a target to fill."""

    name: str
    parameter: Parameter
    target: bool
    lift: Lift | None


class BoundMethod:
    """A method that can be called with Python arguments, and served by a Python function.

    `caller` is given what invokes and the arguments, of which those of `capacities_of` come at the
    end; it marshals, invokes, and unmarshals.  `server` serves what has the method's `counts` and
    no more, None if that needs a walk; `serve` serves anything.
    """

    def __init__(self, codec: MethodCodec, interface: Interface, classes: Classes) -> None:
        method = codec.method
        self.codec = codec
        self.label = f"{interface.c_name}.{method.name}"
        self._arguments = [
            (one.name, one.direction.goes_in, one.direction is Direction.ROUT)
            for one in arguments_of(method)
        ]
        self._capacities = [one.name for one in capacities_of(method)]
        self._results = [(one.name, lift_of(one.type, classes)) for one in results_of(method)]
        handles = [one for one in method.parameters if isinstance(one.type.resolved, DmaHandle)]
        self._handles = [one.name for one in handles if one.direction.goes_in]
        self._handles += [one.name for one in handles if one.direction.comes_out]
        self._needed = [one.name for one in results_of(method) if one.type.is_simple]
        self._given = [
            _Given(one.name, one, _is_target(one), lift_of(one.type, classes))
            for one in arguments_of(method)
        ]
        self._tuple = classes.get(result_name(interface, method), _as_tuple)
        self.caller: Caller = lambda invoke, *arguments: self._call(invoke, arguments)
        self.server: Server | None = None
        straight = Straight(codec, classes, self.label, self._tuple)
        if straight.fits:
            scalars = Scalars(method.index, *codec.counts)
            self.caller = straight.caller(self._call)
            self.server = straight.server(
                lambda function, buffers: self.serve(function, scalars, buffers)
            )

    # The caller's side.

    def _call(self, invoke: Invoke, arguments: Sequence[Given]) -> Lifted:
        values: dict[str, Given] = {}
        rooms: dict[str, Given] = {}
        count = len(self._arguments)
        for (name, is_value, is_room), argument in zip(self._arguments, arguments, strict=False):
            if is_value:
                values[name] = argument
            if is_room:
                rooms[name] = argument
        for name, capacity in zip(self._capacities, arguments[count:], strict=True):
            if capacity is not None:
                rooms[name] = capacity
        packed = self.codec.pack(values, rooms)
        try:
            invoke(
                packed.scalars.method,
                packed.ins,
                packed.outs,
                packed.in_handles,
                packed.out_handles,
                label=self.label,
            )
        except (UsageError, UsageTypeError) as error:
            number, names = error.handle_argument, self._handles
            if number is None or len(names) != len(packed.in_handles) + len(packed.out_handles):
                raise
            what = f"{self.codec.method.name}: parameter {names[number]}"
            raise refusal(what, error) from None
        if not self._results:
            return None
        found = self.codec.unpack(packed)
        results = [
            found[name] if lift is None else lift(found[name]) for name, lift in self._results
        ]
        return results[0] if len(results) == 1 else self._tuple(*results)

    # The implementation's side.

    def serve(
        self,
        function: Callable[..., Given],
        scalars: Scalars,
        arguments: list[Bytes | Handle],
    ) -> None:
        """Run an implementation with the arguments of a request, in wire order.  MarshalError;
        UsageTypeError, UsageError for results that do not fit; whatever the function raises."""

        def run(inputs: dict[str, Value], targets: dict[str, Value]) -> dict[str, Given]:
            returned = function(*(_argument(given, inputs, targets) for given in self._given))
            results = self._by_name(returned)
            self.codec.check_texts(results, targets)
            return results

        ins_end = scalars.in_buffers
        outs_end = ins_end + scalars.out_buffers
        handles_end = outs_end + scalars.in_handles
        self.codec.serve(
            scalars,
            arguments[:ins_end],
            arguments[ins_end:outs_end],
            arguments[outs_end:handles_end],
            arguments[handles_end:],
            run,
        )

    def _by_name(self, returned: Given) -> dict[str, Given]:
        names = [name for name, _ in self._results]
        if isinstance(returned, Coroutine):
            returned.close()
            words = "a coroutine, and nobody awaits it: write `def`, in it perhaps `asyncio.run`"
            raise UsageTypeError(f"{self.label} has returned {words}")
        if returned is None:
            values: Sequence[Given] = [None] * len(names)
        elif len(names) == 1:
            values = [returned]
        elif not isinstance(returned, (tuple, list)) or len(returned) != len(names):
            wanted = f"({', '.join(names)})" if names else "nothing"
            raise UsageTypeError(f"{self.label} returns {wanted}, not {quoted(returned)}")
        else:
            values = returned
        found = dict(zip(names, values, strict=True))
        for name in self._needed:
            if found[name] is None:
                method = self.codec.method.name
                raise UsageTypeError(f"{method}: result {name}: nothing was returned for it")
        return found


def _is_target(parameter: Parameter) -> bool:
    """Whether an implementation gets the room for a result, which may hold a value already."""
    return not parameter.type.is_simple and (
        parameter.direction is Direction.ROUT
        or (parameter.direction is Direction.INROUT and not _is_text(parameter))
    )


def _is_text(parameter: Parameter) -> bool:
    return isinstance(parameter.type.resolved, String)


def _argument(given: _Given, inputs: dict[str, Value], targets: dict[str, Value]) -> Lifted:
    if given.target:
        return room_of_target(given.parameter.type, targets[given.name])
    value = inputs[given.name]
    return value if given.lift is None else given.lift(value)


def _as_tuple(*values: Lifted) -> tuple[Lifted, ...]:
    return values


class Binding:
    """The methods of an interface, by their index.

    `callers` and `servers` are those that have been used: the first by the method's index, the
    others, with the method's name, by the scalars of a call that is in a straight line.
    """

    def __init__(self, interface: Interface, classes: Classes) -> None:
        self.codec = InterfaceCodec(interface)
        self.callers: dict[int, Caller] = {}
        self.servers: dict[Scalars, tuple[Server, str]] = {}
        self._interface, self._classes = interface, classes
        self._methods: dict[int, BoundMethod] = {}

    def method(self, index: int) -> BoundMethod:
        """A method.  MarshalError for one that there is not."""
        found = self._methods.get(index)
        if found is None:
            codec = self.codec.method(index)
            found = self._methods[index] = BoundMethod(codec, self._interface, self._classes)
            self.callers[index] = found.caller
        return found
