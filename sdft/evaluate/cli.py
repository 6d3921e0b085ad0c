"""The command-line options that the measuring commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdft.common.files import sha256_file, sha256_files
from sdft.tasks import task_names

MODEL = "model folder, a run's model.json or a base's ready.json"


def parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """A parser for `python -m sdft.evaluate{name}` that keeps the line breaks of its texts."""
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(
        prog=f"python -m sdft.evaluate{name}", description=description, epilog=examples, formatter_class=form
    )


def add_one_task(made: argparse.ArgumentParser) -> None:
    """One task, its records and the file to write."""
    add = made.add_argument
    add("--task", required=True, metavar="TASK", help=f"one of {', '.join(task_names())}")
    add("--data", required=True, metavar="PATH", help="records (.jsonl), or an official arrow folder or JSON")
    add("--out", required=True, metavar="FILE.json", help="the result")
    add("--limit", type=positive, metavar="N", help="only the first N records")


def add_context(made: Any) -> None:
    """What stands in the prompt beside the question."""
    add = made.add_argument
    add(
        "--context",
        metavar="STYLE",
        help="show each record's own demonstration of that style, through the teacher's template; the style article is "
        "put ahead of the question instead, as plain context (default: the question alone)",
    )
    add(
        "--template",
        choices=("official", "paper"),
        default="official",
        help="the teacher's template: of the released code (default) or as the paper prints it",
    )


def add_lengths(made: Any) -> None:
    """How long a prompt and a response may get, and how many responses are made at a time."""
    add = made.add_argument
    add(
        "--max-new-tokens",
        type=positive,
        default=2048,
        metavar="N",
        help="longest response, in tokens (default: %(default)s)",
    )
    add("--batch-size", type=positive, default=16, metavar="N", help="prompts at a time (default: %(default)s)")
    add_overlong(made)


def add_overlong(made: Any) -> None:
    """What becomes of a prompt that is too long."""
    add = made.add_argument
    add(
        "--max-prompt-tokens",
        type=positive,
        metavar="N",
        help="longest prompt (default: what the model's context holds)",
    )
    add(
        "--overlong",
        choices=("error", "truncate_left"),
        default="truncate_left",
        help="what to do with longer ones (default: cut them from the left, and count them)",
    )


def add_machine(made: argparse.ArgumentParser) -> None:
    """Tokenizer, device and number format."""
    add = made.add_argument_group("machine").add_argument
    add("--tokenizer", metavar="DIR", help="tokenizer folder (default: the model's)")
    add("--device", default="auto", help="auto (default: a GPU where there is one), cpu, cuda, cuda:1 ...")
    add("--dtype", choices=("auto", "float32", "bfloat16"), default="auto", help="of the weights (default: as stored)")


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def chosen_device(name: str) -> str:
    """The device that "auto" means here, or the one named."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name


def data_digest(path: Path) -> str | dict[str, str]:
    """SHA-256 of a data file, or of every file of a data folder."""
    return sha256_files(path) if path.is_dir() else sha256_file(path)
