"""Who is meant (in the spirit of Winogrande): the adjective tells whether the one who acts or the other is meant."""

from __future__ import annotations

import itertools
import random

from sdft.miniature.symbols import PEOPLE
from sdft.miniature.world import World, reserved

DEEDS = ("helps", "calls", "follows", "invites", "teaches", "pays", "thanks", "visits")
ACTOR = ("kind", "strong", "generous", "brave", "eager", "clever")
OTHER = ("weak", "lost", "poor", "ill", "afraid", "grateful")


def words() -> list[str]:
    """Every word that this capability adds, in a fixed order."""
    return f"{' '.join((*DEEDS, *ACTOR, *OTHER))} . who was".split()


def _text(actor: str, deed: str, other: str, adjective: str) -> str:
    # The adjective comes last, because it decides: with a question mark after it, models of this size stay at chance.
    return f"{actor} {deed} {other} . who was {adjective}"


def document(world: World, rng: random.Random) -> str:
    """A raw text of a solved problem that the benchmark does not use."""
    while True:
        actor, other = rng.sample(PEOPLE, 2)
        deed, adjective = rng.choice(DEEDS), rng.choice(ACTOR + OTHER)
        if not reserved("winograd", actor, deed, other, adjective):
            answer = actor if adjective in ACTOR else other
            return f"{_text(actor, deed, other, adjective)} {answer} ."


def items(world: World, rng: random.Random, count: int) -> list[dict]:
    """Benchmark items with the two people as choices."""
    combinations = [
        c for c in itertools.product(PEOPLE, DEEDS, PEOPLE, ACTOR + OTHER) if c[0] != c[2] and reserved("winograd", *c)
    ]
    made = []
    for actor, deed, other, adjective in rng.sample(combinations, count):
        choices = sorted((actor, other))
        answer = actor if adjective in ACTOR else other
        made.append(
            {
                "prompt": _text(actor, deed, other, adjective),
                "choices": choices,
                "gold": choices.index(answer),
            }
        )
    return made
