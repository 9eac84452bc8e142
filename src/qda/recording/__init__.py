"""Recordings: what has crossed the interface of a DSP, with its bytes, kept and played again."""

__all__: list[str] = []
