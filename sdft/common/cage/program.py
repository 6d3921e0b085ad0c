"""In the cage: the process of a program, which does what it is asked by messages."""

from __future__ import annotations

from contextlib import suppress
from types import ModuleType
from typing import Any

from sdft.common.cage.values import Messages, pack, send, unpack


def serve(program: str, asked: Messages, answers: int) -> None:
    """Run a program, then its functions as they are asked for, until nobody asks any more."""
    space: dict[str, Any] = {}
    try:
        exec(compile(program, "<program>", "exec"), space)
    except BaseException as error:
        send(answers, {"failed": said(error)})
        return
    names: dict[str, Any] = {"functions": [], "modules": {}, "values": {}}
    for name, value in list(space.items()):
        if isinstance(value, ModuleType):
            names["modules"][name] = value.__name__
        elif callable(value):
            names["functions"].append(name)
        elif name != "__builtins__":
            with suppress(Exception):
                names["values"][name] = pack(value)
    send(answers, names)
    while True:
        call = asked.receive()
        try:
            named = {name: unpack(value) for name, value in call["named"].items()}
            answer = {"value": pack(space[call["name"]](*map(unpack, call["given"]), **named))}
        except BaseException as error:
            answer = {"raised": type(error).__name__, "said": said(error)}
        send(answers, answer)


def said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:1000]
    except BaseException:
        return "an error that cannot be printed"
