"""Whether the GPUs of a job can hold its training, before anything is loaded."""

from __future__ import annotations

from pathlib import Path

from sdft.common.files import read_json
from sdft.models.devices import Gpu
from sdft.models.size import ModelSize, read_size
from sdft.study.cards import check_cards
from sdft.study.plan import RunSpec


def check_fits(spec: RunSpec, cards: list[Gpu]) -> None:
    """Raise SdftError where the training of `spec` needs more memory than its GPUs have."""
    if cards:
        check_cards(spec, size_of(spec.base_ready), cards)


def size_of(ready: str) -> ModelSize | None:
    """The size of the base model that a ready.json names, from the headers of its files; None where they do not say."""
    record = Path(ready)
    if not record.is_file():
        return None
    folder = Path(read_json(record).get("path", record.parent))
    return read_size(folder if folder.is_dir() else record.parent / folder)
