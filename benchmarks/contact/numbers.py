"""Numbers of the device against float64 on the CPU."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.contact import Verdict
from benchmarks.contact.bench import PAD, Bench, error
from sdft.divergence import distill, supervise
from sdft.learning.optimization import make_optimizer
from sdft.losses.encoding import Completions, completion_hidden
from sdft.losses.importance import importance_weights
from sdft.losses.rounding import round_stochastically
from sdft.teacher import EMATeacher

# Largest relative error of a gradient, by arithmetic.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 5e-2}


def some_completions(prompts: list[list[int]], length: int, words: int, device: torch.device) -> Completions:
    """Random completions of different lengths with log-probabilities of a uniform distribution."""
    random = torch.Generator().manual_seed(1)
    tokens = torch.randint(2, words, (len(prompts), length), generator=random)
    lengths = length - torch.arange(len(prompts)) % max(1, length // 2)
    mask = torch.arange(length) < lengths[:, None]
    log_probs = torch.full(tokens.shape, -float(torch.tensor(words).log()))
    return Completions(tokens.masked_fill(~mask, PAD).to(device), mask.to(device), log_probs.to(device))


def sdft_loss(student: Any, teacher: Any, prompts: list[list[int]], shown: list[list[int]], found: Completions) -> Any:
    """The loss of a step as `sdft.methods.sdft.SDFT.loss` makes it with the settings of Table 5."""
    with torch.no_grad():
        target = completion_hidden(teacher, shown, found, PAD)
    hidden = completion_hidden(student, prompts, found, PAD)
    return distill(
        hidden,
        student.get_output_embeddings().weight,
        target,
        teacher.get_output_embeddings().weight,
        found.mask,
        skip_tokens=3,
        tokens=found.tokens,
        weights=lambda log_prob: importance_weights(log_prob, found.log_probs, found.mask, 2.0),
    )


def reference(bench: Bench) -> Iterator[Verdict]:
    """A whole gradient of SDFT, and each loss alone, on the device and in float64 on the CPU."""
    words = min(8192, bench.shape["vocab_size"])
    for dtype in (torch.float32, torch.bfloat16):
        models = [bench.small(dtype, seed) for seed in (0, 1)]
        prompts, shown = bench.prompts(4, 12, words), bench.prompts(4, 24, words)
        found = some_completions(prompts, 16, words, bench.device)
        loss = sdft_loss(*models, prompts, shown, found).loss
        loss.backward()
        exact = [copy.deepcopy(model).cpu().double() for model in models]
        exact[0].zero_grad()
        there = Completions(found.tokens.cpu(), found.mask.cpu(), found.log_probs.cpu().double())
        expected = sdft_loss(*exact, prompts, shown, there).loss
        expected.backward()
        measured = {
            "loss": loss.item(),
            "loss_error": abs(loss.item() / expected.item() - 1),
            "gradient_error": error(_gradient(models[0]), _gradient(exact[0])),
        }
        good = measured["gradient_error"] < TOLERANCE[dtype] and measured["loss_error"] < TOLERANCE[dtype]
        name, limit = f"reference.sdft.{str(dtype)[6:]}", TOLERANCE[dtype]
        yield Verdict(name, f"relative errors below {limit:g}", measured, good)
        yield from _losses(bench, dtype)
    yield _impossible(bench)


def _gradient(model: Any) -> Tensor:
    parts = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return torch.cat([part.flatten().double().cpu() for part in parts])


def _losses(bench: Bench, dtype: torch.dtype) -> Iterator[Verdict]:
    """Each loss with the real vocabulary; a chunk holds some of the tokens, so the head's gradient is accumulated."""
    words, width, tokens = bench.shape["vocab_size"], 64, 24
    random = torch.Generator().manual_seed(0)

    def inputs(size: int) -> Tensor:
        return torch.randn(size, width, generator=random).to(dtype)

    states, heads = [inputs(tokens).view(2, -1, width) for _ in range(2)], [inputs(words) / 4 for _ in range(2)]
    chosen = torch.randint(words, (2, tokens // 2), generator=random)
    mask = torch.ones(2, tokens // 2, dtype=torch.bool)
    for kind in ("forward_kl", "reverse_kl", "jsd", "none", "dft"):
        results = []
        for device, arithmetic in ((bench.device, dtype), (torch.device("cpu"), torch.float64)):
            own = [tensor.to(device, arithmetic, copy=True).requires_grad_() for tensor in (states[0], heads[0])]
            if kind in ("none", "dft"):
                loss = supervise(*own, chosen.to(device), mask.to(device), weighting=kind, chunk_size=7).loss
            else:
                other = [tensor.to(device, arithmetic) for tensor in (states[1], heads[1])]
                loss = distill(*own, *other, mask.to(device), kind=kind, chunk_size=7).loss
            loss.backward()
            results.append((loss.item(), own[0].grad, own[1].grad))
        found, exact = results
        measured = {
            "loss_error": abs(found[0] / exact[0] - 1),
            "hidden_gradient_error": error(found[1], exact[1]),
            "head_gradient_error": error(found[2], exact[2]),
        }
        name = {"none": "cross_entropy"}.get(kind, kind)
        limit = TOLERANCE[dtype]
        good = max(measured.values()) < limit
        yield Verdict(f"reference.{name}.{str(dtype)[6:]}", f"relative errors below {limit:g}", measured, good)


def _impossible(bench: Bench) -> Verdict:
    """Logits so far apart that most probabilities are zero in float32."""
    hidden = (1000 * torch.eye(8, 16, device=bench.device))[None].requires_grad_()
    head = torch.eye(32, 16, device=bench.device)
    other = (1000 * torch.eye(8, 16, device=bench.device)).flip(0)[None]
    values = []
    for kind in ("forward_kl", "reverse_kl", "jsd"):
        hidden.grad = None
        loss = distill(hidden, head, other, head, torch.ones(1, 8, dtype=torch.bool, device=bench.device), kind=kind)
        loss.loss.backward()
        values += [loss.loss.isnan().item(), hidden.grad.isnan().any().item()]
    return Verdict(
        "reference.impossible_tokens", "no NaN in losses and gradients", {"nan": sum(values)}, not any(values)
    )


def attention(bench: Bench) -> Iterator[Verdict]:
    """Rows that are padded on the left give what they give alone; the kernels that can serve them, and their speed."""
    model = bench.model(num_hidden_layers=2)
    prompts = bench.prompts(4, 32 if bench.tiny else 512)
    found = some_completions(prompts, 8, bench.shape["vocab_size"], bench.device)
    with torch.no_grad():
        together = completion_hidden(model, prompts, found, PAD)
        alone = [
            completion_hidden(model, prompts[row : row + 1], found.part(slice(row, row + 1)), PAD) for row in range(4)
        ]
    wrong = max(error(together[row, : one.shape[1]], one[0]) for row, one in enumerate(alone))
    measured = {"relative_error": wrong, "nan": bool(together.isnan().any())}
    yield Verdict(
        "attention.left_padding", "below 2e-2 in bfloat16, no NaN", measured, wrong < 2e-2 and not measured["nan"]
    )
    shape, length = bench.shape, 64 if bench.tiny else 2048
    width = shape["hidden_size"] // shape["num_attention_heads"]
    heads = shape["num_attention_heads"]
    query, key, value = (
        torch.randn(4, heads, length, width, device=bench.device, dtype=torch.bfloat16) for _ in range(3)
    )
    mask = torch.ones(length, length, dtype=torch.bool, device=bench.device).tril().expand(4, 1, length, length).clone()
    mask[0, :, :, : length // 4] = False
    mask[0, :, range(length // 4), range(length // 4)] = True
    for padded in (False, True):
        options = {"attn_mask": mask} if padded else {"is_causal": True}
        usable = {}
        for kernel in ("FLASH_ATTENTION", "CUDNN_ATTENTION", "EFFICIENT_ATTENTION", "MATH"):
            try:
                with sdpa_kernel(getattr(SDPBackend, kernel)):
                    run = lambda: torch.nn.functional.scaled_dot_product_attention(query, key, value, **options)  # noqa: E731, B023
                    run()
                    usable[kernel.lower()] = round(1000 * bench.seconds(run, 3), 3)
            except RuntimeError:
                usable[kernel.lower()] = None
        name = f"attention.kernels.{'padded' if padded else 'causal'}"
        fast = any(ms is not None for kernel, ms in usable.items() if kernel != "math")
        yield Verdict(name, "one beside math, milliseconds each", usable, fast if bench.gpu else None)


def update(bench: Bench) -> Iterator[Verdict]:
    """Optimizer and EMA of one layer against float64: ten steps on the same gradients."""
    size = 64 if bench.tiny else 2048
    random = torch.Generator().manual_seed(0)
    weights = 0.02 * torch.randn(size, size, generator=random)
    gradients = [torch.randn(size, size, generator=random) for _ in range(10)]
    settings, rate = bench.settings, 0.02
    for weights_dtype, states, limit in (("float32", "float32", 5e-5), ("bfloat16", "float32", 1.0)):
        own = copy.copy(settings)
        own.weights_dtype, own.optimizer_dtype = weights_dtype, states
        moved = []
        for device, dtype in ((bench.device, getattr(torch, weights_dtype)), (torch.device("cpu"), torch.float64)):
            layer = torch.nn.Linear(size, size, bias=False)
            layer.weight = torch.nn.Parameter(weights.to(torch.bfloat16).to(device, dtype, copy=True))
            start = layer.weight.detach().clone().double().cpu()
            teacher = EMATeacher(layer, rate, torch.float64 if dtype == torch.float64 else torch.float32)
            if dtype == torch.float64:
                optimizer = torch.optim.AdamW(layer.parameters(), betas=own.betas, eps=own.epsilon, weight_decay=0)
            else:
                optimizer = make_optimizer(layer.parameters(), own, dtype)
            for gradient in gradients:
                layer.weight.grad = gradient.to(device, dtype)
                optimizer.param_groups[0]["lr"] = 1e-3
                optimizer.step()
                teacher.update(layer)
            average = teacher.average["weight"].double().cpu() - start
            moved.append((layer.weight.detach().double().cpu() - start, average))
        measured = {"weights_error": error(moved[0][0], moved[1][0]), "average_error": error(moved[0][1], moved[1][1])}
        name = f"update.{weights_dtype}_weights"
        good = max(measured.values()) < limit if weights_dtype == "float32" else None
        yield Verdict(name, f"steps within {limit:g} of float64's" if good is not None else "recorded", measured, good)
    values = weights.to(bench.device)
    generator = torch.Generator(bench.device).manual_seed(0)
    mean = torch.stack([round_stochastically(values, generator).float() for _ in range(64)]).mean(0)
    bias = float((mean - values).mean().abs() / (values.to(torch.bfloat16).float() - values).abs().mean())
    yield Verdict("update.stochastic_rounding", "mean off by less than 2 % of a rounding", {"bias": bias}, bias < 0.02)
