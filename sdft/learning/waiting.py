"""Weights of candidates that wait for the selection, since the winner's may be those of a final run."""

from __future__ import annotations

import shutil
from pathlib import Path

# Beside weights that go with the selection, except for the winner's.
WAITING = "until_selected"


def let_go(folder: Path) -> None:
    """Delete a candidate's weights and snapshots, and with them what says that they are there."""
    for name in ("model.json", WAITING):
        (folder / name).unlink(missing_ok=True)
    for name in ("weights", "snapshots"):
        shutil.rmtree(folder / name, ignore_errors=True)
