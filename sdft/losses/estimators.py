"""Losses whose gradients estimate that of the sequence-level reverse KL (paper, appendix A.1).

With y sampled from the student, r_t the log-ratio of student to teacher at its token t, KL_t the reverse KL of the two
next-token distributions there and score_t the gradient of log student(y_t | y_<t), the gradient of

    J = KL(student || teacher) over whole sequences = E_y[sum_t r_t] = E_y[sum_t KL_t]

is estimated without bias from one sample by both of

    token:          sum_t score_t * sum_{s >= t} r_s
    rao_blackwell:  sum_t (grad KL_t + score_t * sum_{s > t} KL_s)

The second puts expectations given the tokens before in the place of score_t r_t and of every later r_s. The analytic
form that is used everywhere, sum_t grad KL_t, is the second without the scores: it moves each next-token distribution
and ignores that a token also decides which tokens come later. For J it is therefore biased, with less variance. None
of these is an estimate for the sequence-level forward KL(teacher || student), whose expectation is over the teacher's
samples. `python -m sdft.losses.enumerated` tabulates bias and variance on a model whose sequences can be listed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sdft.divergence import BatchLoss
from sdft.fused import Layer, TokenTerms, fused_loss

Weigh = Callable[[Tensor], Tensor]


def estimated(
    estimator: str,
    student: Layer,
    teacher: Layer,
    tokens: Tensor,
    mask: Tensor,
    kept: Tensor,
    *,
    temperature: float = 1.0,
    weigh: Weigh | None = None,
) -> BatchLoss:
    """The mean over sequences of an estimate of J, with the estimator's gradient.

    tokens: ids [B, T] sampled from the student; mask: [B, T], all of them; kept: those whose divergence counts (all but
    the skipped ones); J is then the sum over those. Skipped tokens still have a score, because later ones depend on
    them. weigh: makes weights [B, 1] of the sequences from the tokens' log-probabilities [B, T]
    (`sdft.fused.fused_loss`). The terms' values are r_t (token) or KL_t (rao_blackwell), zero where not kept. No
    baseline is subtracted. Raises ValueError for another estimator.
    """
    weight = weigh or torch.ones_like
    if estimator == "token":
        log_ratio = log_ratios(teacher, tokens, mask, temperature)

        def rewards(log_prob: Tensor) -> Tensor:
            return log_ratio(log_prob).masked_fill(~kept, 0)

        def factor(log_prob: Tensor) -> Tensor:
            return _from_here(rewards(log_prob)) * weight(log_prob)

        total, terms = scores(student, tokens, mask, factor, temperature)
        values = rewards(terms.log_prob)
    elif estimator == "rao_blackwell":
        total, terms = fused_loss(
            "reverse_kl", student, teacher, tokens, mask, kept.double(), temperature=temperature, weigh=weigh
        )
        values = terms.value.masked_fill(~kept, 0)
        later = (_from_here(values) - values) * weight(terms.log_prob)
        total = total + scores(student, tokens, mask, lambda log_prob: later, temperature)[0]
    else:
        raise ValueError(f"estimator is {estimator!r}; it must be 'token' or 'rao_blackwell'")
    loss = (values * weight(terms.log_prob)).sum() + (total - total.detach())
    return BatchLoss(loss / len(mask), terms._replace(value=values), kept, weigh and weigh(terms.log_prob))


def scores(
    student: Layer, tokens: Tensor, mask: Tensor, factor: Weigh, temperature: float = 1.0
) -> tuple[Tensor, TokenTerms]:
    """A number with the gradient of the sum over tokens of factor times log-probability, and the terms.

    factor: makes constants [B, T] from the log-probabilities [B, T] (`weigh` of `sdft.fused.fused_loss`).
    """
    return fused_loss(
        "cross_entropy", student, None, tokens, mask, -mask.double(), temperature=temperature, weigh=factor
    )


@torch.no_grad()
def log_ratios(teacher: Layer, tokens: Tensor, mask: Tensor, temperature: float = 1.0) -> Weigh:
    """Takes log-probabilities [B, T] of the tokens under the student less those under the teacher."""
    _, terms = fused_loss("cross_entropy", teacher, None, tokens, mask, mask, temperature=temperature)
    return lambda log_prob: log_prob - terms.log_prob


def _from_here(values: Tensor) -> Tensor:
    """Sums over each token and those after it."""
    return values.flip(-1).cumsum(-1).flip(-1)
