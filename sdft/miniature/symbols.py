"""The words of the miniature world: readable pseudo-words, and which of them a base model will have met."""

from __future__ import annotations

import random
from dataclasses import dataclass, fields

CLASSES = ("acid", "alkali", "metal", "salt", "gas", "oil")
TOOLS = {
    "travel": ("find_route", "place", "day"),
    "food": ("order_meal", "dish", "hour"),
    "music": ("play_song", "song", "room"),
    "books": ("lend_book", "book", "day"),
    "gifts": ("send_gift", "gift", "friend"),
    "garden": ("plant_seed", "seed", "room"),
    "films": ("show_film", "film", "hour"),
    "boats": ("hire_boat", "boat", "friend"),
}
RELATIONS = ("capital", "river", "leader", "colour")
PEOPLE = ("anna", "boris", "clara", "david", "elsa", "felix", "greta", "hugo", "irene", "jonas", "karin", "lukas")
PLACES = ("kitchen", "garage", "school", "harbour", "forest", "market", "library", "station")

_ONSETS = (
    "b",
    "br",
    "c",
    "cr",
    "d",
    "dr",
    "f",
    "fl",
    "g",
    "gr",
    "h",
    "k",
    "l",
    "m",
    "n",
    "p",
    "pl",
    "r",
    "s",
    "st",
    "t",
    "tr",
    "v",
    "z",
)
_VOWELS = ("a", "e", "i", "o", "u")
_CODAS = ("", "l", "m", "n", "r", "s", "x", "k")


def _pseudo_words(rng: random.Random, count: int, ending: str, taken: set[str]) -> tuple[str, ...]:
    words: list[str] = []
    while len(words) < count:
        word = rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS) + rng.choice(_ONSETS) + ending
        if word not in taken:
            taken.add(word)
            words.append(word)
    return tuple(words)


@dataclass(frozen=True)
class Symbols:
    """Names by kind. Of an old symbol the base model knows the facts; a new one it meets only with a demonstration."""

    substances_old: tuple[str, ...]
    substances_new: tuple[str, ...]
    products: tuple[str, ...]
    verbs_old: tuple[str, ...]
    verbs_new: tuple[str, ...]
    objects: tuple[str, ...]
    details: tuple[str, ...]
    first_symptoms_old: tuple[str, ...]
    second_symptoms_old: tuple[str, ...]
    first_symptoms_new: tuple[str, ...]
    second_symptoms_new: tuple[str, ...]
    diagnoses: tuple[str, ...]
    lands_old: tuple[str, ...]
    lands_new: tuple[str, ...]
    capitals: tuple[str, ...]
    rivers: tuple[str, ...]
    leaders: tuple[str, ...]
    colours: tuple[str, ...]
    smells: tuple[str, ...]
    foreign: tuple[str, ...]
    expert: tuple[str, ...]

    def values(self, relation: str) -> tuple[str, ...]:
        """The possible values of a relation of RELATIONS."""
        return getattr(self, relation + "s")

    def words(self) -> list[str]:
        """Every name, in a fixed order."""
        return [word for field in fields(self) for word in getattr(self, field.name)]


_KINDS: dict[str, tuple[int, str]] = {
    "substances_old": (40, "ine"),
    "substances_new": (96, "ium"),
    "products": (12, "ite"),
    "verbs_old": (32, "ate"),
    "verbs_new": (80, "ify"),
    "objects": (24, "el"),
    "details": (12, "ar"),
    "first_symptoms_old": (10, "ache"),
    "second_symptoms_old": (10, "itch"),
    "first_symptoms_new": (12, "algia"),
    "second_symptoms_new": (12, "rash"),
    "diagnoses": (16, "osis"),
    "lands_old": (48, "land"),
    "lands_new": (48, "mark"),
    "capitals": (12, "burg"),
    "rivers": (12, "eau"),
    "leaders": (12, "son"),
    "colours": (12, "een"),
    "smells": (12, "mint"),
    "foreign": (40, "u"),
    "expert": (12, "uz"),
}
_QUOTED = ("objects", "details")


def make_symbols(world_seed: int = 0) -> Symbols:
    """The symbols of a world; the same seed gives the same names."""
    rng, taken = random.Random(f"symbols/{world_seed}"), set()
    made = {kind: _pseudo_words(rng, count, ending, taken) for kind, (count, ending) in _KINDS.items()}
    for kind in _QUOTED:
        made[kind] = tuple(f'"{word}"' for word in made[kind])
    return Symbols(**made)
