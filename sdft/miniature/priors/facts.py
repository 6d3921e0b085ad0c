"""Recall of facts (in the spirit of MMLU): a short question about an old land, with four values to choose from."""

from __future__ import annotations

import random

from sdft.miniature.symbols import RELATIONS
from sdft.miniature.world import World

WORDINGS = ("quiz : {relation} of {land} ?", "quiz : {land} , its {relation} ?")
CHOICES = 4


def words() -> list[str]:
    """Every word that this capability adds, in a fixed order."""
    return ["quiz", ":", "of", "?", ",", "its", *RELATIONS]


def document(world: World, rng: random.Random) -> tuple[str, str]:
    """A question and its one-word answer."""
    (land, relation), value = rng.choice(list(world.old_fact.items()))
    return rng.choice(WORDINGS).format(land=land, relation=relation), value


def _split(world: World, count: int) -> tuple[list, list]:
    facts = list(world.old_fact.items())
    random.Random(f"facts/{world.seed}").shuffle(facts)
    return facts[:count], facts[count:]


def items(world: World, rng: random.Random, count: int) -> list[dict]:
    """Benchmark items, each about another fact. The facts are in pre-training (that is what the benchmark asks for)."""
    made = []
    for (land, relation), value in _split(world, count)[0]:
        others = [v for v in world.symbols.values(relation) if v != value]
        choices = [value, *rng.sample(others, CHOICES - 1)]
        rng.shuffle(choices)
        question = rng.choice(WORDINGS).format(land=land, relation=relation)
        made.append({"question": question, "choices": choices, "gold": choices.index(value)})
    return made


def questions(world: World, benchmark: int) -> list[str]:
    """Questions about the facts that a benchmark of `benchmark` items leaves out."""
    return [
        w.format(land=land, relation=relation) for (land, relation), _ in _split(world, benchmark)[1] for w in WORDINGS
    ]
