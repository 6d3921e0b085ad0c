"""What the measuring commands share: the device they run on, and digests of what they read."""

from __future__ import annotations

from pathlib import Path

from sdft.common.files import sha256_file, sha256_files
from sdft.models.files import deciding_digests


def chosen_device(name: str) -> str:
    """The device that "auto" means here, or the one named."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def tokenizer_digest(folder: str | None) -> dict[str, str] | None:
    """SHA-256 of the files of a tokenizer that is not the model's own; None where none is named."""
    return None if folder is None else deciding_digests(folder)


def data_digest(path: Path) -> str | dict[str, str]:
    """SHA-256 of a data file, or of every file of a data folder."""
    return sha256_files(path) if path.is_dir() else sha256_file(path)
