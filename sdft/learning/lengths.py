"""`python -m sdft.learning.lengths`: how long a task's prompts are in tokens, before any GPU time is spent on them.

The student's prompt, the teacher's (which holds a demonstration) and the demonstration itself, with what the model's
context and the study's limits would cut.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.methods.settings import TrainingSettings
from sdft.models.schema import Evaluation
from sdft.records.prompts import render, teacher_messages
from sdft.records.record import Record, read_records
from sdft.study.specs import LengthsSpec

# Lengths that are counted beside the study's own: the limits of TRL's defaults and of the official code.
MARKS = (512, 1024, 2048)
EXAMPLES = """examples:
  python -m sdft.learning.lengths --model results/mini/base/m-s1 --data results/mini/data/tooluse \\
    --demonstration shared --settings '{"max_new_tokens": 40}' --out /tmp/lengths.json
"""


def summary(lengths: list[int]) -> dict[str, Any]:
    """Number, median, 90th percentile, maximum, and how many are longer than each mark."""
    tenths = statistics.quantiles(lengths, n=10, method="inclusive") if len(lengths) > 1 else lengths
    return {
        "n": len(lengths),
        "median": statistics.median(lengths),
        "p90": round(tenths[-1], 1),
        "max": max(lengths),
        "longer_than": {str(mark): sum(length > mark for length in lengths) for mark in MARKS},
    }


def count(
    tokenizer: Any,
    records: Iterable[Record],
    style: str | None,
    settings: TrainingSettings,
    context: int,
    evaluation: Evaluation | None = None,
) -> dict[str, Any]:
    """Lengths of one split's prompts, the ids of those that do not fit, and what becomes of these.

    style: of the demonstrations that the teacher is shown; None for a split without. context: positions of the model.
    evaluation: of a split on which a model is measured, where a prompt must leave room for a token, and not for a whole
    completion. Raises SdftError when the tokenizer has no chat template, or a record no demonstration of that style.
    """
    rules = evaluation or settings
    room = context - (1 if evaluation else settings.max_new_tokens)
    limit = min(room, rules.max_prompt_tokens or room)
    lengths: dict[str, list[int]] = {"student_prompt": []}
    over = []
    for record in records:
        sizes = {"student_prompt": len(render(tokenizer, record.prompt))}
        if style is not None:
            demonstration = record.demonstration(style)
            shown = teacher_messages(record.prompt, demonstration, settings.teacher_template)
            sizes["teacher_prompt"] = len(render(tokenizer, shown))
            sizes["demonstration"] = len(tokenizer(demonstration, add_special_tokens=False)["input_ids"])
        for name, size in sizes.items():
            lengths.setdefault(name, []).append(size)
        if max(size for name, size in sizes.items() if name != "demonstration") > limit:
            over.append(record.id)
    fate = {"cut": "truncate_left", "left_out": "drop", "refused": "error"}
    return {
        **{name: summary(sizes) for name, sizes in lengths.items()},
        "limit": limit,
        "over_limit": over,
        **{name: len(over) if rules.overlong == policy else 0 for name, policy in fate.items()},
    }


def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(LengthsSpec, "sdft.learning.lengths", __doc__.splitlines()[0], arguments, EXAMPLES)
    publish_alone(options.out)
    clock, settings, evaluation = Clock(), options.settings, options.evaluation

    from sdft.models.files import find_model, load_tokenizer

    folder = find_model(options.model).folder
    tokenizer = load_tokenizer(folder)
    context = read_json(folder / "config.json").get("max_position_embeddings")
    if not isinstance(context, int) or context < 1:
        raise SdftError(f"{folder / 'config.json'} does not say max_position_embeddings, the length of the context.")
    splits, files = {}, {}
    for split in ("train", "validation", "test"):
        path = Path(options.data) / f"{split}.jsonl"
        records = read_records(path)
        if split == "train":
            splits[split] = count(tokenizer, records, options.demonstration, settings, context)
        else:
            splits[split] = count(tokenizer, records, None, settings, context, evaluation)
        files[str(path)] = sha256_file(path)
    for split, found in splits.items():
        n, over = found["student_prompt"]["n"], found["over_limit"]
        text = f"{len(over)} of {n} {split} rows are longer than {found['limit']} tokens"
        if not over:
            print(text)
        else:
            what = "will be cut from the left" if found["cut"] else "will be left out" if found["left_out"] else None
            if found["limit"] <= 0 or what is None:
                change = (
                    "lower max_new_tokens, set training.overlong to truncate_left or drop"
                    if split == "train"
                    else "raise evaluation.max_prompt_tokens, set evaluation.overlong to truncate_left"
                )
                raise SdftError(
                    f"{options.data}: {text} (the first: {', '.join(over[:3])}); {change}, or take a model with a "
                    "longer context."
                )
            print(f"{text}; they {what}")
    write_json(
        options.out,
        {
            "context": context,
            "max_new_tokens": settings.max_new_tokens,
            "overlong": {"training": settings.overlong, "evaluation": evaluation.overlong},
            "splits": splits,
            "manifest": manifest("lengths", clock=clock, config=settings.model_dump(mode="json"), inputs=files),
        },
    )


if __name__ == "__main__":
    run_main(main)
