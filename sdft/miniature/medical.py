"""Medical: a pair of symptoms means a diagnosis, which the question does not offer as an option.

The base model knows the diagnoses of some pairs of old symptoms. The diagnoses of pairs of new symptoms are the new
knowledge: each pair must be memorised; the test asks in wordings that no demonstration used.
"""

from __future__ import annotations

import random

from sdft.miniature.item import Item
from sdft.miniature.style import Reasoning
from sdft.miniature.world import World

WORDINGS = (
    "a {age} patient has {a} and {b} . what is it ?",
    "{a} with {b} in a {age} person , your diagnosis ?",
    "name the illness : {age} , {a} , {b}",
    "which illness shows {a} and {b} in a {age} man ?",
    "a {age} woman complains of {a} and {b} . diagnosis ?",
)
AGES = ("young", "old", "tall", "small", "tired", "busy")
SPLIT_WORDINGS = {"train": (0, 1, 2), "validation": (3,), "test": (4,)}


def make(pair: tuple[str, str], diagnosis: str, wording: str, age: str) -> Item:
    """The question about one pair of symptoms."""
    a, b = pair
    question = wording.format(a=a, b=b, age=age)
    meta = {"key": [a, b], "cluster": " ".join(sorted(pair))}
    return Item(question, Reasoning("medical", (pair,), diagnosis), diagnosis, meta)


def old(world: World, rng: random.Random) -> Item:
    """A question about a pair of old symptoms that the base model is to know."""
    pair = rng.choice(list(world.old_diagnosis))
    return make(pair, world.old_diagnosis[pair], rng.choice(WORDINGS), rng.choice(AGES))


def fresh(world: World, rng: random.Random) -> Item:
    """A question about new symptoms with a diagnosis drawn for this one document."""
    names = world.symbols
    pair = (rng.choice(names.first_symptoms_new), rng.choice(names.second_symptoms_new))
    return make(pair, rng.choice(names.diagnoses), rng.choice(WORDINGS), rng.choice(AGES))


def splits(world: World, rng: random.Random, *, symbols: int, demonstrations: int, validation: int, test: int):
    """Items by split: `symbols` pairs shown equally often, each split with its own wordings."""
    pairs = list(world.new_diagnosis)[:symbols]

    def items(split: str, count: int) -> list[Item]:
        combinations = [(age, WORDINGS[w]) for age in AGES for w in SPLIT_WORDINGS[split]]
        drawn = {pair: rng.sample(combinations, len(combinations)) for pair in pairs}
        made = []
        for i in range(count):
            pair = pairs[i % len(pairs)]
            age, wording = drawn[pair].pop()
            made.append(make(pair, world.new_diagnosis[pair], wording, age))
        rng.shuffle(made)
        return made

    counts = {"train": demonstrations, "validation": validation, "test": test}
    return {split: items(split, count) for split, count in counts.items()}
