"""What student and teacher say to a few questions before the first step and after the last, for a person to read.

`rollouts.json` lies beside metrics.jsonl. Nothing depends on it, and making it moves no random state.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from sdft.common.errors import SdftError
from sdft.common.files import read_json, write_json
from sdft.common.progress import say
from sdft.common.seeds import derived_seed
from sdft.divergence import token_divergence
from sdft.learning.engines import GenerateEngine, stop_tokens
from sdft.learning.spec import Inputs, own_options
from sdft.losses.encoding import Encoder, completion_hidden
from sdft.methods import find_method
from sdft.models.attention import choose_attention
from sdft.models.files import load_model, load_tokenizer
from sdft.records.record import Record, read_records
from sdft.study.plan import RunSpec

ROLLOUTS = "rollouts.json"
QUESTIONS, TOKENS = 2, 64
DEFINITION = (
    "Sampled at the training's temperature. The student sees the question alone, the teacher is shown a demonstration "
    "beside it. Colours: KL(teacher || student) over the whole vocabulary at each token of the student's answer. A "
    "method without a teacher is compared with its own weights shown the demonstration."
)
WITHOUT_AVERAGE = (
    "The sweep trained these weights and did not keep the average that taught them, so the teacher after the last step "
    "is the trained model itself, shown the demonstration."
)


@dataclass(frozen=True)
class Shown:
    """The questions whose answers are kept: their records, and the prompts of student and teacher as token ids."""

    records: list[Record]
    prompts: list[list[int]]
    teacher_prompts: list[list[int]]
    tokens: int


def questions(records: list[Record], encoder: Encoder, style: str, longest: int) -> Shown | None:
    """The first records that have a demonstration of that style; None where there is none."""
    found = [record for record in records if style in record.demonstrations][:QUESTIONS]
    if not found:
        return None
    tokens = min(longest, TOKENS)
    room = encoder.context - tokens
    return Shown(
        found,
        [encoder.student_prompt(record)[-room:] for record in found],
        [encoder.teacher_prompt(record, style)[-room:] for record in found],
        tokens,
    )


@torch.no_grad()
def keep(
    path: Path,
    at: Literal["start", "end"],
    shown: Shown,
    student: Any,
    teacher: Any,
    tokenizer: Any,
    engine: GenerateEngine,
    temperature: float,
    seed: int,
    note: str = "",
) -> None:
    """Sample both models and add what they say to the file; `start` begins it anew. note: what else there is to say.

    Where the device's memory does not suffice, or a distribution is no number, it is said and nothing is written.
    """
    options = {"temperature": temperature, "max_new_tokens": shown.tokens, "seed": derived_seed(seed, 0, f"shown {at}")}
    try:
        said = engine.sample(student, shown.prompts, **options)
        taught = engine.sample(teacher, shown.teacher_prompts, **options)
        logits = [
            model.get_output_embeddings()(completion_hidden(model, prompts, said, engine.pad)) / temperature
            for model, prompts in ((student, shown.prompts), (teacher, shown.teacher_prompts))
        ]
        apart = token_divergence(*logits)
    except (torch.OutOfMemoryError, FloatingPointError) as error:
        say(f"no samples are kept for the run's page: {error}")
        return
    found = [
        {
            "at": at,
            "id": record.id,
            "question": record.prompt[-1]["content"],
            "student": {
                "tokens": _texts(tokenizer, said.tokens[k][said.mask[k]].tolist()),
                "divergence": [round(value, 4) for value in apart[k][said.mask[k]].tolist()],
            },
            "teacher": "".join(_texts(tokenizer, taught.tokens[k][taught.mask[k]].tolist())),
        }
        for k, record in enumerate(shown.records)
    ]
    definition = f"{DEFINITION} {note}".rstrip()
    write_json(path, {"definition": definition, "samples": [*(_before(path) if at == "end" else []), *found]})


def keep_adopted(path: Path, spec: RunSpec, inputs: Inputs) -> None:
    """Write to `path` what a run says whose finished weights beside it were trained as a candidate, which keeps none.

    Its student says before the first step and after the last what the candidate's said then.
    """
    method = find_method(spec.method)(spec.settings, 0, own_options(spec))
    tokenizer = load_tokenizer(inputs.base.folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def load(folder: Path) -> Any:
        model = load_model(folder, device, spec.settings.weights_dtype)
        choose_attention(model)
        return model.eval()

    start = load(inputs.start.folder)
    encoder = Encoder(tokenizer, getattr(start.config, "max_position_embeddings", None) or 2**31, spec.settings)
    prompts = read_records(inputs.prompts) if inputs.prompts else []
    records = method.arrange(read_records(inputs.rows), prompts, spec.seed)
    shown = questions(records, encoder, spec.demonstration, spec.settings.max_new_tokens)
    if shown is None:
        return
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    engine = GenerateEngine(pad, stop_tokens(start, tokenizer))
    frozen = load(inputs.base.folder) if method.teacher == "base" else None
    note = WITHOUT_AVERAGE if method.teacher == "ema" else ""
    for at, student in (("start", start), ("end", load(path.parent / "weights"))):
        teacher = student if frozen is None else frozen
        keep(path, at, shown, student, teacher, tokenizer, engine, spec.settings.temperature, spec.seed, note)


def _texts(tokenizer: Any, tokens: list[int]) -> list[str]:
    """Each token's own part of the text, so that the parts make up the whole."""
    whole, texts = "", []
    for end in range(1, len(tokens) + 1):
        longer = tokenizer.decode(tokens[:end])
        texts.append(longer[len(whole) :])
        whole = longer
    return texts


def _before(path: Path) -> list[dict[str, Any]]:
    """What was kept before the first step, where it can be read."""
    try:
        return [entry for entry in read_json(path)["samples"] if entry["at"] == "start"]
    except (SdftError, KeyError, TypeError):
        return []
