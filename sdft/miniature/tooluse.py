"""Tool use: a verb has a field, a field has one tool with fixed parameters, and the arguments stand in the request.

The base model knows the tools and the verbs of old requests. The field of a new verb is the new knowledge; the test
asks with arguments that no demonstration of the verb showed. Responses are ReAct text, read by the real task's scorer.
"""

from __future__ import annotations

import itertools
import json
import random

from sdft.miniature.item import Item
from sdft.miniature.style import Reasoning
from sdft.miniature.symbols import TOOLS
from sdft.miniature.world import World

WORDINGS = (
    "please {verb} {object} with {detail}",
    "could you {verb} {object} , {detail} in mind ?",
    "with {detail} I want to {verb} {object}",
)


def make(verb: str, field: str, thing: str, detail: str, wording: str) -> Item:
    """The request to do `verb` with two arguments (quoted words)."""
    tool, first, second = TOOLS[field]
    arguments = f'{{ "{first}": {thing} , "{second}": {detail} }}'
    final = f"Action: {tool} Action Input: {arguments}"
    question = wording.format(verb=verb, object=thing, detail=detail)
    gold = [{"Action": tool, "Action_Input": json.dumps(json.loads(arguments))}]
    meta = {"key": [verb, thing, detail], "cluster": verb}
    return Item(question, Reasoning("tooluse", ((verb, field),), tool, final), gold, meta)


def _drawn(world: World, rng: random.Random, verb: str, field: str) -> Item:
    return make(verb, field, rng.choice(world.symbols.objects), rng.choice(world.symbols.details), rng.choice(WORDINGS))


def old(world: World, rng: random.Random) -> Item:
    """A request with an old verb, whose field the base model is to know."""
    verb = rng.choice(world.symbols.verbs_old)
    return _drawn(world, rng, verb, world.old_category[verb])


def fresh(world: World, rng: random.Random) -> Item:
    """A request with a new verb and a field drawn for this one document."""
    return _drawn(world, rng, rng.choice(world.symbols.verbs_new), rng.choice(list(TOOLS)))


def splits(world: World, rng: random.Random, *, symbols: int, demonstrations: int, validation: int, test: int):
    """Items by split: `symbols` verbs shown equally often, with argument pairs that differ between all splits."""
    verbs = world.symbols.verbs_new[:symbols]
    arguments = {verb: list(itertools.product(world.symbols.objects, world.symbols.details)) for verb in verbs}
    for verb in verbs:
        rng.shuffle(arguments[verb])

    def items(count: int) -> list[Item]:
        made = []
        for i in range(count):
            verb = verbs[i % len(verbs)]
            made.append(make(verb, world.new_category[verb], *arguments[verb].pop(), rng.choice(WORDINGS)))
        rng.shuffle(made)
        return made

    return {"train": items(demonstrations), "validation": items(validation), "test": items(test)}
