"""What an evaluation needs, tried before a model is loaded or trained: what can fail fails in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdft.common.errors import SdftError, did_you_mean
from sdft.evaluate import sandbox
from sdft.models.devices import Gpu
from sdft.models.files import RECORDS, find_model
from sdft.models.size import read_size
from sdft.records.prompts import render
from sdft.records.record import Record

if TYPE_CHECKING:
    from sdft.evaluate.prior import PriorRunner

# GiB beside a model's weights without which nothing is decoded.
ROOM = 1.0
BYTES = {"float32": 4, "bfloat16": 2, "auto": 2}


def check_model(path: str | Path) -> None:
    """Raise SdftError where a path has no model, without reading weights; `find_model` checks the whole later."""
    path = Path(path)
    if not path.is_file() and not any((path / name).is_file() for name in (*RECORDS, "config.json")):
        find_model(path)


def check_benchmarks(runner: PriorRunner, names: Iterable[str]) -> None:
    """Set up prior benchmarks, their data and requirements included, and a sandbox where programs are run.

    Raises SdftError for whatever is missing, and for a metric that a benchmark does not have.
    """
    for name in names:
        known = runner.metrics(name)
        if runner.runs_programs(name):
            sandbox.check_available(runner.config["generated_code"])
        metric, _, _ = runner.config["tasks"][name]["metric"].partition(",")
        if known and metric not in known:
            raise SdftError(f"the prior benchmark {name} has no metric {metric!r}; {did_you_mean(metric, known)}")


def check_prompts(tokenizer: Any, records: Mapping[str, list[Record]]) -> None:
    """Render one prompt of each task. Raises SdftError where the tokenizer has no chat template."""
    for rows in records.values():
        render(tokenizer, rows[0].prompt)


def check_card(folder: Path, dtype: str, cards: list[Gpu]) -> None:
    """Raise SdftError where a model's weights do not fit the GPU on which it is to be measured."""
    size = read_size(folder) if cards else None
    if size is None:
        return
    gib = size.parameters * BYTES[dtype] / 2**30 + ROOM
    if gib > cards[0].gib:
        raise SdftError(
            f"measuring {folder} needs more than {gib:.1f} GiB and {cards[0].name} has {cards[0].gib:.1f}; choose a "
            "larger card (SDFT_SLURM_GPU). Nothing was loaded."
        )
