"""The facts of a world: what the base model learns in pre-training, and what only the new tasks can teach it."""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import dataclass, replace
from functools import cache

from sdft.miniature.symbols import CLASSES, RELATIONS, TOOLS, Symbols, make_symbols


@dataclass(frozen=True)
class World:
    """Facts keyed by symbol. The maps named new_* are the truth of the new tasks and never enter pre-training.

    draw: which of the world's draws of new_* they are; all else is the same in each.
    """

    seed: int
    draw: int
    symbols: Symbols
    reaction: dict[frozenset[str], str]
    old_class: dict[str, str]
    new_class: dict[str, str]
    old_category: dict[str, str]
    new_category: dict[str, str]
    old_diagnosis: dict[tuple[str, str], str]
    new_diagnosis: dict[tuple[str, str], str]
    old_fact: dict[tuple[str, str], str]
    new_fact: dict[tuple[str, str], str]
    smell: dict[str, str]
    rumour: dict[str, str]


def _balanced(rng: random.Random, keys: list, values: tuple[str, ...]) -> dict:
    """Give each key a value so that the values are used equally often, to within one."""
    pool = [values[i % len(values)] for i in range(len(keys))]
    rng.shuffle(pool)
    return dict(zip(keys, pool, strict=True))


def _reordered(symbols: Symbols, rng: random.Random) -> Symbols:
    """The same symbols with the new ones in another order, since a task teaches the first ones."""
    kinds = ("substances_new", "verbs_new", "lands_new")
    return replace(symbols, **{kind: tuple(rng.sample(names := getattr(symbols, kind), len(names))) for kind in kinds})


@cache
def make_world(seed: int = 0, draw: int = 0) -> World:
    """The world of a seed, with one of its draws of what the new tasks teach: which symbols, and which facts of them.

    Every base model and every data file of one study must share the seed. What a base model has read is the same for
    every draw.
    """
    symbols = make_symbols(seed)

    def rng(purpose: str) -> random.Random:
        own = f"/{draw}" if draw and purpose.startswith("new ") else ""
        return random.Random(f"{purpose}/{seed}{own}")

    if draw:
        symbols = _reordered(symbols, rng("new symbols"))

    pairs = [frozenset(pair) for pair in itertools.combinations_with_replacement(CLASSES, 2)]
    old_pairs = list(itertools.product(symbols.first_symptoms_old, symbols.second_symptoms_old))
    new_pairs = list(itertools.product(symbols.first_symptoms_new, symbols.second_symptoms_new))
    rng("old pairs").shuffle(old_pairs)
    rng("new pairs").shuffle(new_pairs)

    def facts(lands: tuple[str, ...], purpose: str) -> dict[tuple[str, str], str]:
        found: dict[tuple[str, str], str] = {}
        for relation in RELATIONS:
            given = _balanced(rng(f"{purpose} {relation}"), list(lands), symbols.values(relation))
            found |= {(land, relation): value for land, value in given.items()}
        return found

    smell = _balanced(rng("smell"), list(symbols.lands_old), symbols.smells)
    shift = rng("rumour")
    rumour = {land: shift.choice([s for s in symbols.smells if s != true]) for land, true in smell.items()}
    return World(
        seed=seed,
        draw=draw,
        symbols=symbols,
        reaction=_balanced(rng("reaction"), pairs, symbols.products),
        old_class=_balanced(rng("old class"), list(symbols.substances_old), CLASSES),
        new_class=_balanced(rng("new class"), list(symbols.substances_new), CLASSES),
        old_category=_balanced(rng("old category"), list(symbols.verbs_old), tuple(TOOLS)),
        new_category=_balanced(rng("new category"), list(symbols.verbs_new), tuple(TOOLS)),
        old_diagnosis=_balanced(rng("old diagnosis"), old_pairs[:40], symbols.diagnoses),
        new_diagnosis=_balanced(rng("new diagnosis"), new_pairs, symbols.diagnoses),
        old_fact=facts(symbols.lands_old, "old fact"),
        new_fact=facts(symbols.lands_new, "new fact"),
        smell=smell,
        rumour=rumour,
    )


def new_symbols(world: World) -> dict[str, int]:
    """How many symbols each task could teach at most: substances, verbs, pairs of symptoms, and facts of lands."""
    new = {
        "science": world.new_class,
        "tooluse": world.new_category,
        "medical": world.new_diagnosis,
        "knowledge": world.new_fact,
    }
    return {task: len(truth) for task, truth in new.items()}


def reserved(*parts: str, one_in: int = 6) -> bool:
    """Whether a combination belongs to the benchmarks, and so must appear in no pre-training document.

    Decided by a hash of the words, so that the two sides need not know each other's items.
    """
    return hashlib.sha256("\x1f".join(parts).encode()).digest()[0] % one_in == 0
