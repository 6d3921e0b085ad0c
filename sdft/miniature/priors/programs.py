"""Small programs (in the spirit of HumanEval): one or two operations are described, and a body must compute them."""

from __future__ import annotations

import itertools
import random

from sdft.miniature.world import World, reserved

NAMES = ("x", "n", "k")
NUMBERS = tuple("23456789")
SIGNS = {"add": "+", "subtract": "-", "multiply by": "*"}
TEST_INPUTS = (0, 1, 2, 5, 11, -3)


def words() -> list[str]:
    """Every word that this capability adds, in a fixed order."""
    return [
        "function",
        "of",
        ":",
        ",",
        "then",
        "return",
        "(",
        ")",
        *NAMES,
        *NUMBERS,
        *SIGNS.values(),
        *" ".join(SIGNS).split(),
    ]


def _question(name: str, steps: tuple[tuple[str, str], ...]) -> str:
    return f"function of {name} : " + " , then ".join(f"{operation} {number}" for operation, number in steps)


def _body(name: str, steps: tuple[tuple[str, str], ...]) -> str:
    (first, a), *rest = steps
    body = f"{name} {SIGNS[first]} {a}"
    for operation, number in rest:
        body = f"( {body} ) {SIGNS[operation]} {number}"
    return f"return {body}"


def _expected(value: int, steps: tuple[tuple[str, str], ...]) -> int:
    for operation, number in steps:
        amount = int(number)
        value = {"add": value + amount, "subtract": value - amount, "multiply by": value * amount}[operation]
    return value


def document(world: World, rng: random.Random) -> tuple[str, str]:
    """A description and its program."""
    while True:
        name = rng.choice(NAMES)
        steps = tuple((rng.choice(list(SIGNS)), rng.choice(NUMBERS)) for _ in range(rng.choice((1, 2, 2))))
        if not reserved("program", name, str(steps)):
            return _question(name, steps), _body(name, steps)


def items(world: World, rng: random.Random, count: int) -> list[dict]:
    """Benchmark items: programs that no document contains, with inputs and the outputs they must give."""
    step = list(itertools.product(SIGNS, NUMBERS))
    programs = [(name, steps) for name in NAMES for steps in [*((s,) for s in step), *itertools.product(step, step)]]
    held = [(name, steps) for name, steps in programs if reserved("program", name, str(steps))]
    return [
        {
            "question": _question(name, steps),
            "argument": name,
            "tests": [[value, _expected(value, steps)] for value in TEST_INPUTS],
            "reference": _body(name, steps),
        }
        for name, steps in rng.sample(held, count)
    ]
