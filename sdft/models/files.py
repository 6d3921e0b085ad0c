"""Finding a model's files, checking that they are the recorded ones, and loading them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, near
from sdft.common.files import check_sha256, read_json, sha256_file
from sdft.common.imports import quick_imports

RECORDS = ("model.json", "ready.json")
WEIGHTS = ("*.safetensors", "*.bin")
# What decides what a model says: its weights, and how it reads, is asked and ends.
DECIDING = (
    *("config.json", "generation_config.json", *WEIGHTS, "*.index.json", "chat_template*", "tokenizer*"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
)


@dataclass(frozen=True)
class ModelFiles:
    """A folder in Hugging Face format, and the SHA-256 of at least the files that decide what the model says."""

    folder: Path
    sha256: dict[str, str]


def find_model(path: str | Path) -> ModelFiles:
    """The model that `path` names: a Hugging Face folder, a run's model.json, a base's ready.json, or their folder.

    Where a record lists SHA-256 digests the files are checked against them; else they are computed. Raises SdftError
    when something is missing or differs.
    """
    path = Path(path)
    if not path.exists():
        raise SdftError(
            f"the model {path} does not exist{near(path)}; give a model folder, a model.json or a ready.json."
        )
    record = path if path.is_file() else next((path / name for name in RECORDS if (path / name).is_file()), None)
    found = ModelFiles(path, deciding_digests(path)) if record is None else _recorded(record)
    if not (found.folder / "config.json").is_file() or not any(list(found.folder.glob(kind)) for kind in WEIGHTS):
        raise SdftError(
            f"{found.folder} is not a model folder in Hugging Face format (config.json and model.safetensors are "
            "needed); give the folder that holds them, a run's model.json or a base model's ready.json."
        )
    return found


def _deciding(folder: Path) -> list[Path]:
    return sorted({file for pattern in DECIDING for file in folder.glob(pattern) if file.is_file()})


def deciding_digests(folder: str | Path) -> dict[str, str]:
    """SHA-256 of the files in a model's or a tokenizer's folder that decide what it says, by name."""
    return {file.name: sha256_file(file) for file in _deciding(Path(folder))}


def _recorded(record: Path) -> ModelFiles:
    content = read_json(record)
    entry = content.get("weights", content)
    path, sha256 = (entry.get("path"), entry.get("sha256")) if isinstance(entry, dict) else (None, None)
    if not isinstance(path, str) or not isinstance(sha256, dict):
        raise SdftError(
            f"{record} does not say where the weights are ('path' and 'sha256', or 'weights' with both); it is not a "
            "model.json or ready.json of this project. Make it again, or give the model folder itself."
        )
    folder = Path(path)
    if not folder.exists() and not folder.is_absolute():
        folder = record.parent / folder
    check_sha256(folder, sha256)
    if unknown := [file.name for file in _deciding(folder) if file.name not in sha256]:
        raise SdftError(
            f"{record} does not record {folder / unknown[0]}, which decides what the model says: the file was added, "
            "or the record is damaged. Remove the file, or delete the record and make it again."
        )
    return ModelFiles(folder, sha256)


@quick_imports()
def load_tokenizer(folder: str | Path) -> Any:
    """The tokenizer in a local folder. Raises SdftError when there is none that can be read."""
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    # Beside a config.json of some model types (Qwen2 among them) AutoTokenizer puts the type's own class in the place
    # of the one that the folder names, and rebuilds a word-level tokenizer as a byte-level one without a word.
    settings = Path(folder) / "tokenizer_config.json"
    restore = "restore it, or name another folder with --tokenizer"
    named = read_json(settings, restore).get("tokenizer_class") if settings.is_file() else None
    kind = PreTrainedTokenizerFast if named in ("TokenizersBackend", "PreTrainedTokenizerFast") else AutoTokenizer
    try:
        return kind.from_pretrained(str(folder), local_files_only=True)
    # The tokenizers library raises bare exceptions for a damaged file.
    except Exception as error:
        raise SdftError(
            f"{folder} holds no tokenizer that can be read ({_first_line(error)}); restore tokenizer.json and "
            "tokenizer_config.json, or name another folder with --tokenizer."
        ) from None


def load_model(folder: str | Path, device: str = "cpu", dtype: str = "auto") -> Any:
    """A causal language model from a local folder, in evaluation mode. `dtype` "auto" keeps that of the weights.

    Raises SdftError for a folder that is no such model, and for a truncated or damaged weights file.
    """
    # Only imports: what is loaded under it is never freed where it is part of a reference cycle.
    with quick_imports():
        import torch
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

    logging.disable_progress_bar()
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SdftError(f"the device {device!r} was asked for but there is no usable GPU here; use --device cpu.")
    wanted = dtype if dtype == "auto" else getattr(torch, dtype)
    try:
        model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=wanted, local_files_only=True)
    except (SafetensorError, EOFError) as error:
        raise SdftError(
            f"the weights in {folder} cannot be read ({_first_line(error)}), so a file is truncated or damaged; "
            "restore it (git checkout, or download it again), or delete it and run the command that made it."
        ) from None
    # What a wrong configuration leads to has no common class: an unknown activation is a KeyError, a negative size a
    # ZeroDivisionError.
    except Exception as error:
        raise SdftError(
            f"{folder} cannot be loaded as a causal language model ({_first_line(error)}); check that config.json "
            "and the weights belong together."
        ) from None
    return model.to(device).eval()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].strip() if str(error).strip() else type(error).__name__
