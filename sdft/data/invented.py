"""Invented rows in the schema of the real files, for rehearsals where the real ones are not at hand.

They are made from a few word lists and numbers; nothing is taken from the real sets, and nothing can be learnt here.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from sdft.common.errors import SdftError, did_you_mean

LETTERS = "ABCD"
METALS = ("tin", "zinc", "iron", "lead", "gold", "copper", "nickel", "silver")
ORGANS = ("liver", "heart", "kidney", "spleen", "lung", "stomach", "skin", "eye")
THINGS = ("kettle", "lantern", "ladder", "basket", "hammer", "bottle", "carpet", "mirror")


def rows(task: str, split: str, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """`count` rows of one task's train or test file. Raises SdftError for an unknown task."""
    if task not in MAKERS:
        raise SdftError(f"no rows can be invented for the task {task!r}; {did_you_mean(task, MAKERS)}")
    # Each split numbers its items from another start, so that no prompt of train stands in test.
    start = 0 if split == "train" else 500
    return [
        MAKERS[task](start + number, split, random.Random(f"{seed}/{task}/{start + number}")) for number in range(count)
    ]


def _science(number: int, split: str, chance: random.Random) -> dict[str, Any]:
    options = chance.sample(METALS, 4)
    right = chance.randrange(4)
    system = (
        "Choose the right option. Write your reasoning between <reasoning> and </reasoning>, then only the letter "
        "between <answer> and </answer>."
    )
    lines = [f"{letter}: {option}" for letter, option in zip(LETTERS, options, strict=True)]
    question = f"Which metal is in sample {number}, labelled {options[right]}?\n\n" + "\n".join(lines)
    prompt = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    if split == "train":
        answer = f"<reasoning>\nThe label says {options[right]}.\n</reasoning>\n<answer>\n{LETTERS[right]}\n</answer>"
        return {"messages": prompt, "output_text": answer}
    return {"prompt": prompt, "answer": LETTERS[right]}


def _tooluse(number: int, split: str, chance: random.Random) -> dict[str, Any]:
    thing, count = chance.choice(THINGS), chance.randrange(2, 9)
    documentation = (
        f'order{number}: Order things from shop {number}.\nParameters: {{"item": "string.", "count": "integer."}}\n'
        "Output: Successful response.\n - Format: application/json"
    )
    instruction = f"Please order {count} of the item {thing} from shop {number}."
    arguments = json.dumps({"item": thing, "count": count})
    row = {
        "prompt": f"You can call this tool:\n{documentation}\nWrite Thought, Action, Action Input.\n\n{instruction}",
        "name": f"Shop {number}",
        "description": "An invented shop",
        "nl_documentation": documentation,
        "instruction": instruction,
        "golden_answer": [{"Action": f"order{number}", "Action_Input": arguments}],
    }
    if split == "train":
        row["golden_response"] = [f"Thought: one call is enough.\nAction: order{number}\nAction Input: {arguments}"]
    return row


def _medical(number: int, split: str, chance: random.Random) -> dict[str, Any]:
    organ = chance.choice(ORGANS)
    question = f"Invented case {number}: the note says the trouble is in the {organ}. Which organ is concerned?"
    if split == "train":
        return {"Question": question, "Complex_CoT": f"The note names the {organ}.", "Response": f"It is the {organ}."}
    return {"Open-ended Verifiable Question": question, "Ground-True Answer": organ}


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


MAKERS = {"science": _science, "tooluse": _tooluse, "medical": _medical, "general": _general}


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
