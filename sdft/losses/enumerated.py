"""`python -m sdft.losses.enumerated --out F.json`: exact bias and variance of the estimators of appendix A.1.

On a model with so few words and so short sequences that all of them can be listed, expectations over samples are sums:
neither the true gradient nor an estimator's mean and variance need any sampling. The losses are those of training.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from sdft.common.errors import SdftError, run_main
from sdft.common.files import write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.divergence import distillation_loss
from sdft.fused import Layer
from sdft.losses.estimators import estimated, log_ratios, scores

DESCRIPTION = """Tabulate bias and variance of the gradient estimators (paper, appendix A.1) on a toy model whose
sequences can all be listed."""

END = 0
BATCHES = (1, 8, 32, 128)


class Toy(nn.Module):
    """A recurrent language model in float64 with weights from a seed: `words` words, END among them, `width` units."""

    def __init__(self, words: int, width: int, seed: int, spread: float = 1.0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        shapes = {"start": (width,), "turn": (width, width), "embed": (words, width), "head": (words, width)}
        for name, shape in shapes.items():
            values = torch.randn(shape, generator=random, dtype=torch.float64) * spread
            self.register_parameter(name, nn.Parameter(values))

    def forward(self, tokens: Tensor) -> Tensor:
        """The states [B, T, width] that predict `tokens` [B, T], each from those before it."""
        state = self.start.expand(len(tokens), -1)
        states = []
        for token in tokens.T:
            states.append(state)
            state = torch.tanh(state @ self.turn + self.embed[token])
        return torch.stack(states, 1)


def sequences(words: int, length: int) -> tuple[Tensor, Tensor]:
    """Every sequence that ends with its first END or after `length` words: tokens and mask, both [N, length]."""
    found = set()
    for draft in product(range(words), repeat=length):
        stop = draft.index(END) + 1 if END in draft else length
        found.add((*draft[:stop], *[-1] * (length - stop)))
    tokens = torch.tensor(sorted(found))
    return tokens.clamp(min=0), tokens >= 0


def log_probs(model: Toy, tokens: Tensor, mask: Tensor) -> Tensor:
    """Log-probability [N] of each whole sequence."""
    scores = (model(tokens) @ model.head.T).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return scores.masked_fill(~mask, 0).sum(-1)


def exact_gradient(student: Toy, teacher: Toy, kind: str, length: int) -> Tensor:
    """Gradient of the sequence-level KL, a sum over all sequences; kind as in `sdft.divergence`."""
    tokens, mask = sequences(len(student.head), length)
    own, other = log_probs(student, tokens, mask), log_probs(teacher, tokens, mask).detach()
    first, second = (own, other) if kind == "reverse_kl" else (other, own)
    return _flat((first.exp() * (first - second)).sum(), student)


def analytic(kind: str) -> Callable[..., Tensor]:
    """The divergence over all words at each token, summed: what training uses, with token_sum."""

    def loss(states: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
        return distillation_loss(*states, mask, kind, reduction="token_sum")

    return loss


def sampled(estimator: str) -> Callable[..., Tensor]:
    """The losses of `sdft.losses.estimators`."""

    def loss(states: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
        return estimated(estimator, Layer(*states[:2]), Layer(*states[2:]), tokens, mask, mask).loss

    return loss


def own_ratio(states: list[Tensor], tokens: Tensor, mask: Tensor) -> Tensor:
    """Each sampled token's score times its own log-ratio alone: a sampled form of analytic reverse KL, no setting."""
    log_ratio = log_ratios(Layer(*states[2:]), tokens, mask)
    return scores(Layer(*states[:2]), tokens, mask, log_ratio)[0]


# Estimator, who samples, the sequence-level divergence it is held against, and its loss for one sequence.
ROWS: tuple[tuple[str, str, str, Callable[..., Tensor]], ...] = (
    ("token", "student", "reverse_kl", sampled("token")),
    ("rao_blackwell", "student", "reverse_kl", sampled("rao_blackwell")),
    ("analytic", "student", "reverse_kl", analytic("reverse_kl")),
    ("token_own_ratio", "student", "reverse_kl", own_ratio),
    ("analytic_forward_kl", "student", "forward_kl", analytic("forward_kl")),
    ("analytic_forward_kl", "teacher", "forward_kl", analytic("forward_kl")),
)


def gradients(loss: Callable[..., Tensor], student: Toy, teacher: Toy, length: int) -> Tensor:
    """The estimate [N, parameters] that each of the N sequences gives."""
    tokens, mask = sequences(len(student.head), length)

    def each() -> Iterator[Tensor]:
        for row in range(len(tokens)):
            one = slice(row, row + 1)
            states = [student(tokens[one]), student.head, teacher(tokens[one]), teacher.head]
            yield _flat(loss(states, tokens[one], mask[one]), student)

    return torch.stack(list(each()))


def _flat(loss: Tensor, model: Toy) -> Tensor:
    found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    pairs = zip(found, model.parameters(), strict=True)
    return torch.cat([(torch.zeros_like(own) if grad is None else grad).flatten() for grad, own in pairs])


def measure(student: Toy, teacher: Toy, length: int, samples: int, seed: int) -> list[dict[str, Any]]:
    """One entry for each of ROWS, all norms over the whole parameter vector.

    gradient_norm: of the exact gradient. bias_norm: of the estimator's exact mean less the exact gradient. variance:
    the exact trace of its covariance for one sample. error: root of the mean squared error of a mean over so many
    samples. sampled: the distance of a mean over `samples` random draws from the exact gradient and their variance,
    as a check on the sums.
    """
    tokens, mask = sequences(len(student.head), length)
    random = torch.Generator().manual_seed(seed)
    entries = []
    for name, sampler, kind, loss in ROWS:
        exact = exact_gradient(student, teacher, kind, length)
        chances = log_probs(student if sampler == "student" else teacher, tokens, mask).detach().exp()
        found = gradients(loss, student, teacher, length)
        mean = chances @ found
        bias = (mean - exact).norm().item()
        variance = (chances @ (found - mean).pow(2).sum(-1)).item()
        drawn = found[torch.multinomial(chances, samples, replacement=True, generator=random)]
        entries.append(
            {
                "estimator": name,
                "samples_of": sampler,
                "divergence": kind,
                "gradient_norm": exact.norm().item(),
                "bias_norm": bias,
                "variance": variance,
                "error": {str(batch): (bias**2 + variance / batch) ** 0.5 for batch in BATCHES},
                "sampled": {
                    "n": samples,
                    "distance": (drawn.mean(0) - exact).norm().item(),
                    "variance": drawn.var(0).sum().item(),
                },
            }
        )
    return entries


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.losses.enumerated",
        description=DESCRIPTION,
        epilog="example: python -m sdft.losses.enumerated --out /tmp/estimators.json",
    )
    add = parser.add_argument
    add("--out", required=True, metavar="F.json", help="the table")
    add("--words", type=int, default=4, help="words of the toy, the end among them (default: %(default)s)")
    add("--length", type=int, default=3, help="longest sequence (default: %(default)s)")
    add("--width", type=int, default=3, help="units of the toy (default: %(default)s)")
    add("--samples", type=int, default=10_000, help="draws for the check by sampling (default: %(default)s)")
    add("--seed", type=int, default=0, help="of student, teacher and draws (default: %(default)s)")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    if min(options.words, options.length, options.width, options.samples) < 2:
        raise SdftError("--words, --length, --width and --samples must each be at least 2.")
    if options.words**options.length > 5000:
        raise SdftError(
            f"{options.words} words and length {options.length} make too many sequences to list them all; keep words "
            "to the power of length below 5000."
        )
    clock = Clock()
    student, teacher = (Toy(options.words, options.width, 2 * options.seed + which) for which in (0, 1))
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    content = {
        "toy": settings | {"sequences": len(sequences(options.words, options.length)[0])},
        "estimators": measure(student, teacher, options.length, options.samples, options.seed),
        "manifest": manifest("estimators", clock=clock, config=settings, seeds=[options.seed]),
    }
    write_json(options.out, content)


if __name__ == "__main__":
    run_main(main)
