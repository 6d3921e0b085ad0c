"""Sampling: its speed, whether its log-probabilities are the trainer's, and which ways of decoding agree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.contact import Verdict
from benchmarks.contact.bench import GIB, PAD, STOP, Bench, Phases
from sdft.evaluate.generate import generate
from sdft.fused import Layer, fused_loss
from sdft.losses.encoding import completion_hidden, pad_left
from sdft.losses.importance import importance_weights


def decoding(bench: Bench) -> Iterator[Verdict]:
    """Milliseconds a token of the rollout engine by batch and by length; greedy text of every way to decode."""
    model, new = bench.large, 4 if bench.tiny else 32
    engine = bench.engine()

    def ms(rows: int, length: int, tokens: int = new) -> float:
        prompts = bench.prompts(rows, length)
        # What a shape needs once, such as captured graphs, is not in the time.
        engine.sample(model, prompts, temperature=1.0, max_new_tokens=1 + tokens, seed=0)
        first = bench.seconds(lambda: engine.sample(model, prompts, temperature=1.0, max_new_tokens=1, seed=0))
        whole = bench.seconds(lambda: engine.sample(model, prompts, temperature=1.0, max_new_tokens=1 + tokens, seed=0))
        return round(1000 * (whole - first) / tokens, 2)

    for rows in (2, 4) if bench.tiny else (16, 32, 64):
        yield Verdict(
            f"decoding.batch_{rows}", "recorded, ms a token", {"ms": ms(rows, 32 if bench.tiny else 512)}, None
        )
    for length in (48,) if bench.tiny else (1024, 3072):
        yield Verdict(
            f"decoding.context_{length}", "recorded, ms a token", {"ms": ms(4 if bench.tiny else 32, length)}, None
        )
    yield from _agreement_of_ways(bench, model)


def _agreement_of_ways(bench: Bench, model: Any) -> Iterator[Verdict]:
    """Greedy tokens with a growing cache, with a static one, and of evaluation's loop.

    Kernels differ in the last bits, so two ways may part where the two best tokens are as good as equal.
    """
    new = 6 if bench.tiny else 24
    prompts = bench.prompts(4, 24 if bench.tiny else 256)
    ways = {"dynamic": {}, "static": {"cache_implementation": "static", "disable_compile": True}}
    texts, spent = {}, {}
    for name, options in ways.items():
        greedy(model, prompts, 2, **options)
        spent[name] = bench.seconds(
            lambda name=name, options=options: texts.update({name: greedy(model, prompts, new, **options)})
        )
    loop = lambda: generate(model, prompts, end=set(STOP), max_new_tokens=new, batch_size=4)  # noqa: E731
    spent["loop"] = bench.seconds(lambda: texts.update({"loop": [found.tokens for found in loop()]}))
    for name in ("static", "loop"):
        gaps = [
            _gap(model, prompt, one, two)
            for prompt, one, two in zip(prompts, texts["dynamic"], texts[name], strict=True)
        ]
        measured = {
            "rows_equal": sum(gap is None for gap in gaps),
            "rows": len(gaps),
            "largest_gap_in_nats": max((gap for gap in gaps if gap is not None), default=0.0),
            "ms_a_token": round(1000 * spent[name] / new, 2),
        }
        expected = "as generate() with a growing cache, but for ties of 0.1 nats"
        yield Verdict(f"decoding.greedy_{name}", expected, measured, measured["largest_gap_in_nats"] < 0.1)


@torch.no_grad()
def greedy(model: Any, prompts: list[list[int]], new: int, **options: Any) -> list[list[int]]:
    from transformers import GenerationConfig

    ids, present = pad_left(prompts, PAD, model.device)
    config = GenerationConfig(
        do_sample=False, max_new_tokens=new, pad_token_id=PAD, eos_token_id=STOP, use_cache=True, **options
    )
    tokens = model.generate(input_ids=ids, attention_mask=present.long(), generation_config=config)[:, ids.shape[1] :]
    return [[token for token in row if token not in (PAD, *STOP)] for row in tokens.tolist()]


@torch.no_grad()
def _gap(model: Any, prompt: list[int], one: list[int], two: list[int]) -> float | None:
    """How many nats apart the first two tokens that differ are; None for equal texts."""
    place = next((place for place, pair in enumerate(zip(one, two, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return None
    ids = torch.tensor([prompt + one[:place]], device=model.device)
    log = model(input_ids=ids).logits[0, -1].float().log_softmax(-1)
    return abs(float(log[one[place]] - log[two[place]]))


def agreement(bench: Bench) -> Iterator[Verdict]:
    """The engine's log-probabilities against the trainer's, of the same weights and tokens."""
    model = bench.large
    prompts = bench.prompts(4, 24 if bench.tiny else 512)
    found = bench.engine().sample(model, prompts, temperature=1.0, max_new_tokens=8 if bench.tiny else 64, seed=1)
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        hidden = completion_hidden(model, prompts, found, PAD)
        _, terms = fused_loss("cross_entropy", Layer(hidden, head), None, found.tokens, found.mask, found.mask.double())
        kept = found.mask
        difference = float((terms.log_prob - found.log_probs)[kept].abs().mean())
        weights = importance_weights(terms.log_prob, found.log_probs, found.mask, 2.0)
        logits = (hidden @ head.T).float()
        exact = logits.log_softmax(-1).gather(-1, found.tokens[..., None])[..., 0]
    measured = {"mean_difference_in_nats": difference, "mean_weight": float(weights.mean())}
    good = difference < 0.05 and abs(measured["mean_weight"] - 1) < 0.02
    yield Verdict("agreement.log_probs", "differ by less than 0.05; weights 1 +- 0.02", measured, good)
    wrong = float((exact - terms.log_prob)[kept].abs().max())
    expected = "log-probabilities in float32 of the same logits, within 1e-3"
    yield Verdict("agreement.float32_softmax", expected, {"largest_difference": wrong}, wrong < 1e-3)


def prefill(bench: Bench) -> Iterator[Verdict]:
    """Long prompts, as those with a whole article: seconds and memory."""
    rows, length = (2, 128) if bench.tiny else (2, 24_000)
    phases = Phases(bench)
    before = torch.cuda.memory_allocated() / GIB if bench.gpu else 0
    model = bench.large
    with phases("prefill"):
        bench.engine().sample(model, bench.prompts(rows, length), temperature=1.0, max_new_tokens=1, seed=0)
    measured = {"rows": rows, "tokens": length, "seconds": round(phases.seconds["prefill"], 2)}
    if bench.gpu:
        measured |= {"before_gib": round(before, 2), "peak_gib": round(phases.peaks["prefill"], 2)}
    yield Verdict("prefill.long", "recorded", measured, None)


def graphs(bench: Bench) -> Iterator[Verdict]:
    """generate() with a static cache compiles its step and captures it; it takes a minute, and a C compiler."""
    model = bench.large
    prompts, new = bench.prompts(32, 512), 32
    options = {"cache_implementation": "static", "disable_compile": False}
    first = bench.seconds(lambda: greedy(model, prompts, new, **options))
    then = bench.seconds(lambda: greedy(model, prompts, new, **options))
    plain = bench.seconds(lambda: greedy(model, prompts, new))
    measured = {
        "first_seconds": round(first, 1),
        "ms": round(1000 * then / new, 2),
        "eager_ms": round(1000 * plain / new, 2),
    }
    yield Verdict("graphs.static_compiled", "faster than eager", measured, then < plain)
