"""The protocol as values and pure functions: no I/O, no clock, no thread."""

__all__: list[str] = []
