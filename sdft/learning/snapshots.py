"""Weights along a run: written so that they are whole or absent, and listed in the run's model.json."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from torch import Tensor

from sdft.common.files import by_umask, sha256_files
from sdft.learning.checkpoint import disk_errors, sync_folder

FOLDER = "snapshots"


def save_model(
    model: Any,
    tokenizer: Any,
    part: Path,
    place: Path,
    weights: dict[str, Tensor] | None = None,
    card: str | None = None,
) -> None:
    """Save model and tokenizer in Hugging Face format to the folder `part`, flush them to disk, rename it to `place`.

    weights: the whole ones, where the model has only a shard of each. card: the text of README.md. Both folders must be
    on one file system. What lies in either is replaced.
    """
    shutil.rmtree(part, ignore_errors=True)
    with disk_errors(part.parent):
        model.save_pretrained(part, state_dict=weights)
        tokenizer.save_pretrained(part)
        by_umask(part)
        if card is not None:
            (part / "README.md").write_text(card, encoding="utf-8")
        for path in part.iterdir():
            with open(path, "rb") as handle:
                os.fsync(handle.fileno())
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(part, place)
        sync_folder(place.parent)


def snapshot_steps(steps: int, parts: int) -> list[int]:
    """After which of `steps` steps each of `parts` equal parts ends, but for the last, which is the run's own end."""
    return sorted({round(steps * part / parts) for part in range(1, parts)} - {0, steps})


class Snapshots:
    """The snapshots of one run in `out`/snapshots/{step}, at the ends of so many equal parts of its steps.

    A snapshot is taken before any checkpoint of its step or a later one, so that a run which continues from a
    checkpoint has all snapshots before it, and takes those after it again.
    """

    def __init__(self, out: Path, steps: int, parts: int) -> None:
        self.folder, self.part, self.steps = out / FOLDER, out / "state" / "snapshot", steps
        self.wanted = snapshot_steps(steps, parts)

    def take(self, step: int, model: Any, tokenizer: Any, weights: dict[str, Tensor] | None = None) -> None:
        """Keep the model after `step` steps, if a part ends there. weights: as in `save_model`."""
        if step in self.wanted:
            save_model(model, tokenizer, self.part, self.folder / str(step), weights)

    def complete(self, done: int) -> bool:
        """Whether every snapshot of the first `done` steps is there."""
        return all((self.folder / str(step)).is_dir() for step in self.wanted if step <= done)

    def clear(self) -> None:
        """Remove the snapshots of an earlier run in the same folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def record(self) -> list[dict[str, Any]]:
        """What model.json says: step, fraction of the run, folder and SHA-256 of its files, in the order of steps."""
        places = [(step, self.folder / str(step)) for step in self.wanted]
        return [
            {"step": step, "fraction": round(step / self.steps, 6), "path": str(place), "sha256": sha256_files(place)}
            for step, place in places
        ]
