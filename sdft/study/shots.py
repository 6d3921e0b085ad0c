"""How many worked examples (few-shot) the prior benchmarks can show ahead of a question, as far as files here say."""

from __future__ import annotations

from pathlib import Path

from sdft.common.errors import SdftError
from sdft.data.invented import BENCHMARK_ROWS
from sdft.data.schema import MiniatureData
from sdft.study import definitions
from sdft.study.definitions import Definition
from sdft.study.schema import Scale

# Rows of the split that lm_eval takes examples from, by data set on the hub; of MMLU, those of each subject.
POOLS = {"cais/mmlu": 5, "Rowan/hellaswag": 39_905, "allenai/winogrande": 40_398}


def check_shots(key: str, scale: Scale, folder: Path) -> None:
    """Raise SdftError where a benchmark has fewer examples than the protocol shows, or none would show any.

    folder: of lm_eval's definitions. A benchmark on data that nobody here knows is looked at when its data are there
    (`sdft.evaluate.preflight`).
    """
    wanted = scale.prior.num_fewshot
    if not wanted:
        return
    tasks = [(name, task) for name, entry in scale.prior.tasks.items() for task in (entry.task, *entry.siblings)]
    found = [(name, definitions.first_task(folder, task)) for name, task in tasks]
    if all(definition is not None and definition.shots == 0 for _, definition in found):
        raise SdftError(
            f"{key}: {wanted} would change nothing, since the definition of every benchmark fixes num_fewshot: 0; set "
            "it to null."
        )
    for name, definition in found:
        most = _most(scale, definition) if definition is not None and definition.shots != 0 else None
        if most is not None and wanted > most:
            raise SdftError(
                f"{key}: {wanted} examples cannot be shown ahead of a question of {name}, whose data have {most} for "
                f"that; give at most {most}, or null for none."
            )


def _most(scale: Scale, definition: Definition) -> int | None:
    """Examples that a task has for each question; None where that is not known."""
    if isinstance(scale.data, MiniatureData) or scale.prior.local_data:
        # They are rows of the same file, without the question itself.
        rows = scale.data.benchmark_items if isinstance(scale.data, MiniatureData) else BENCHMARK_ROWS
        return rows - 1
    rows = POOLS.get(definition.data or "")
    return None if rows is None else rows - definition.same_split
