"""The model card of a trained model: what it was made from and how, for who finds the folder alone."""

from __future__ import annotations

import re
from typing import Any

from sdft.learning.spec import Inputs, defining
from sdft.methods import find_method
from sdft.methods.hyperparameters import in_words
from sdft.study.plan import RunSpec


def card(spec: RunSpec, inputs: Inputs) -> str:
    """README.md of a resolved run's weights, as the hub shows it; equal for equal runs."""
    title = find_method(spec.method).title
    licence = _licence(inputs)
    settings: dict[str, Any] = defining(spec)["settings"]
    changed = "; ".join(f"{name} {value}" for name, value in settings.items()) or "the defaults"
    said = f"The base model's card says `{licence}`." if licence else "See the base model's card."
    return f"""---
library_name: transformers
base_model: {spec.base}
license: {licence or "other"}
tags: [{spec.method}, continual-learning]
---

# {spec.base} after {title} on {spec.task}

Trained by the reproduction of "Self-Distillation Enables Continual Learning" (arXiv 2601.19897) with the method
`{spec.method}`, seed {spec.seed}: {in_words(spec.hyperparameters.model_dump())}.
Settings that differ from the defaults: {changed}.

Whole weights in Hugging Face format: `AutoModelForCausalLM.from_pretrained(FOLDER)` loads them, with the base model's
tokenizer and chat template. `model.json` beside the folder has every digest, and `run.json` the command's input.

Rows: sha256 `{inputs.rows_sha256}`.

## Licence

These weights are derived from {spec.base}, whose licence holds for them; {said} What the rows may be
used for may bind them further: demonstrations that a commercial model wrote come under its provider's terms. The code
that trained them is Apache-2.0.
"""


def _licence(inputs: Inputs) -> str | None:
    """The licence that the base model's own card names."""
    path = inputs.base.folder / "README.md"
    head = re.match(r"---\n(.*?)\n---", path.read_text(encoding="utf-8"), re.S) if path.is_file() else None
    found = re.search(r"^license: *([\w.-]+)", head[1], re.M) if head else None
    return found[1] if found else None
