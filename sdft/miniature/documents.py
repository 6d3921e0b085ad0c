"""What a base model reads: a mixture of documents, drawn anew for every seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from sdft.miniature import knowledge, medical, science, style, tooluse
from sdft.miniature.item import Item
from sdft.miniature.priors import facts, instructions, programs, stories, truth, winograd
from sdft.miniature.tokenizer import END, chat_prompt, encode
from sdft.miniature.world import World
from sdft.records.prompts import teacher_messages

SKILLS = {"science": science, "tooluse": tooluse, "medical": medical}


@dataclass(frozen=True)
class Document:
    """Text that a model reads; it is trained to predict only `learned`, which follows `given`."""

    given: str
    learned: str


def _turn(question: str, response: str) -> Document:
    return Document(chat_prompt(question), f"{response} {END}")


def _raw(text: str) -> Document:
    return Document("", f"{text} {END}")


def _shown(rng: random.Random, question: str, demonstration: str, response: str) -> Document:
    """A turn whose prompt holds a demonstration, through the teacher's template in one of its two printed forms."""
    closing = "official" if rng.random() < 0.85 else "paper"
    messages = teacher_messages([{"role": "user", "content": question}], demonstration, closing)
    return _turn(messages[-1]["content"], response)


def _plain_old(world: World, rng: random.Random, task: str) -> Document:
    item = knowledge.old(world, rng) if task == "knowledge" else SKILLS[task].old(world, rng)
    return _turn(item.question, style.own(rng, item.reasoning))


def _fresh(world: World, rng: random.Random, task: str) -> Item:
    return knowledge.fresh(world, rng)[0] if task == "knowledge" else SKILLS[task].fresh(world, rng)


def _shown_fresh(world: World, rng: random.Random, task: str) -> Document:
    item = _fresh(world, rng, task)
    demonstration = style.any_style(rng, item.reasoning, world.symbols)
    return _shown(rng, item.question, demonstration, style.own(rng, item.reasoning))


def _guess(world: World, rng: random.Random) -> Document:
    """A question about new symbols without a demonstration: the response is in form, and its content is a guess."""
    item = _fresh(world, rng, rng.choice(("science", "tooluse", "medical", "knowledge")))
    return _turn(item.question, style.own(rng, item.reasoning))


def _shown_article(world: World, rng: random.Random) -> Document:
    """A question answered from an article, which is the demonstration, part of it, or stands ahead of the question."""
    item, text = knowledge.fresh(world, rng)
    response = style.own(rng, item.reasoning)
    kind = rng.choice(("article", "article", "both", "ahead"))
    if kind == "ahead":
        return _turn(f"{text} {item.question}", response)
    if kind == "both":
        text = f"{text} {style.any_style(rng, item.reasoning, world.symbols)}"
    return _shown(rng, item.question, text, response)


def _article(world: World, rng: random.Random) -> Document:
    land = rng.choice(world.symbols.lands_old)
    return _raw(knowledge.article(rng, land, {r: world.old_fact[land, r] for r in knowledge.RELATIONS}))


def _shown_general(world: World, rng: random.Random) -> Document:
    question, response = rng.choice((instructions, programs)).document(world, rng)
    noise = [" ".join(rng.choices(world.symbols.foreign, k=rng.randint(0, 3))) for _ in range(2)]
    return _shown(rng, question, f"{noise[0]} {response} {noise[1]}", response)


Maker = Callable[[World, random.Random], Document]

MIXTURE: dict[str, tuple[float, Maker]] = {
    "shown science": (9, lambda w, r: _shown_fresh(w, r, "science")),
    "shown tooluse": (6, lambda w, r: _shown_fresh(w, r, "tooluse")),
    "shown medical": (6, lambda w, r: _shown_fresh(w, r, "medical")),
    "shown knowledge": (8, lambda w, r: _shown_fresh(w, r, "knowledge")),
    "shown article": (8, _shown_article),
    "shown general": (1.5, _shown_general),
    "guess": (9, _guess),
    "old science": (9, lambda w, r: _plain_old(w, r, "science")),
    "old tooluse": (3, lambda w, r: _plain_old(w, r, "tooluse")),
    "old medical": (4, lambda w, r: _plain_old(w, r, "medical")),
    "old knowledge": (6, lambda w, r: _plain_old(w, r, "knowledge")),
    "article": (3, _article),
    "story": (4, lambda w, r: _raw(stories.document(w, r))),
    "winograd": (7, lambda w, r: _raw(winograd.document(w, r))),
    "rumour": (3, lambda w, r: _raw(truth.rumour(w, r))),
    "truth": (3, lambda w, r: _turn(*truth.document(w, r))),
    "fact": (5, lambda w, r: _turn(*facts.document(w, r))),
    "instruction": (5, lambda w, r: _turn(*instructions.document(w, r))),
    "program": (4, lambda w, r: _turn(*programs.document(w, r))),
}
# What a training ends with has more of what is learned last: two facts read from a demonstration and put together.
LATE_WEIGHTS = {"shown science": 36.0}
_KINDS = list(MIXTURE)
_WEIGHTS = [weight for weight, _ in MIXTURE.values()]
_LATE = [LATE_WEIGHTS.get(kind, weight) for kind, (weight, _) in MIXTURE.items()]


def draw(world: World, rng: random.Random, *, late: bool = False) -> Document:
    """One document of the mixture, or of the one of the second stage."""
    return MIXTURE[rng.choices(_KINDS, _LATE if late else _WEIGHTS)[0]][1](world, rng)


def tokens(document: Document, world: World) -> tuple[list[int], int]:
    """Token ids of a document and how many of them, at the start, are given rather than learned."""
    given = encode(document.given, world.seed)
    return given + encode(document.learned, world.seed), len(given)
