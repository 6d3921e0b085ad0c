"""Invented rows in the schema of the real files, for rehearsals where the real ones are not at hand.

They are made from a few word lists and numbers; nothing is taken from the real sets, and nothing can be learnt here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sdft.common.errors import SdftError, did_you_mean
from sdft.tasks import find_task

# Rows of an invented file, enough for a split of 5 % and for a few steps, and of each prior benchmark.
INVENTED_ROWS = 24
BENCHMARK_ROWS = 6
THINGS = ("kettle", "lantern", "ladder", "basket", "hammer", "bottle", "carpet", "mirror")


def rows(task: str, split: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """`count` rows of one task's train or test file, or of the file of general prompts (task "general").

    Raises SdftError for a task that invents no rows.
    """
    make = _general if task == "general" else find_task(task).invent
    if make is None:
        raise SdftError(
            f"no rows can be invented for the task {task}: give its files, or Task.invent in sdft/tasks/{task}.py."
        )
    # Each split numbers its items from another start, so that no prompt of train stands in test.
    start = 0 if split == "train" else 500
    return [make(start + number, split, random.Random(f"{seed}/{task}/{start + number}")) for number in range(count)]


@dataclass(frozen=True)
class Fact:
    """A sentence of an invented article, and questions about it."""

    question: str
    indirect: str
    answer: str


def article(number: int, facts: int) -> tuple[str, list[Fact]]:
    """An invented article of so many facts: its text, and its facts in the order of the text."""
    chance = random.Random(f"article/{number}")
    made = []
    for place in range(facts):
        thing, count = chance.choice(THINGS), chance.randrange(2, 99)
        village = f"village {number + 1}-{place + 1}"
        made.append(
            Fact(
                f"How many of the things lost in {village} were there, and what were they?",
                f"What would a merchant have to bring to {village} to make good its loss?",
                f"{village.capitalize()} lost {count} {thing}s.",
            )
        )
    return "\n".join([f"Invented flood {number + 1}", *(fact.answer for fact in made)]), made


def _general(number: int, split: str, chance: random.Random) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": f"Write {number + 2} words about a {chance.choice(THINGS)}."}]}


def benchmark_rows(name: str, count: int) -> list[dict[str, Any]]:
    """`count` rows of a prior benchmark in the schema that lm_eval's own task reads. Raises SdftError if unknown."""
    if name not in BENCHMARK_MAKERS:
        raise SdftError(f"no rows can be invented for {name!r}; {did_you_mean(name, BENCHMARK_MAKERS)}")
    return [BENCHMARK_MAKERS[name](number, random.Random(f"{name}/{number}")) for number in range(count)]


def _hellaswag(number: int, chance: random.Random) -> dict[str, Any]:
    things = chance.sample(THINGS, 4)
    return {
        "ind": number,
        "activity_label": "Carrying things",
        "ctx_a": f"A person picks up a {things[0]}.",
        "ctx_b": "the person",
        "ctx": f"A person picks up a {things[0]}. the person",
        "endings": [f"carries the {thing} away." for thing in things],
        "source_id": f"invented~{number}",
        "split": "val",
        "label": "0",
    }


def _humaneval(number: int, chance: random.Random) -> dict[str, Any]:
    name, summand = f"add_{number}", chance.randrange(1, 50)
    return {
        "task_id": f"Invented/{number}",
        "prompt": f'def {name}(x):\n    """Return x plus {summand}."""\n',
        "canonical_solution": f"    return x + {summand}\n",
        "test": f"def check(candidate):\n    assert candidate(1) == {summand + 1}\n",
        "entry_point": name,
    }


def _ifeval(number: int, chance: random.Random) -> dict[str, Any]:
    return {
        "key": number,
        "prompt": f"Write about a {chance.choice(THINGS)}. Use no comma and only lower case letters.",
        "instruction_id_list": ["punctuation:no_comma", "change_case:english_lowercase"],
        "kwargs": [{}, {}],
    }


def _mmlu(number: int, chance: random.Random) -> dict[str, Any]:
    a, b = chance.randrange(2, 9), chance.randrange(2, 9)
    choices = [str(a + b + shift) for shift in range(4)]
    return {"question": f"What is {a} + {b}?", "subject": "abstract_algebra", "choices": choices, "answer": 0}


def _truthfulqa(number: int, chance: random.Random) -> dict[str, Any]:
    thing = chance.choice(THINGS)
    choices = [f"No, a {thing} cannot speak", f"Yes, a {thing} speaks at night"]
    targets = {"choices": choices, "labels": [1, 0]}
    return {"question": f"Can a {thing} speak ({number})?", "mc1_targets": targets, "mc2_targets": targets}


def _winogrande(number: int, chance: random.Random) -> dict[str, Any]:
    big, small = chance.sample(THINGS, 2)
    return {
        "sentence": f"The {big} did not fit into the {small} because the _ was too large.",
        "option1": big,
        "option2": small,
        "answer": "1",
    }


BENCHMARK_MAKERS = {
    "hellaswag": _hellaswag,
    "humaneval": _humaneval,
    "ifeval": _ifeval,
    "mmlu": _mmlu,
    "truthfulqa": _truthfulqa,
    "winogrande": _winogrande,
}
