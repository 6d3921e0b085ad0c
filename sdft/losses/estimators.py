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

from torch import Tensor

from sdft.divergence import SampledTerms


def surrogate(terms: SampledTerms, estimator: str, kept: Tensor) -> Tensor:
    """Token values [B, T] whose sum is an estimate of J and whose gradient is the estimator's, for each sequence.

    terms: of samples of the student, at every completion token. kept: [B, T], the tokens whose divergence counts (all
    but the skipped ones); J is then the sum over those. Skipped tokens still have a score, because later ones depend on
    them. The values are r_t (token) or KL_t (rao_blackwell), zero where not kept. No baseline is subtracted. Raises
    ValueError for another estimator.
    """
    if estimator == "token":
        rewards = terms.log_ratio.masked_fill(~kept, 0)
        return rewards + _score(terms.log_prob, _from_here(rewards))
    if estimator == "rao_blackwell":
        divergence = terms.divergence.masked_fill(~kept, 0)
        constant = divergence.detach()
        return divergence + _score(terms.log_prob, _from_here(constant) - constant)
    raise ValueError(f"estimator is {estimator!r}; it must be 'token' or 'rao_blackwell'")


def _from_here(values: Tensor) -> Tensor:
    """Sums over each token and those after it."""
    return values.flip(-1).cumsum(-1).flip(-1)


def _score(log_prob: Tensor, factor: Tensor) -> Tensor:
    """Zero, with the gradient of `factor` times the log-probability."""
    return (log_prob - log_prob.detach()) * factor.detach()
