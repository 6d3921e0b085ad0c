"""Divergences between next-token distributions, and the training losses, without the logits of a whole batch.

Logits are made for a few tokens at a time and made again in the backward pass: with a vocabulary of 152,064 the
logits of one 1024-token completion are 0.6 GB in float32, and several copies of them would be needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

Kind = Literal["forward_kl", "reverse_kl", "jsd"]
Reduction = Literal["sequence_mean", "token_sum"]
KINDS = ("forward_kl", "reverse_kl", "jsd")
CHUNK = 256


def token_divergence(
    student_logits: Tensor, teacher_logits: Tensor, kind: Kind = "forward_kl", beta: float = 0.5
) -> Tensor:
    """Divergence between teacher and student at each position: [..., V] logits to [...] nats per token.

    forward_kl: KL(teacher || student), which the authors' results use (official code: alpha = 0).
    reverse_kl: KL(student || teacher), the direction of the paper's Eq. 1 (official code: alpha = 1).
    jsd: beta KL(teacher || m) + (1 - beta) KL(student || m) with m = beta teacher + (1 - beta) student, the
    generalised Jensen-Shannon divergence of GKD (arXiv 2306.13649) and of the official code's 0 < alpha < 1. It
    vanishes at both ends; divided by beta it tends to forward_kl at 0, divided by 1 - beta to reverse_kl at 1.

    Computed in float32, or in float64 if either input is. The gradient reaches the student's logits alone.
    Raises ValueError for an unknown kind, or a beta outside (0, 1) with jsd.
    """
    dtype = torch.promote_types(torch.promote_types(student_logits.dtype, teacher_logits.dtype), torch.float32)
    return _divergence(_log_probs(student_logits, dtype), _log_probs(teacher_logits.detach(), dtype), kind, beta)


class TokenTerms(NamedTuple):
    """What a training step needs at each completion token, all [B, T] and zero where the mask is.

    value: divergence or cross-entropy in nats, the one entry with a gradient; entropy: of the student's distribution,
    in nats; log_prob: of the token itself under the student, None where no tokens were given.
    """

    value: Tensor
    entropy: Tensor
    log_prob: Tensor | None


class SampledTerms(NamedTuple):
    """What the estimators of the reverse KL need at each completion token, all [B, T], in nats, zero outside the mask.

    divergence: KL(student || teacher), with its gradient; entropy: of the student's distribution; log_prob: of the
    token itself under the student, with its gradient; log_ratio: the same less that under the teacher, a constant.
    """

    divergence: Tensor
    entropy: Tensor
    log_prob: Tensor
    log_ratio: Tensor


class BatchLoss(NamedTuple):
    """The loss of a batch of completions and what it was made of.

    loss: a mean over the sequences, the one entry that is trained on. terms: at each completion token. trained: [B, T],
    the tokens that carry loss. weights: [B, T] or [B, 1], constants that multiplied their losses, or None.
    """

    loss: Tensor
    terms: TokenTerms
    trained: Tensor
    weights: Tensor | None = None


def distillation_loss(
    student_hidden: Tensor,
    student_head: Tensor,
    teacher_hidden: Tensor,
    teacher_head: Tensor,
    mask: Tensor,
    kind: Kind = "forward_kl",
    skip_tokens: int = 0,
    chunk_size: int = CHUNK,
    *,
    beta: float = 0.5,
    temperature: float = 1.0,
    token_weights: Tensor | None = None,
    reduction: Reduction = "sequence_mean",
) -> Tensor:
    """The SDFT loss of a batch (paper section 3, appendix A.1: full analytic per-token estimator), a scalar in nats.

    Mean over a sequence's unmasked tokens, then over all sequences; a sequence with none counts as zero. That is the
    official code's reduction; `reduction="token_sum"` sums over tokens instead (the paper's Eq. 1).

    student_hidden, teacher_hidden: [B, T, d]; entry t is the final hidden state that predicts completion token t,
    that is, the state at the position before it. The two widths may differ.
    student_head, teacher_head: output embeddings [V, d].
    mask: [B, T], true at completion tokens. skip_tokens: how many of each sequence's first completion tokens carry
    no loss. temperature divides both models' logits. token_weights: [B, T] or [B, 1], constants (importance weights).
    chunk_size: how many tokens have logits at the same time; it changes memory and speed only.
    Gradients reach student_hidden and student_head alone.
    """
    return distill(
        student_hidden,
        student_head,
        teacher_hidden,
        teacher_head,
        mask,
        kind=kind,
        skip_tokens=skip_tokens,
        chunk_size=chunk_size,
        beta=beta,
        temperature=temperature,
        weigh=lambda terms: token_weights,
        reduction=reduction,
    ).loss


def distill(
    student_hidden: Tensor,
    student_head: Tensor,
    teacher_hidden: Tensor,
    teacher_head: Tensor,
    mask: Tensor,
    *,
    kind: Kind = "forward_kl",
    skip_tokens: int = 0,
    chunk_size: int = CHUNK,
    beta: float = 0.5,
    temperature: float = 1.0,
    tokens: Tensor | None = None,
    weigh: Callable[[TokenTerms], Tensor | None] = lambda terms: None,
    reduction: Reduction = "sequence_mean",
) -> BatchLoss:
    """`distillation_loss` with the terms that it is made of; a training step takes its loss from here.

    tokens: [B, T], the completions, where their log-probabilities are wanted. weigh: makes the importance weights from
    the terms. The terms are of all completion tokens, those that carry no loss included.
    """
    terms = distillation_terms(
        student_hidden,
        student_head,
        teacher_hidden,
        teacher_head,
        mask,
        kind=kind,
        beta=beta,
        temperature=temperature,
        tokens=tokens,
        chunk_size=chunk_size,
    )
    trained, weights = kept_tokens(mask, skip_tokens), weigh(terms)
    return BatchLoss(reduce_tokens(terms.value, trained, reduction, weights), terms, trained, weights)


def supervised_loss(
    student_hidden: Tensor,
    student_head: Tensor,
    tokens: Tensor,
    mask: Tensor,
    weighting: Literal["none", "dft"] = "none",
    skip_tokens: int = 0,
    chunk_size: int = CHUNK,
    *,
    reduction: Reduction = "sequence_mean",
) -> Tensor:
    """Cross-entropy of `tokens` [B, T] in nats, reduced like `distillation_loss`, whose shapes it shares.

    weighting "dft" multiplies each token's loss by the probability that the model gives it, held constant (Dynamic
    Fine-Tuning, arXiv 2508.05629).
    """
    found = supervise(
        student_hidden,
        student_head,
        tokens,
        mask,
        weighting=weighting,
        skip_tokens=skip_tokens,
        chunk_size=chunk_size,
        reduction=reduction,
    )
    return found.loss


def supervise(
    student_hidden: Tensor,
    student_head: Tensor,
    tokens: Tensor,
    mask: Tensor,
    *,
    weighting: Literal["none", "dft"] = "none",
    skip_tokens: int = 0,
    chunk_size: int = CHUNK,
    reduction: Reduction = "sequence_mean",
) -> BatchLoss:
    """`supervised_loss` with the terms that it is made of; a training step takes its loss from here."""
    terms = supervised_terms(student_hidden, student_head, tokens, mask, weighting=weighting, chunk_size=chunk_size)
    trained = kept_tokens(mask, skip_tokens)
    return BatchLoss(reduce_tokens(terms.value, trained, reduction), terms, trained)


def kept_tokens(mask: Tensor, skip_tokens: int = 0) -> Tensor:
    """The mask [B, T] as booleans, without each sequence's first `skip_tokens` true entries."""
    mask = mask.bool()
    return mask & (mask.cumsum(-1) > skip_tokens) if skip_tokens else mask


def reduce_tokens(
    values: Tensor, mask: Tensor, reduction: Reduction = "sequence_mean", token_weights: Tensor | None = None
) -> Tensor:
    """Mean over all sequences of the mean (sequence_mean) or the sum (token_sum) of `values` [B, T] where mask is true.

    A sequence without true entries counts as zero. Raises ValueError for another reduction.
    """
    if reduction not in ("sequence_mean", "token_sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'sequence_mean' or 'token_sum'")
    values = values.masked_fill(~mask.bool(), 0)
    if token_weights is not None:
        values = values * token_weights.detach()
    sums = values.sum(-1)
    if reduction == "sequence_mean":
        sums = sums / mask.sum(-1).clamp(min=1)
    return sums.mean()


def distillation_terms(
    student_hidden: Tensor,
    student_head: Tensor,
    teacher_hidden: Tensor,
    teacher_head: Tensor,
    mask: Tensor,
    *,
    kind: Kind = "forward_kl",
    beta: float = 0.5,
    temperature: float = 1.0,
    tokens: Tensor | None = None,
    chunk_size: int = CHUNK,
) -> TokenTerms:
    """Divergence, student entropy and (given `tokens`) their log-probabilities at each masked token.

    Shapes as in `distillation_loss`. All three are those of the distributions at `temperature`.
    """
    _check_kind(kind, beta)

    def chunk(student: Tensor, teacher: Tensor, ids: Tensor | None, head: Tensor, frozen_head: Tensor):
        log_student = _log_probs(linear(student, head), temperature=temperature)
        log_teacher = _log_probs(linear(teacher, frozen_head), temperature=temperature)
        return _divergence(log_student, log_teacher, kind, beta), *_observe(log_student, ids)

    student, head = _same_dtype(student_hidden, student_head)
    teacher, frozen_head = _same_dtype(teacher_hidden.detach(), teacher_head.detach())
    return TokenTerms(*_by_chunks(chunk, mask, chunk_size, [student, teacher, tokens], [head, frozen_head]))


def sampled_terms(
    student_hidden: Tensor,
    student_head: Tensor,
    teacher_hidden: Tensor,
    teacher_head: Tensor,
    tokens: Tensor,
    mask: Tensor,
    *,
    temperature: float = 1.0,
    chunk_size: int = CHUNK,
) -> SampledTerms:
    """Reverse KL, student entropy, log-probability and log-ratio of `tokens` [B, T] at each masked token.

    Shapes as in `distillation_loss`. All are those of the distributions at `temperature`.
    """

    def chunk(student: Tensor, teacher: Tensor, ids: Tensor, head: Tensor, frozen_head: Tensor):
        log_student = _log_probs(linear(student, head), temperature=temperature)
        log_teacher = _log_probs(linear(teacher, frozen_head), temperature=temperature)
        entropy, _ = _observe(log_student, None)
        own, other = (values.gather(-1, ids[:, None])[:, 0] for values in (log_student, log_teacher))
        return _kl(log_student, log_teacher), entropy, own, own.detach() - other

    student, head = _same_dtype(student_hidden, student_head)
    teacher, frozen_head = _same_dtype(teacher_hidden.detach(), teacher_head.detach())
    return SampledTerms(*_by_chunks(chunk, mask, chunk_size, [student, teacher, tokens], [head, frozen_head]))


def supervised_terms(
    student_hidden: Tensor,
    student_head: Tensor,
    tokens: Tensor,
    mask: Tensor,
    *,
    weighting: Literal["none", "dft"] = "none",
    chunk_size: int = CHUNK,
) -> TokenTerms:
    """Cross-entropy (weighted for DFT), student entropy and log-probability of `tokens` [B, T] at each masked token."""
    if weighting not in ("none", "dft"):
        raise ValueError(f"weighting is {weighting!r}; it must be 'none' or 'dft'")

    def chunk(student: Tensor, ids: Tensor, head: Tensor):
        log_student = _log_probs(linear(student, head))
        value = -log_student.gather(-1, ids[:, None])[:, 0]
        if weighting == "dft":
            value = value * value.detach().neg().exp()
        return value, *_observe(log_student, ids)

    student, head = _same_dtype(student_hidden, student_head)
    return TokenTerms(*_by_chunks(chunk, mask, chunk_size, [student, tokens], [head]))


def _by_chunks(
    chunk: Callable[..., tuple[Tensor | None, ...]],
    mask: Tensor,
    chunk_size: int,
    per_token: list[Tensor | None],
    shared: list[Tensor],
) -> list[Tensor | None]:
    """Run `chunk` on the masked tokens, `chunk_size` at a time, keeping its inputs only; spread the results to [B, T].

    per_token: [B, T, ...] each, cut to the tokens at hand; shared: passed whole after them.
    """
    if chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}; it must be at least 1")
    index = mask.flatten().nonzero()[:, 0]
    rows = [None if value is None else value.flatten(0, 1)[index] for value in per_token]
    pieces = []
    # One chunk at least, so that a batch without tokens still has a (zero) gradient.
    for start in range(0, max(len(index), 1), chunk_size):
        part = [None if row is None else row[start : start + chunk_size] for row in rows]
        pieces.append(checkpoint(chunk, *part, *shared, use_reentrant=False, preserve_rng_state=False))

    def spread(column: tuple[Tensor | None, ...]) -> Tensor | None:
        if column[0] is None:
            return None
        values = torch.cat(column)
        return values.new_zeros(mask.numel()).index_copy(0, index, values).view(mask.shape)

    return [spread(column) for column in zip(*pieces, strict=True)]


def _check_kind(kind: str, beta: float) -> None:
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    if kind == "jsd" and not 0 < beta < 1:
        raise ValueError(f"beta is {beta}; jsd needs it between 0 and 1, exclusively")


def _divergence(log_student: Tensor, log_teacher: Tensor, kind: str, beta: float) -> Tensor:
    _check_kind(kind, beta)
    if kind == "forward_kl":
        return _kl(log_teacher, log_student)
    if kind == "reverse_kl":
        return _kl(log_student, log_teacher)
    mixture = torch.logaddexp(log_teacher + math.log(beta), log_student + math.log1p(-beta))
    return beta * _kl(log_teacher, mixture) + (1 - beta) * _kl(log_student, mixture)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _log_probs(logits: Tensor, dtype: torch.dtype | None = None, temperature: float = 1.0) -> Tensor:
    """Log-probabilities, in float32 at least. An impossible token gets the lowest finite number, so 0 log 0 is 0."""
    logits = logits.to(dtype or torch.promote_types(logits.dtype, torch.float32))
    if temperature != 1.0:
        logits = logits / temperature
    return logits.log_softmax(-1).clamp(min=torch.finfo(logits.dtype).min)


@torch.no_grad()
def _observe(log_student: Tensor, ids: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Entropy of each distribution and the log-probability of each given token, both without gradient."""
    entropy = -(log_student.exp() * log_student).sum(-1)
    return entropy, None if ids is None else log_student.gather(-1, ids[:, None])[:, 0]


def _same_dtype(hidden: Tensor, head: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(hidden.dtype, head.dtype)
    return hidden.to(dtype), head.to(dtype)
