"""`python -m sdft.records.trl`: rows of this project as rows for TRL's trainers, and back.

TRL's SDFTTrainer reads `prompt` and `privileged_context`, its SFTTrainer `prompt` and `completion`; one row holds
all three. Answer, identifier and what else a record keeps go along as further columns, which the trainers leave alone.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_text
from sdft.common.locks import publish_alone
from sdft.records.jsonl import COMPLETION, UNNAMED, load
from sdft.records.prompts import CLOSING, EXAMPLE
from sdft.records.record import Record, write_records

EXAMPLES = """examples:
  python -m sdft.records.trl --to trl results/mini/data/tooluse/train.jsonl trl.jsonl --style shared
  python -m sdft.records.trl --to sdft trl.jsonl records.jsonl
"""
# SDFTConfig.teacher_prompt_template with which TRL's teacher is shown what ours is, where the template is "official".
TEACHER_PROMPT_TEMPLATE = "\n{prompt}\n\n" + EXAMPLE + "{privileged_context}\n\n" + CLOSING + ".\n"
# The settings of SDFTConfig with which TRL's SDFTTrainer has the loss of our defaults, at an EMA rate of 0.01.
# Importance weights are off: TRL multiplies each token by its own ratio, the official code and ours each sequence by
# its mean ratio.
SDFT_CONFIG: dict[str, Any] = {
    "distillation_mode": "full_logits",
    "distillation_alpha": 0.0,
    "distillation_is_clip": None,
    "num_loss_tokens_to_skip": 3,
    "teacher_model_kind": "ema",
    "teacher_update_rate": 0.01,
    "teacher_sync_steps": 1,
    "teacher_prompt_template": TEACHER_PROMPT_TEMPLATE,
    "num_generations": 1,
    "temperature": 1.0,
    "max_prompt_length": None,
    "max_completion_length": 2048,
}


def to_trl(record: Record, style: str | None = None) -> dict[str, Any]:
    """A record as a row for TRL. style: the demonstration to show; None for the record's only one.

    The completion is the record's own, or the demonstration where it has none. Raises SdftError for a record without
    that style, or with several where none is named.
    """
    shown = {name: text for name, text in record.demonstrations.items() if name != COMPLETION}
    if style is None and len(shown) != 1:
        raise SdftError(
            f"record {record.id!r} has {len(shown)} demonstrations ({', '.join(shown) or 'none'}); name one with "
            "--style."
        )
    text = record.demonstration(style or next(iter(shown)))
    completion = record.demonstrations.get(COMPLETION, text)
    row: dict[str, Any] = {
        "id": record.id,
        "prompt": record.prompt,
        "completion": [{"role": "assistant", "content": completion}],
        "privileged_context": text,
    }
    row |= {"answer": record.answer} if record.answer is not None else {}
    return row | ({"meta": record.meta} if record.meta else {})


def from_trl(path: str, style: str = UNNAMED) -> list[Record]:
    """Records of a file of TRL's rows; their demonstration gets the style. Raises SdftError naming file and line."""
    found = []
    for record in load(path):
        texts = {style if name == UNNAMED else name: text for name, text in record.demonstrations.items()}
        if texts.get(COMPLETION) == texts.get(style):
            texts.pop(COMPLETION, None)
        found.append(Record(record.id, record.prompt, texts, record.answer, record.meta))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.records.trl",
        description="Write rows of this project as rows for TRL's SDFTTrainer and SFTTrainer, or such rows as records.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", required=True, choices=("trl", "sdft"))
    parser.add_argument("rows", metavar="IN.jsonl")
    parser.add_argument("out", metavar="OUT.jsonl")
    parser.add_argument("--style", metavar="NAME", help="the demonstration to show, or the style of what is read")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    if options.to == "sdft":
        write_records(options.out, from_trl(options.rows, options.style or UNNAMED))
        return
    rows = [to_trl(record, options.style) for record in load(options.rows)]
    write_text(options.out, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))


if __name__ == "__main__":
    run_main(main)
