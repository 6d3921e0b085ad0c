"""Write the miniature world's data: records of the four tasks, general prompts, and benchmark items.

    python -m sdft.miniature.data --out DIR [--task science|tooluse|medical|knowledge|general|benchmarks]

The same arguments give the same bytes.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import sha256_file, write_json, write_text
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.miniature import knowledge, medical, science, style, tooluse
from sdft.miniature.item import Item
from sdft.miniature.priors import facts, instructions, programs, stories, truth, winograd
from sdft.miniature.schema import DataSpec
from sdft.miniature.symbols import TOOLS
from sdft.miniature.tokenizer import chat_prompt, encode
from sdft.miniature.world import World, make_world, new_symbols
from sdft.records.prompts import teacher_messages
from sdft.records.record import Record, write_records

TASKS = {"science": science, "tooluse": tooluse, "medical": medical, "knowledge": knowledge}
BENCHMARKS = {
    "hellaswag": stories,
    "humaneval": programs,
    "ifeval": instructions,
    "mmlu": facts,
    "truthfulqa": truth,
    "winogrande": winograd,
}
PARTS = (*TASKS, "general", "benchmarks")
# The world has no further general prompt when so many draws in a row gave known ones.
MOST_KNOWN = 5000
ARTICLES_PER_LAND = 4
EXAMPLES = """examples:
  python -m sdft.miniature.data --out /tmp/world --task tooluse --train 64
"""


@dataclass(frozen=True)
class Size:
    """How large a task is. symbols: new substances, verbs, symptom pairs or facts; the others count records."""

    symbols: int
    train: int = 256
    validation: int = 128
    test: int = 256


SIZES = {
    "science": Size(18, 64, 24, 64),
    "tooluse": Size(16, 128, 64, 128),
    "medical": Size(16, 128, 64, 96),
    "knowledge": Size(16, 32, 32, 32),
}


def chance(world: World, task: str) -> float:
    """How often a guess in the right form is right."""
    options = {
        "science": range(science.CHOICES),
        "tooluse": TOOLS,
        "medical": world.symbols.diagnoses,
        "knowledge": world.symbols.capitals,
    }
    return 1 / len(options[task])


def _length(world: World, turn: list[dict[str, str]]) -> int:
    return len(encode(chat_prompt(turn[-1]["content"]), world.seed))


def _record(world: World, name: str, item: Item, demonstrations: dict[str, str]) -> Record:
    turn = [{"role": "user", "content": item.question}]
    teacher = {kind: _length(world, teacher_messages(turn, text)) for kind, text in demonstrations.items()}
    lengths = {"prompt_tokens": _length(world, turn), "teacher_prompt_tokens": teacher}
    # Nothing is drawn for it, and its prompts are shorter than those whose lengths are listed.
    demonstrations = {**demonstrations, "answer": style.answer_alone(item.reasoning)}
    return Record(name, turn, demonstrations, item.gold, {**item.meta, **lengths})


def _experts(world: World, rng: random.Random, item: Item) -> dict[str, str]:
    return {name: expert(rng, item.reasoning, world.symbols) for name, expert in style.EXPERTS.items()}


def _articles(world: World, rng: random.Random, land: str) -> list[str]:
    told = {relation: world.new_fact[land, relation] for relation in knowledge.RELATIONS}
    return [knowledge.article(rng, land, told) for _ in range(ARTICLES_PER_LAND)]


def task_items(world: World, task: str, size: Size) -> dict[str, list[Item]]:
    """Items of a task by split. Raises SdftError when the world has too few symbols or questions for the sizes."""
    if size.symbols > (most := new_symbols(world)[task]):
        raise SdftError(
            f"the world has {most} new symbols for {task}, fewer than {size.symbols}; ask for fewer symbols."
        )
    counts = {"symbols": size.symbols, "demonstrations": size.train, "validation": size.validation, "test": size.test}
    try:
        items = TASKS[task].splits(world, random.Random(f"{task} splits/{world.seed}"), **counts)
    except IndexError:
        items = {}
    expected = {"train": size.train, "validation": size.validation, "test": size.test}
    if any(len(items.get(split, ())) != count for split, count in expected.items()):
        raise SdftError(
            f"the world has too few distinct questions for {task} with {counts}; ask for more symbols or fewer records "
            "(data.sizes in config.yaml)."
        )
    return items


def task_records(world: World, task: str, size: Size) -> dict[str, list[Record]]:
    """Records of a task by split. Raises SdftError as `task_items` does.

    Knowledge has two splits more: ood (indirect questions) and corpus (articles, as a user's text without an answer);
    its demonstrations also come as an article, alone and ahead of each expert's answer. Every task has the
    demonstration "answer": the answer alone.
    """
    items = task_items(world, task, size)
    rng = random.Random(f"{task} experts/{world.seed}")
    told = {land: _articles(world, rng, land) for land in world.symbols.lands_new} if task == "knowledge" else {}

    def demonstrations(item: Item) -> dict[str, str]:
        shown = _experts(world, rng, item)
        if told:
            text = rng.choice(told[item.meta["key"][0]])
            shown |= {"article": text, **{f"article_{name}": f"{text} {answer}" for name, answer in shown.items()}}
        return shown

    records = {
        split: [_record(world, f"{task}-{split}-{i:04d}", item, demonstrations(item)) for i, item in enumerate(drawn)]
        for split, drawn in items.items()
    }
    if told:
        lands = list(dict.fromkeys(land for land, _ in knowledge.new_facts(world, size.symbols)))
        texts = [(land, text) for text in range(ARTICLES_PER_LAND) for land in lands]
        records["corpus"] = [
            Record(f"knowledge-corpus-{i:04d}", [{"role": "user", "content": told[land][t]}], meta={"key": [land]})
            for i, (land, t) in enumerate(texts)
        ]
    return records


def general_questions(world: World, count: int, benchmark_items: int) -> list[str]:
    """Questions of prior capabilities that no benchmark asks. Raises SdftError when the world has too few."""
    rng = random.Random(f"general/{world.seed}")
    spare = facts.questions(world, benchmark_items) + truth.questions(world, benchmark_items)
    rng.shuffle(spare)
    questions = dict.fromkeys(spare[: count // 3])
    known = 0
    while len(questions) < count:
        before = len(questions)
        questions[rng.choice((instructions, programs)).document(world, rng)[0]] = None
        known = known + 1 if len(questions) == before else 0
        if known == MOST_KNOWN:
            raise SdftError(f"the world has fewer than {count} general prompts; lower data.general_prompts.")
    return rng.sample(list(questions), count)


def general_records(world: World, count: int, benchmark_items: int) -> list[Record]:
    """Prompts of prior capabilities, for learning from the base model's own responses, that no benchmark asks."""
    turns = [[{"role": "user", "content": text}] for text in general_questions(world, count, benchmark_items)]
    return [
        Record(f"general-{i:04d}", turn, meta={"prompt_tokens": _length(world, turn)}) for i, turn in enumerate(turns)
    ]


def benchmark_questions(world: World, name: str, count: int) -> list[dict]:
    """Items of one prior benchmark. Raises SdftError when the world has too few."""
    try:
        items = BENCHMARKS[name].items(world, random.Random(f"benchmark {name}/{world.seed}"), count)
    except ValueError:
        items = []
    if len(items) != count:
        raise SdftError(f"the world has too few questions for {count} items of {name}; lower data.benchmark_items.")
    return items


def benchmark_rows(world: World, name: str, count: int) -> list[dict]:
    """Items of one prior benchmark: the rendered prompt, then choices and gold, a check, or tests of a program."""
    items = benchmark_questions(world, name, count)
    rows = []
    for i, item in enumerate(items):
        prompt = item["prompt"] if "prompt" in item else chat_prompt(item["question"])
        encode(" ".join([prompt, *item.get("choices", ())]), world.seed)
        rest = {key: value for key, value in item.items() if key not in ("prompt", "question")}
        rows.append({"id": f"{name}-{i:04d}", "prompt": prompt, **rest})
    return rows


def write_part(
    part: str, out: Path, world_seed: int, size: Size | None, benchmark_items: int, general: int, draw: int = 0
) -> None:
    """Write one part (a task, general or benchmarks) and its manifest.json into out/part."""
    clock, world, folder = Clock(), make_world(world_seed, draw), out / part
    made: dict[str, int] = {}
    if part == "benchmarks":
        for name in BENCHMARKS:
            rows = benchmark_rows(world, name, benchmark_items)
            write_text(folder / f"{name}.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
            made[f"{name}.jsonl"] = len(rows)
    else:
        if part == "general":
            splits = {"train": general_records(world, general, benchmark_items)}
        else:
            splits = task_records(world, part, size)
        for split, records in splits.items():
            write_records(folder / f"{split}.jsonl", records)
            made[f"{split}.jsonl"] = len(records)
    files = {name: {"sha256": sha256_file(folder / name), "rows": rows} for name, rows in made.items()}
    settings = {"part": part, "world_seed": world_seed, "size": vars(size) if size else None}
    settings |= {"draw": draw} if draw else {}
    record = manifest("data", clock=clock, config=settings, seeds={"world": world_seed})
    write_json(
        folder / "manifest.json", {"files": files, "source": "miniature", "settings": settings, "manifest": record}
    )


def main(arguments: list[str] | None = None) -> int:
    options = parse_spec(DataSpec, "sdft.miniature.data", "Write the miniature world's data.", arguments, EXAMPLES)
    if options.task not in (None, *PARTS):
        raise SdftError(f"the world's data have no part {options.task!r}; {did_you_mean(options.task, PARTS)}")
    given = {name: getattr(options, name) for name in ("symbols", "train", "validation", "test")}
    given = {name: value for name, value in given.items() if value is not None}
    if given and options.task not in TASKS:
        raise SdftError(f"--{next(iter(given))} sizes one task; name it with --task ({', '.join(TASKS)}).")
    for part in [options.task] if options.task else PARTS:
        size = Size(**{**vars(SIZES[part]), **given}) if part in TASKS else None
        publish_alone(Path(options.out) / part)
        counts = (options.benchmark_items, options.general)
        write_part(part, Path(options.out), options.world_seed, size, *counts, options.draw)
    return 0


if __name__ == "__main__":
    run_main(main)
