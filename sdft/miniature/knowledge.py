"""Knowledge: a land has a capital, a river, a leader and a colour, told by an article or by an answer.

The base model knows the facts of old lands from articles and from questions. The facts of new lands are the new
knowledge; the out-of-distribution questions ask for them indirectly.
"""

from __future__ import annotations

import random

from sdft.miniature.item import Item
from sdft.miniature.style import Reasoning
from sdft.miniature.symbols import RELATIONS
from sdft.miniature.world import World

WORDINGS = (
    "what is the {relation} of {land} ?",
    "name the {relation} of {land} .",
    "do you know which {relation} {land} has ?",
    "tell me : {land} , {relation} ?",
    "say which {relation} belongs to {land} .",
)
INDIRECT = {
    "capital": ("from which town is {land} ruled ?", "where does the court of {land} sit ?"),
    "river": ("which water runs through {land} ?", "where do the boats of {land} sail ?"),
    "leader": ("who rules {land} ?", "whom do the people of {land} obey ?"),
    "colour": ("which shade has the flag of {land} ?", "how is the flag of {land} painted ?"),
}
TOLD = ("the {relation} of {land} is {value} .", "its {relation} is called {value} .", "as {relation} it has {value} .")
SPLIT_WORDINGS = {"train": (0, 1), "validation": (2,), "test": (3, 4)}


def question(land: str, relation: str, wording: str) -> str:
    """A direct or indirect question for one fact."""
    return wording.format(land=land, relation=relation)


def make(fact: tuple[str, str], value: str, wording: str) -> Item:
    """The question for one fact (land, relation)."""
    land, relation = fact
    reasoning = Reasoning("knowledge", (fact,), value)
    meta = {"key": [land, relation], "cluster": f"{land} {relation}"}
    return Item(question(land, relation, wording), reasoning, value, meta)


def article(rng: random.Random, land: str, facts: dict[str, str]) -> str:
    """A text that tells all facts (relation to value) of a land, in a random order and wording."""
    relations = list(facts)
    rng.shuffle(relations)
    told = [rng.choice(TOLD).format(land=land, relation=r, value=facts[r]) for r in relations]
    return " ".join([f"{land} is a land .", *told])


def any_wording(rng: random.Random, relation: str) -> str:
    """A direct wording two times in three, else an indirect one."""
    return rng.choice(WORDINGS) if rng.random() < 0.67 else rng.choice(INDIRECT[relation])


def old(world: World, rng: random.Random) -> Item:
    """A question about an old land."""
    fact = rng.choice(list(world.old_fact))
    return make(fact, world.old_fact[fact], any_wording(rng, fact[1]))


def fresh_facts(world: World, rng: random.Random) -> tuple[str, dict[str, str]]:
    """A new land with facts drawn for this one document."""
    land = rng.choice(world.symbols.lands_new)
    return land, {relation: rng.choice(world.symbols.values(relation)) for relation in RELATIONS}


def fresh(world: World, rng: random.Random) -> tuple[Item, str]:
    """A question about a new land with facts drawn for this one document, and an article that tells them."""
    land, facts = fresh_facts(world, rng)
    relation = rng.choice(RELATIONS)
    return make((land, relation), facts[relation], any_wording(rng, relation)), article(rng, land, facts)


def new_facts(world: World, symbols: int) -> dict[tuple[str, str], str]:
    """The first `symbols` facts of the new lands, all facts of a land before the next land's."""
    ordered = [(land, relation) for land in world.symbols.lands_new for relation in RELATIONS]
    return {fact: world.new_fact[fact] for fact in ordered[:symbols]}


def splits(world: World, rng: random.Random, *, symbols: int, demonstrations: int, validation: int, test: int):
    """Items by split: `symbols` facts asked equally often; ood asks indirectly for the facts of the test."""
    facts = list(new_facts(world, symbols).items())

    def items(count: int, wordings) -> list[Item]:
        made = []
        for i in range(count):
            (land, relation), value = facts[i % len(facts)]
            options = wordings(relation)
            made.append(make((land, relation), value, options[(i // len(facts)) % len(options)]))
        rng.shuffle(made)
        return made

    def direct(split: str):
        return lambda relation: [WORDINGS[w] for w in SPLIT_WORDINGS[split]]

    return {
        "train": items(demonstrations, direct("train")),
        "validation": items(validation, direct("validation")),
        "test": items(test, direct("test")),
        "ood": items(test, lambda relation: INDIRECT[relation]),
    }
