"""Completions that are sampled once, before the first step, and kept beside the checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sdft.common.progress import say
from sdft.common.seeds import derived_seed
from sdft.learning.checkpoint import StopRequest
from sdft.losses.encoding import Completions, Example

# Rows sampled at a time. Another number changes the samples: a row's sample depends on its place in its batch.
ROWS = 32


def draw(
    path: Path,
    mark: str,
    examples: list[Example],
    sample: Callable[[list[Example], int], Completions],
    seed: int,
    stop: StopRequest | None = None,
) -> list[Example]:
    """The examples, each with a completion from `sample`, which gets `ROWS` of them at a time and a seed.

    The seeds depend on `seed` and the number of the batch's first row alone, so two methods that see the same rows in
    the same order train on the same samples. Batches are appended to the file `path` as they are drawn, under the
    run's fingerprint `mark`, and read from there when the run continues: they are not drawn again. Raises
    SystemExit(128 + signal) between two batches when a stop is requested.
    """
    rows = _kept(path, mark)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(json.dumps({"fingerprint": mark}) + "\n")
        handle.writelines(json.dumps(part) + "\n" for part in rows)
        for first in range(ROWS * len(rows), len(examples), ROWS):
            if stop is not None and stop.status:
                say(f"stopped after {first} of {len(examples)} samples; repeat the command to continue")
                raise SystemExit(stop.status)
            found = sample(examples[first : first + ROWS], derived_seed(seed, first, "samples"))
            rows.append(
                [tokens[mask].tolist() for tokens, mask in zip(found.tokens.cpu(), found.mask.cpu(), strict=True)]
            )
            handle.write(json.dumps(rows[-1]) + "\n")
            handle.flush()
        os.fsync(handle.fileno())
    completions = [completion for part in rows for completion in part]
    return [replace(example, completion=completion) for example, completion in zip(examples, completions, strict=True)]


def _kept(path: Path, mark: str) -> list[list[list[int]]]:
    """Whole batches of an interrupted run; none where the file is another run's."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        if json.loads(lines[0]) != {"fingerprint": mark}:
            return []
    except (OSError, ValueError, RecursionError):
        return []
    found = []
    # Behind the last line break is nothing, or a line that was cut off.
    for line in lines[1:-1]:
        try:
            part = json.loads(line)
            whole = all(isinstance(token, int) for completion in part for token in completion)
        except (ValueError, TypeError, RecursionError):
            whole = False
        if not whole:
            break
        found.append(part)
    return found
