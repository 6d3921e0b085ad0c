"""In the cage: the process of a program's tests, which sees the program through messages alone."""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sdft.common.cage.program import said
from sdft.common.cage.values import Messages, Unlike, pack, send, unpack


class ProgramEnded(BaseException):
    """The program's process is gone in the middle of its tests."""


class ProgramFailed(Exception):
    """The program raised an error before its tests began."""


class Program:
    """A running program, as its tests see it."""

    def __init__(self, answers: Messages, asks: int) -> None:
        self.answers, self.asks = answers, asks
        self.ended = False
        self.broken: str | None = None

    def answer(self) -> dict[str, Any]:
        """The program's next message. Raises ProgramEnded, and Unlike for what is none."""
        try:
            answer = self.answers.receive()
        except (EOFError, OSError):
            self.ended = True
            raise ProgramEnded from None
        except Unlike as error:
            self.broken = str(error)
            raise
        if not isinstance(answer, dict):
            self.broken = "what came back is no message"
            raise Unlike(self.broken)
        return answer

    def space(self) -> dict[str, Any]:
        """What the tests find under the program's names. Raises ProgramFailed where it did not get that far."""
        found = self.answer()
        if "failed" in found:
            raise ProgramFailed(str(found["failed"]))
        # Else `abs` in a test could be the program's.
        space = {name: self.function(name) for name in found["functions"] if not hasattr(builtins, name)}
        for name, module in found["modules"].items():
            if module.split(".")[0] in sys.stdlib_module_names:
                with suppress(Exception):
                    space[name] = importlib.import_module(module)
        return space | {name: unpack(value) for name, value in found["values"].items()}

    def function(self, name: str) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            arguments = {"given": [pack(value) for value in given], "named": {k: pack(v) for k, v in named.items()}}
            try:
                send(self.asks, {"name": name} | arguments)
            except BrokenPipeError:
                self.ended = True
                raise ProgramEnded from None
            answer = self.answer()
            if "raised" in answer:
                raise _error(answer)
            return unpack(answer.get("value"))

        return call


def _error(answer: dict[str, Any]) -> Exception:
    """What a function of the program raised: of the same kind, where that is one of Python's own."""
    kind, text = getattr(builtins, str(answer["raised"]), None), str(answer.get("said"))
    text = text.removeprefix(f"{answer['raised']}: ")
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(TypeError):
            return kind(text)
    return RuntimeError(text)


def test(tests: str, program: Program) -> dict[str, Any]:
    """Run the tests against the program; what the warden is told."""
    ready = program.answer()
    if "ready" not in ready:
        return {"broken": ready.get("broken")}
    value, outcome = None, "passed"
    try:
        space = program.space()
        exec(compile(tests, "<tests>", "exec"), space)
        value = pack(space.get("value"))
    except ProgramFailed as error:
        outcome = f"failed: {error}"
    except BaseException as error:
        outcome = f"failed: {said(error)}"
    # Tests may swallow errors, these too.
    if program.ended:
        return {"ended": True}
    if program.broken:
        return {"outcome": f"failed: {program.broken}"}
    return {"outcome": outcome, "value": value if outcome == "passed" else None}
