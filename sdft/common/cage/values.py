"""Plain values between a program and its tests: what comes back from a program is data, never an object of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, KeysView
from typing import Any

# The largest message, in bytes, and the longest iterator that is handed over.
LARGEST, LONGEST = 4 << 20, 100_000


class Unlike(ValueError):
    """A value or a message that is no plain data."""


def pack(value: Any) -> Any:
    """A value as JSON can write it. Raises Unlike for one that is no plain data."""
    if value is None or isinstance(value, bool | str):
        return value if value is None or isinstance(value, bool) else str.__str__(value)
    if isinstance(value, int):
        # Hexadecimal, since Python refuses to read long decimal numbers.
        return int(value) if -(1 << 60) < value < 1 << 60 else {"int": hex(value)}
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, bytes | bytearray):
        return {type(value).__name__: list(value)}
    if isinstance(value, list):
        return [pack(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [pack(part) for part in value]}
    if isinstance(value, set | frozenset | KeysView):
        return {"frozenset" if isinstance(value, frozenset) else "set": [pack(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[pack(key), pack(part)] for key, part in value.items()]}
    if isinstance(value, range):
        return {"range": [value.start, value.stop, value.step]}
    if isinstance(value, Iterator):
        parts = [pack(part) for part, _ in zip(value, range(LONGEST + 1), strict=False)]
        if len(parts) > LONGEST:
            raise Unlike("an iterator without end cannot be handed to the tests")
        return {"iterator": parts}
    if type(value).__module__ == "numpy" and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        return pack(value.item())
    raise Unlike(f"a value of type {type(value).__name__} cannot be handed to the tests")


MAKERS = {
    "int": lambda text: int(text, 16),
    "complex": lambda parts: complex(*parts),
    "bytes": bytes,
    "bytearray": bytearray,
    "tuple": lambda parts: tuple(map(unpack, parts)),
    "set": lambda parts: set(map(unpack, parts)),
    "frozenset": lambda parts: frozenset(map(unpack, parts)),
    "dict": lambda parts: {unpack(key): unpack(part) for key, part in parts},
    "range": lambda parts: range(*parts),
    "iterator": lambda parts: iter([unpack(part) for part in parts]),
}


def unpack(packed: Any) -> Any:
    """The value that `pack` packed. Raises Unlike for anything else."""
    if isinstance(packed, list):
        return [unpack(part) for part in packed]
    if not isinstance(packed, dict):
        return packed
    try:
        ((kind, parts),) = packed.items()
        return MAKERS[kind](parts)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Unlike("what came back is no plain data") from None


def send(descriptor: int, message: Any) -> None:
    """Write one message, a line of JSON. Raises Unlike for one that is too large."""
    data = json.dumps(message).encode() + b"\n"
    if len(data) > LARGEST:
        raise Unlike(f"more than {LARGEST >> 20} MiB cannot be handed to the tests")
    while data:
        data = data[os.write(descriptor, data) :]


class Messages:
    """Messages that arrive at a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.waiting = descriptor, b""

    def receive(self) -> Any:
        """The next message. Raises EOFError at the end, Unlike for what is no message."""
        while b"\n" not in self.waiting:
            read = os.read(self.descriptor, 1 << 16)
            if not read:
                raise EOFError
            self.waiting += read
            if len(self.waiting) > LARGEST:
                raise Unlike("what came back is too large")
        text, _, self.waiting = self.waiting.partition(b"\n")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise Unlike("what came back is no message") from None
