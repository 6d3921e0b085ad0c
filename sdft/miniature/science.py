"""Science: two substances have classes, two classes have a product, and the question offers four products.

The base model knows which classes form which product, and the classes of old substances. The classes of new substances
are the new knowledge; the test asks about pairs of new substances that no demonstration showed. The answer is the name
of the chosen option between the tags that the real task's scorer reads.
"""

from __future__ import annotations

import itertools
import random

from sdft.miniature.item import Item
from sdft.miniature.style import Reasoning
from sdft.miniature.symbols import CLASSES
from sdft.miniature.world import World

WORDINGS = (
    "what forms when {a} meets {b} ? {options}",
    "mix {a} with {b} : which product ? {options}",
    "choose the product of {a} and {b} : {options}",
)

CHOICES = 4


def make(world: World, rng: random.Random, pair: tuple[str, str], classes: dict[str, str]) -> Item:
    """The question about one pair under a class map, with distractors and wording drawn from `rng`."""
    a, b = pair
    product = world.reaction[frozenset((classes[a], classes[b]))]
    others = [p for p in world.symbols.products if p != product]
    options = [product, *rng.sample(others, CHOICES - 1)]
    rng.shuffle(options)
    question = rng.choice(WORDINGS).format(a=a, b=b, options=" , ".join(options))
    reasoning = Reasoning("science", ((a, classes[a]), (b, classes[b])), product, f"<answer> {product} </answer>")
    return Item(question, reasoning, product, {"key": [a, b], "cluster": " ".join(sorted(pair))})


def old(world: World, rng: random.Random) -> Item:
    """A question about old substances, whose classes the base model is to know."""
    a, b = rng.sample(world.symbols.substances_old, 2)
    return make(world, rng, (a, b), world.old_class)


def fresh(world: World, rng: random.Random) -> Item:
    """A question about new substances with classes drawn for this one document."""
    a, b = rng.sample(world.symbols.substances_new, 2)
    return make(world, rng, (a, b), {a: rng.choice(CLASSES), b: rng.choice(CLASSES)})


def splits(world: World, rng: random.Random, *, symbols: int, demonstrations: int, validation: int, test: int):
    """Items by split: `symbols` substances in `demonstrations` pairs for training, other pairs of them for the rest.

    Training pairs are drawn in rounds that use each substance once, so that all are shown about equally often. Fewer
    items come back where there are too few pairs.
    """
    names = list(world.symbols.substances_new[:symbols])
    if len(names) * (len(names) - 1) // 4 < demonstrations:
        return {}
    train: list[tuple[str, str]] = []
    seen: set[frozenset[str]] = set()
    while len(train) < demonstrations:
        rng.shuffle(names)
        for a, b in zip(names[::2], names[1::2], strict=False):
            if frozenset((a, b)) not in seen and len(train) < demonstrations:
                seen.add(frozenset((a, b)))
                train.append((a, b))
    unseen = [pair for pair in itertools.combinations(sorted(names), 2) if frozenset(pair) not in seen]
    rng.shuffle(unseen)
    chosen = {"train": train, "validation": unseen[:validation], "test": unseen[validation : validation + test]}
    return {
        split: [make(world, rng, rng.choice((pair, pair[::-1])), world.new_class) for pair in pairs]
        for split, pairs in chosen.items()
    }
