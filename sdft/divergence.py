"""Divergences between next-token distributions, and the training losses, without the logits of a whole batch.

With a vocabulary of 152,064 the logits of one 1024-token completion are 0.6 GB in float32, and several copies of them
would be needed. `sdft.fused` makes them for a few tokens at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from sdft.fused import Layer, TokenTerms, fused_loss

Kind = Literal["forward_kl", "reverse_kl", "jsd"]
Reduction = Literal["sequence_mean", "token_sum"]
KINDS = ("forward_kl", "reverse_kl", "jsd")


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
    chunk_size: int | None = None,
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
    chunk_size: how many tokens have logits at the same time, by default what `sdft.fused.CHUNK_BYTES` hold; it changes
    memory and speed only. Gradients reach student_hidden and student_head alone, and cannot be differentiated again.
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
        weights=token_weights,
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
    chunk_size: int | None = None,
    beta: float = 0.5,
    temperature: float = 1.0,
    tokens: Tensor | None = None,
    weights: Tensor | Callable[[Tensor], Tensor] | None = None,
    reduction: Reduction = "sequence_mean",
) -> BatchLoss:
    """`distillation_loss` with the terms that it is made of; a training step takes its loss from here.

    tokens: [B, T], the completions, where their log-probabilities are wanted. weights: of the tokens, [B, T] or [B, 1],
    constants; or a function that makes them from the log-probabilities [B, T] of `tokens`, each sequence's from its own
    (`sdft.fused.fused_loss`). The terms are of all completion tokens, those that carry no loss included.
    """
    check_kind(kind, beta)
    trained = kept_tokens(mask, skip_tokens)
    share, weigh = token_shares(trained, reduction), weights if callable(weights) else None
    if isinstance(weights, Tensor):
        share = share * weights.detach()
    loss, terms = fused_loss(
        kind,
        Layer(student_hidden, student_head),
        Layer(teacher_hidden, teacher_head),
        tokens,
        mask.bool(),
        share,
        beta=beta,
        temperature=temperature,
        weigh=weigh,
        chunk_size=chunk_size,
    )
    return BatchLoss(loss, terms, trained, weigh(terms.log_prob) if weigh else weights)


def supervised_loss(
    student_hidden: Tensor,
    student_head: Tensor,
    tokens: Tensor,
    mask: Tensor,
    weighting: Literal["none", "dft"] = "none",
    skip_tokens: int = 0,
    chunk_size: int | None = None,
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
    chunk_size: int | None = None,
    reduction: Reduction = "sequence_mean",
) -> BatchLoss:
    """`supervised_loss` with the terms that it is made of; a training step takes its loss from here."""
    if weighting not in ("none", "dft"):
        raise ValueError(f"weighting is {weighting!r}; it must be 'none' or 'dft'")
    trained = kept_tokens(mask, skip_tokens)
    loss, terms = fused_loss(
        "dft" if weighting == "dft" else "cross_entropy",
        Layer(student_hidden, student_head),
        None,
        tokens,
        mask.bool(),
        token_shares(trained, reduction),
        chunk_size=chunk_size,
    )
    return BatchLoss(loss, terms, trained)


def kept_tokens(mask: Tensor, skip_tokens: int = 0) -> Tensor:
    """The mask [B, T] as booleans, without each sequence's first `skip_tokens` true entries."""
    mask = mask.bool()
    return mask & (mask.cumsum(-1) > skip_tokens) if skip_tokens else mask


def token_shares(trained: Tensor, reduction: Reduction = "sequence_mean") -> Tensor:
    """How much each token [B, T] counts in a mean over all sequences of the mean or the sum (token_sum) of its tokens.

    Tokens outside `trained` count nothing; a sequence without any counts as zero. In float64. Raises ValueError for
    another reduction.
    """
    if reduction not in ("sequence_mean", "token_sum"):
        raise ValueError(f"reduction is {reduction!r}; it must be 'sequence_mean' or 'token_sum'")
    counts = trained.sum(-1, keepdim=True).clamp(min=1) if reduction == "sequence_mean" else 1
    return trained.double() / counts / len(trained)


def check_kind(kind: str, beta: float) -> None:
    """Raise ValueError for an unknown divergence, or a mixture of one distribution alone."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(KINDS)}")
    if kind == "jsd" and not 0 < beta < 1:
        raise ValueError(f"beta is {beta}; jsd needs it between 0 and 1, exclusively")


def _divergence(log_student: Tensor, log_teacher: Tensor, kind: str, beta: float) -> Tensor:
    check_kind(kind, beta)
    if kind == "forward_kl":
        return _kl(log_teacher, log_student)
    if kind == "reverse_kl":
        return _kl(log_student, log_teacher)
    mixture = torch.logaddexp(log_teacher + math.log(beta), log_student + math.log1p(-beta))
    return beta * _kl(log_teacher, mixture) + (1 - beta) * _kl(log_student, mixture)


def _kl(log_p: Tensor, log_q: Tensor) -> Tensor:
    return (log_p.exp() * (log_p - log_q)).sum(-1)


def _log_probs(logits: Tensor, dtype: torch.dtype) -> Tensor:
    """Log-probabilities. An impossible token gets the lowest finite number, so 0 log 0 is 0."""
    return logits.to(dtype).log_softmax(-1).clamp(min=torch.finfo(dtype).min)
