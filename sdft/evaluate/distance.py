"""`python -m sdft.evaluate.distance`: how far a model, or a base model with a demonstration, is from the base model.

Figure 2 (right) of the paper reports KL to the base in nats and says neither whether a token or a sequence is meant,
nor how it was sampled and estimated. Here all three are fixed by `DEFINITION`, which goes into every result.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import digest
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import starts_again
from sdft.evaluate import cli, set_environment
from sdft.evaluate.partial import Partial, measuring
from sdft.evaluate.preflight import check_model
from sdft.evaluate.questions import read_items
from sdft.models.devices import require_gpus
from sdft.models.files import find_model
from sdft.records.record import Record
from sdft.study.rerun import measure_code
from sdft.study.specs import DivergenceSpec

DEFINITION = (
    "KL(p || q) between distributions over whole responses to a question x: p(y) = model(y | x and its context, if "
    "any), q(y) = base(y | x alone), both at temperature 1 without truncation of the vocabulary; y ends with the token "
    "that ends the turn or after max_new_tokens. Estimate of a response y sampled from p: the sum over its tokens t of "
    "KL(p(. | y before t) || q(. | y before t)) over the full vocabulary, whose expectation is the sequence's KL "
    "exactly (the chain rule; the sampled log-ratio with each token's choice averaged out). nats_per_sequence: mean "
    "over prompts of the mean over samples. nats_per_token: all nats over all tokens, ending tokens included. se: "
    "standard error over prompts (for nats_per_token of the ratio, linearised)."
)

DESCRIPTION = """Estimate KL(model || base) along responses that the model itself samples. With --context the model sees
each record's demonstration (the teacher of Figure 2) while the base still sees the question alone. Repeating an
interrupted command continues it (what is done so far lies in OUT.state), repeating a finished one does nothing.

definition: """

EXAMPLES = """examples:
  python -m sdft.evaluate.distance --model results/mini/runs/table5/RUN/model.json --base results/mini/base/m-s1 \\
    --task tooluse --data results/mini/data/tooluse/test.jsonl --max-new-tokens 64 --out /tmp/sft.json
  python -m sdft.evaluate.distance --model results/mini/base/m-s1 --base results/mini/base/m-s1 \\
    --context shared --task tooluse --data results/mini/data/tooluse/test.jsonl --out /tmp/teacher.json
"""


def response_tokens(completion: Any, end: int) -> list[int]:
    """A completion's tokens with the one that ended it, if any.

    Where several tokens end a turn it does not matter which of them was sampled: nothing follows it.
    """
    return [*completion.tokens, end] if completion.finished else completion.tokens


def token_divergences(
    model: Any,
    prompts: list[list[int]],
    base: Any,
    base_prompts: list[list[int]],
    responses: list[list[int]],
    pad: int,
) -> list[list[float]]:
    """KL(model || base) in nats of the next token, over the full vocabulary, at each token of each response.

    prompts, base_prompts: what each of the two sees ahead of the response; responses: token ids, the ending token
    included, at least one each.
    """
    import torch

    from sdft.divergence import distill
    from sdft.losses.encoding import Example, completion_hidden, completions_of

    completions = completions_of([Example("", [], response) for response in responses], pad, model.device)
    with torch.no_grad():
        found = distill(
            completion_hidden(model, prompts, completions, pad),
            model.get_output_embeddings().weight,
            completion_hidden(base, base_prompts, completions, pad),
            base.get_output_embeddings().weight,
            completions.mask,
            kind="reverse_kl",
        )
    # A divergence of nought can come out below it by rounding.
    values = found.terms.value.clamp(min=0).tolist()
    return [row[: len(response)] for row, response in zip(values, responses, strict=True)]


def estimate(items: Sequence[dict[str, Any]]) -> dict[str, dict[str, float | None]]:
    """{"nats_per_sequence", "nats_per_token"}, each {"mean", "se"}, of items with "nats" and "tokens" by sample.

    se is None for a single item.
    """
    n = len(items)
    means = [sum(item["nats"]) / len(item["nats"]) for item in items]
    mean = sum(means) / n
    nats, tokens = [sum(item["nats"]) for item in items], [sum(item["tokens"]) for item in items]
    ratio = sum(nats) / sum(tokens)

    def error(residuals: list[float], scale: float) -> float | None:
        return math.sqrt(n / (n - 1) * sum(r * r for r in residuals)) / scale if n > 1 else None

    return {
        "nats_per_sequence": {"mean": mean, "se": error([m - mean for m in means], n)},
        "nats_per_token": {
            "mean": ratio,
            "se": error([a - ratio * b for a, b in zip(nats, tokens, strict=True)], sum(tokens)),
        },
    }


def measure(
    model: Any,
    base: Any,
    tokenizer: Any,
    task: str,
    records: list[Record],
    questions: list[Record],
    samples: int,
    decoding: Any,
    partial: Partial,
) -> list[dict[str, Any]]:
    """{"id", "cluster", "nats", "tokens", "finished", "cut"} for each record, the middle three lists over its samples.

    records: what the model is asked, context included; questions: the same records as the base sees them. Raises
    SdftError when prompt and response are longer than the base's context.
    """
    from sdft.evaluate.generate import context_length
    from sdft.evaluate.responses import fit
    from sdft.evaluate.sampling import blocks, sample
    from sdft.records.prompts import render

    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id or 0
    plain, room = {question.id: question for question in questions}, context_length(base)
    waiting = records[len(partial.rows) :]
    with tqdm(total=len(records), initial=len(partial.rows), desc=f"{task} divergence", unit="prompt") as bar:
        for block in blocks(waiting, samples, decoding.batch_size):
            prompts, cut, found = sample(model, tokenizer, task, block, samples, decoding)
            base_prompts = [render(tokenizer, plain[record.id].prompt) for record in block]
            base_prompts, base_cut = fit(task, block, base_prompts, decoding, room)
            responses = [[response_tokens(each, end) for each in completions] for completions in found]
            for record, question, written in zip(block, base_prompts, responses, strict=True):
                longest = len(question) + max(map(len, written))
                if room and longest > room + 1:
                    raise SdftError(
                        f"{task}: the base model reads {longest} tokens of record {record.id!r} and its response, and "
                        f"its context holds {room}; lower --max-new-tokens."
                    )
            rows = list(zip(prompts, base_prompts, responses, strict=True))
            flat = [(prompt, question, response) for prompt, question, written in rows for response in written]
            nats: list[float] = []
            for start in range(0, len(flat), decoding.batch_size):
                ours, theirs, part = map(list, zip(*flat[start : start + decoding.batch_size], strict=True))
                nats += map(math.fsum, token_divergences(model, ours, base, theirs, part, pad))
            partial.add(
                [
                    {
                        "id": record.id,
                        **record.about,
                        "nats": nats[place * samples : (place + 1) * samples],
                        "tokens": [len(response) for response in responses[place]],
                        "finished": [int(completion.finished) for completion in found[place]],
                        "cut": int(cut[place] or base_cut[place]),
                    }
                    for place, record in enumerate(block)
                ]
            )
            bar.update(len(block))
    return partial.rows


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(DivergenceSpec, "sdft.evaluate.distance", DESCRIPTION + DEFINITION, arguments, EXAMPLES)
    require_gpus(options.gpus)
    set_environment(local=True)
    check_model(options.model)
    check_model(options.base)
    records = read_items(options.task, options.data, options.limit, options.context, options.template)
    questions = read_items(options.task, options.data, options.limit)
    found, reference = find_model(options.model), find_model(options.base)

    from sdft.evaluate.responses import Decoding
    from sdft.models.files import load_model, load_tokenizer

    device = cli.chosen_device(options.device)
    clock = Clock(device)
    decoding = Decoding(
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        temperature=1.0,
        seed=options.seed,
        max_prompt_tokens=options.max_prompt_tokens,
        overlong=options.overlong,
    )
    tokenizer_files = cli.tokenizer_digest(options.tokenizer)
    names = ("task", "samples", "limit", "context", "template", "dtype")
    config = {**{name: getattr(options, name) for name in names}, **asdict(decoding), "tokenizer": tokenizer_files}
    data = {options.data: cli.data_digest(Path(options.data))}
    defining = [measure_code("divergence", options.task), config, found.sha256, reference.sha256, data, device]
    key = digest(defining, 16)
    with measuring(options.out, key, "id", [record.id for record in records], options.wait) as partial:
        if partial is None:
            return
        tokenizer = load_tokenizer(options.tokenizer or found.folder)
        model = load_model(found.folder, device, options.dtype)
        base = model if found.sha256 == reference.sha256 else load_model(reference.folder, device, options.dtype)
        if model.config.vocab_size != base.config.vocab_size:
            raise SdftError(
                f"{found.folder} has {model.config.vocab_size} tokens and {reference.folder} {base.config.vocab_size}; "
                "KL needs one vocabulary, so give the base model that the model was trained from."
            )
        items = measure(model, base, tokenizer, options.task, records, questions, options.samples, decoding, partial)
        inputs = {
            "model": {"path": str(found.folder), "sha256": found.sha256},
            "base": {"path": str(reference.folder), "sha256": reference.sha256},
            "data": data,
        }
        if cut := sum(item["cut"] for item in items):
            said = f"{options.task}: {cut} of {len(items)} prompts are too long and were cut from the left"
            print(said, file=sys.stderr)
        ends = [end for item in items for end in item["finished"]]
        content = {
            "task": options.task,
            "context": options.context,
            "n_prompts": len(items),
            "prompts_cut": cut,
            "samples": options.samples,
            "max_new_tokens": options.max_new_tokens,
            "unfinished": 1 - sum(ends) / len(ends),
            **estimate(items),
            "items": items,
            "definition": DEFINITION,
            "manifest": manifest("divergence", clock=clock, config=config, seeds=[options.seed], inputs=inputs),
        }
        partial.finish(content)


if __name__ == "__main__":
    run_main(main)
