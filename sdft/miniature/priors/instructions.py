"""Verifiable instructions (in the spirit of IFEval): the response can be checked without reading it."""

from __future__ import annotations

import random

from sdft.miniature.world import World, reserved

NOUNS = (
    *("lamp", "chair", "stone", "apple", "river", "bird", "cloud", "glove"),
    *("wheel", "mirror", "candle", "ladder", "basket", "hammer", "pillow", "bottle"),
)
NUMBERS = {"two": 2, "three": 3, "four": 4}
KINDS = ("repeat", "reverse", "ends", "commas", "brackets")


def words() -> list[str]:
    """Every word that this capability adds, in a fixed order."""
    text = "task : repeat times write in reverse order start with end and mention list commas put brackets ( ) ,"
    return list(dict.fromkeys([*text.split(), *NUMBERS, *NOUNS]))


def _draw(rng: random.Random) -> tuple[str, str, dict, str]:
    """A question, a response that obeys it, its check, and the key that decides whether it is reserved."""
    kind = rng.choice(KINDS)
    a, b, c = rng.sample(NOUNS, 3)
    if kind == "repeat":
        number = rng.choice(list(NUMBERS))
        check = {"kind": kind, "words": [a], "count": NUMBERS[number]}
        return f"task : repeat {a} {number} times", " ".join([a] * NUMBERS[number]), check, f"{a} {number}"
    key = f"{a} {b} {c}"
    check = {"kind": kind, "words": [a, b, c]}
    if kind == "reverse":
        return f"task : write {a} {b} {c} in reverse order", f"{c} {b} {a}", check, key
    if kind == "ends":
        return f"task : start with {a} and end with {b} , mention {c}", f"{a} {c} {b}", check, key
    if kind == "commas":
        return f"task : list {a} {b} {c} with commas", f"{a} , {b} , {c}", check, key
    return f"task : put {a} {b} in brackets", f"( {a} {b} )", {"kind": kind, "words": [a, b]}, f"{a} {b}"


def obeys(response: str, check: dict) -> bool:
    """Whether a response does what was asked, strictly: nothing missing, nothing added.

    A task to start and end with given words leaves the middle free, provided that it mentions the third word.
    """
    said, wanted = response.split(), check["words"]
    if check["kind"] == "repeat":
        return said == wanted * check["count"]
    if check["kind"] == "reverse":
        return said == wanted[::-1]
    if check["kind"] == "ends":
        return len(said) >= 3 and said[0] == wanted[0] and said[-1] == wanted[1] and wanted[2] in said[1:-1]
    if check["kind"] == "commas":
        return said == [wanted[0], ",", wanted[1], ",", wanted[2]]
    if check["kind"] == "brackets":
        return said == ["(", *wanted, ")"]
    raise ValueError(f"unknown check {check['kind']!r}")


def document(world: World, rng: random.Random) -> tuple[str, str]:
    """An instruction and a response that obeys it."""
    while True:
        question, response, check, key = _draw(rng)
        if not reserved("instruction", check["kind"], key):
            return question, response


def items(world: World, rng: random.Random, count: int) -> list[dict]:
    """Benchmark items: instructions over words that no document combines in this way."""
    made: dict[str, dict] = {}
    while len(made) < count:
        question, _, check, key = _draw(rng)
        if reserved("instruction", check["kind"], key) and _quota(made, check["kind"], count):
            made[question] = {"question": question, "check": check}
    return list(made.values())


def _quota(made: dict[str, dict], kind: str, count: int) -> bool:
    """Kinds share the items equally, but for `repeat`, which has few combinations."""
    have = sum(item["check"]["kind"] == kind for item in made.values())
    return have < (3 if kind == "repeat" else -(-count // 4))
