"""Story continuation (in the spirit of HellaSwag): activities are scripts of four steps; which ending goes on?"""

from __future__ import annotations

import random

from sdft.miniature.symbols import PEOPLE, PLACES
from sdft.miniature.world import World, reserved

SCRIPTS = (
    ("mixes flour", "kneads dough", "bakes bread", "slices bread"),
    ("digs holes", "drops seeds", "waters soil", "picks beans"),
    ("fills buckets", "soaps windows", "rinses glass", "dries glass"),
    ("buys canvas", "stirs paint", "brushes strokes", "hangs pictures"),
    ("chops logs", "stacks wood", "lights fire", "warms hands"),
    ("cuts cloth", "threads needles", "sews sleeves", "wears coats"),
    ("opens books", "turns pages", "takes notes", "writes essays"),
    ("packs bags", "locks doors", "boards trains", "meets friends"),
)
CHOICES = 4


def _pronoun(person: str) -> str:
    return "she" if person.endswith("a") or person in ("irene", "karin") else "he"


def _opening(person: str, place: str) -> str:
    return f"{person} is in the {place} . {_pronoun(person)}"


def _tell(steps: tuple[str, ...]) -> str:
    return " , then ".join(steps) + " ."


def words() -> list[str]:
    """Every word that this capability adds, in a fixed order."""
    text = " ".join(step for script in SCRIPTS for step in script)
    return f"is in the {' '.join((*PEOPLE, *PLACES))} she he , then . {text}".split()


def document(world: World, rng: random.Random) -> str:
    """A raw text: one story of a person, place and script that the benchmark does not use together."""
    while True:
        person, place, which = rng.choice(PEOPLE), rng.choice(PLACES), rng.randrange(len(SCRIPTS))
        if not reserved("story", person, place, str(which), one_in=4):
            return f"{_opening(person, place)} {_tell(SCRIPTS[which])}"


def items(world: World, rng: random.Random, count: int) -> list[dict]:
    """Benchmark items: a story's first step or two, its ending, and three endings out of order or off topic."""
    stories = [
        (person, place, which)
        for person in PEOPLE
        for place in PLACES
        for which in range(len(SCRIPTS))
        if reserved("story", person, place, str(which), one_in=4)
    ]
    made = []
    # Each story once: lm_eval confuses two items whose prompt and choice are the same text, parted at different words.
    for person, place, which in rng.sample(stories, count):
        shown = rng.choice((1, 2))
        script = SCRIPTS[which]
        left, right = script[:shown], script[shown:]
        one, two = rng.sample([s for s in SCRIPTS if s != script], 2)
        wrong = (right[1:] + right[:1], one[shown:], right[:-1] + two[-1:])
        choices = [_tell(right), *map(_tell, wrong)]
        order = rng.sample(range(CHOICES), CHOICES)
        prompt = f"{_opening(person, place)} {' , then '.join(left)} , then"
        made.append({"prompt": prompt, "choices": [choices[i] for i in order], "gold": order.index(0)})
    return made
