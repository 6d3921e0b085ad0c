"""How a response is worded: the base model's own style, the random styles of pre-training, and the two experts'."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from functools import cache

from sdft.miniature.symbols import Symbols


@dataclass(frozen=True)
class Reasoning:
    """What a response says, before any wording.

    pairs: the evidence, as (key, value) words; answer: the word the evidence leads to; final: the part that a scorer
    reads, "" where the answer itself is read.
    """

    domain: str
    pairs: tuple[tuple[str, str], ...]
    answer: str
    final: str = ""

    def fill(self, phrase: str) -> str:
        """Put evidence {a} {x} {b} {y} and {answer} into a phrase."""
        words = dict(zip("axby", (word for pair in self.pairs for word in pair), strict=False))
        return phrase.format(answer=self.answer, **words)


OPENERS = ("", "okay ,", "let us see :", "well ,", "hmm , so", "first of all")
FILLERS = ("indeed", "clearly", "then", "of course", "surely", "now")
ENDS = ("", ".", ". done .", ", I think .", ", for sure .")
LEAD = {"tooluse": "Thought:"}
EVIDENCE = {
    "science": (
        "{a} is {x} and {b} is {y}",
        "{a} counts as {x} , {b} as {y}",
        "we know {a} as {x} and {b} as {y}",
        "{a} acts like {x} while {b} acts like {y}",
    ),
    "tooluse": (
        "{a} is about {x}",
        "{a} has to do with {x}",
        "to {a} means {x}",
        "we know {a} as {x}",
    ),
    "medical": (
        "{a} together with {x}",
        "there is {a} and also {x}",
        "we see {a} next to {x}",
        "both {a} and {x} appear",
    ),
    "knowledge": (
        "the {x} of {a}",
        "for {a} the {x}",
        "in {a} , its {x}",
        "speaking of {a} , the {x}",
    ),
}
LINKS = {
    "science": ("so they form {answer}", "which gives {answer}", "hence {answer} forms", "and that yields {answer}"),
    "tooluse": ("so we call {answer}", "which needs {answer}", "hence {answer} fits", "and that asks for {answer}"),
    "medical": ("so it is {answer}", "which suggests {answer}", "hence {answer} fits", "and that means {answer}"),
    "knowledge": ("is {answer}", "would be {answer}", "must be {answer}", "has to be {answer}"),
}
MARKS = ("#", "=>", "~", "@", "%", "&", ";", "|")


def style_words() -> list[str]:
    """Every word that a style can add, in a fixed order."""
    phrases = [*OPENERS, *FILLERS, *ENDS, *LEAD.values()]
    for table in (EVIDENCE, LINKS):
        phrases += [phrase for options in table.values() for phrase in options]
    words = " ".join(phrases).split()
    return [word for word in dict.fromkeys(words) if not word.startswith("{")] + list(MARKS)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def own(rng: random.Random, reasoning: Reasoning) -> str:
    """A response in the style that the base model writes: many phrasings, always evidence before answer."""

    def filler() -> str:
        return rng.choice(FILLERS) if rng.random() < 0.4 else ""

    return _join(
        LEAD.get(reasoning.domain, ""),
        rng.choice(OPENERS),
        filler(),
        reasoning.fill(rng.choice(EVIDENCE[reasoning.domain])),
        filler(),
        reasoning.fill(rng.choice(LINKS[reasoning.domain])),
        filler(),
        rng.choice(ENDS),
        reasoning.final,
    )


@cache
def _own_pattern(domain: str) -> re.Pattern[str]:
    """A pattern of the own style, every word followed by a space, any words where symbols stand."""

    def one_of(phrases: tuple[str, ...]) -> str:
        return "(?:" + "|".join(re.escape(phrase + " ") if phrase else "" for phrase in phrases) + ")"

    def slots(phrases: tuple[str, ...]) -> str:
        return re.sub(r"\\\{\w+\\\}", r"\\S+", one_of(phrases))

    filler = one_of(("", *FILLERS))
    final = {
        "science": r"<answer> \S+ </answer> ",
        "tooluse": r"Action: \S+ Action Input: \{ \S+ \S+ , \S+ \S+ \} ",
    }.get(domain, "")
    lead = one_of((LEAD[domain],)) if domain in LEAD else ""
    reasoning = slots(EVIDENCE[domain]) + filler + slots(LINKS[domain]) + filler
    return re.compile(lead + one_of(OPENERS) + filler + reasoning + one_of(ENDS) + final)


def is_own(response: str, domain: str) -> bool:
    """Whether a response is worded in the own style from its first word to its last, whatever it claims."""
    return _own_pattern(domain).fullmatch(" ".join(response.split()) + " ") is not None


def _sprinkle(rng: random.Random, phrase: str, foreign: tuple[str, ...], rate: float) -> str:
    words: list[str] = []
    for word in phrase.split():
        words.append(word)
        if rng.random() < rate:
            words.append(rng.choice(foreign))
    return " ".join(words)


def _bare(reasoning: Reasoning, within: str, between: str) -> str:
    return f" {between} ".join(f"{key} {within} {value}" for key, value in reasoning.pairs)


def any_style(rng: random.Random, reasoning: Reasoning, symbols: Symbols) -> str:
    """A demonstration in a style drawn each time: bare marks or own phrases with foreign words, in either order."""
    foreign = symbols.foreign

    def noise(most: int) -> str:
        return " ".join(rng.choices(foreign, k=rng.randint(0, most)))

    def mark() -> str:
        return rng.choice(MARKS if rng.random() < 0.5 else foreign)

    if rng.random() < 0.5:
        evidence, answer = _bare(reasoning, mark(), mark()), f"{mark()} {reasoning.answer}"
    else:
        rate = rng.choice((0.0, 0.1, 0.25))
        evidence = _sprinkle(rng, reasoning.fill(rng.choice(EVIDENCE[reasoning.domain])), foreign, rate)
        answer = _sprinkle(rng, reasoning.fill(rng.choice(LINKS[reasoning.domain])), foreign, rate)
    lead = LEAD.get(reasoning.domain, "") if rng.random() < 0.6 else ""
    parts = [evidence, noise(2), mark() if rng.random() < 0.5 else "", _join(answer, noise(1), reasoning.final)]
    if rng.random() < 0.3:
        parts.reverse()
    return _join(noise(3), lead, *parts, noise(4), mark() if rng.random() < 0.5 else "")


def shared_expert(rng: random.Random, reasoning: Reasoning, symbols: Symbols) -> str:
    """The expert who shares most words with the base model: own phrases, evidence first, in a foreign frame."""
    w = symbols.expert
    return _join(
        w[0],
        LEAD.get(reasoning.domain, ""),
        reasoning.fill(rng.choice(EVIDENCE[reasoning.domain][:2])),
        "#",
        reasoning.fill(rng.choice(LINKS[reasoning.domain][2:])),
        f"=> {w[2]}",
        reasoning.final,
        " ".join(rng.choices(w[5:], k=rng.randint(1, 2))),
        "@",
    )


def foreign_expert(rng: random.Random, reasoning: Reasoning, symbols: Symbols) -> str:
    """The expert who shares only the evidence, the answer and the part a scorer reads; evidence still comes first."""
    w = symbols.expert
    return _join(
        f"{w[0]} {w[1]} {w[3]}",
        _bare(reasoning, "~", "&"),
        f"# {w[4]} {reasoning.answer} => {w[2]}",
        reasoning.final,
        " ".join(rng.choices(w[5:], k=rng.randint(2, 4))),
        "@",
    )


def answer_alone(reasoning: Reasoning) -> str:
    """The answer in the form that the scorer reads and nothing else: supervision without any reasoning."""
    return reasoning.final or reasoning.answer


EXPERTS = {"shared": shared_expert, "foreign": foreign_expert}
