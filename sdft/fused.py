"""Losses fused with the output layer: their gradient is made in the forward pass, a few tokens at a time.

A batch's loss is a sum over tokens, so the gradient of a token's logits is known as soon as its logits are. It is
multiplied by the output embeddings there and then, and the logits are forgotten; the backward pass has nothing to make
again, it multiplies finished gradients by a number. Liger Kernel (arXiv 2410.10989) does so for means over all tokens.
Here sequences may have weights that depend on the log-probabilities of their own tokens, and entropies and
log-probabilities come out as well.

Matrix products run over a chunk of tokens. What happens to single logits runs over a block of them, in float32 at
least; on a CPU a block stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

FusedKind = Literal["forward_kl", "reverse_kl", "jsd", "cross_entropy", "dft"]

# The logits of a chunk, both models' together.
CHUNK_BYTES = 512 << 20
# One of the five tensors of a block, by device.
BLOCK_BYTES = {"cpu": 1 << 20, "cuda": 64 << 20}


class TokenTerms(NamedTuple):
    """What a training step needs at each completion token, all [B, T] and zero where the mask is.

    value: divergence or cross-entropy in nats; entropy: of the student's distribution, in nats; log_prob: of the token
    itself under the student, None where no tokens were given.
    """

    value: Tensor
    entropy: Tensor
    log_prob: Tensor | None


class Layer(NamedTuple):
    """A model's output layer. hidden: final states [B, T, d], which predict the tokens; head: embeddings [V, d]."""

    hidden: Tensor
    head: Tensor


def fused_loss(
    kind: FusedKind,
    student: Layer,
    teacher: Layer | None,
    tokens: Tensor | None,
    mask: Tensor,
    share: Tensor,
    *,
    beta: float = 0.5,
    temperature: float = 1.0,
    weigh: Callable[[Tensor], Tensor] | None = None,
    chunk_size: int | None = None,
) -> tuple[Tensor, TokenTerms]:
    """The sum over masked tokens of share times weight times value, with its gradient, and the terms without one.

    kind: the divergence of teacher and student at each token (`sdft.divergence.token_divergence`), or the cross-entropy
    of `tokens`, which "dft" multiplies by the token's probability, held constant. tokens: ids [B, T], which the
    cross-entropies need. mask: booleans [B, T]. share: [B, T], constants; a token of share 0 adds nothing.
    temperature divides all logits. weigh: makes weights [B, 1] or [B, T], constants, from log-probabilities [B, T].
    It is called while those of some sequences are still missing (zero), so a sequence's weights must depend on its own.
    chunk_size: how many tokens have logits at the same time, by default what CHUNK_BYTES hold. It changes memory and
    speed only. With weights, a sequence that is longer than a chunk costs one matrix product more.

    The gradient reaches the student's two tensors alone, and cannot be differentiated again.
    Raises ValueError for a chunk without tokens.
    """
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size is {chunk_size}; it must be at least 1")
    to_hidden, to_head = (torch.is_grad_enabled() and tensor.requires_grad for tensor in student)
    own, other = _prepared(student), teacher and _prepared(teacher)
    with torch.no_grad(), torch.autocast(mask.device.type, enabled=False):
        chunks = _Chunks(kind, own, other, tokens, mask, beta, temperature, chunk_size)
        hidden_grad = torch.zeros_like(own.hidden, dtype=chunks.dtype) if to_hidden else None
        head_grad = None

        def factors() -> Tensor:
            weights = weigh(chunks.log_prob.view(mask.shape)) if weigh else 1
            return (share * weights).flatten().to(chunks.dtype)

        for places in chunks.sequences() if weigh else [chunks.places]:
            parts = places.split(chunks.size)
            if weigh and len(parts) > 1:
                for part in parts:
                    chunks.find_log_prob(part)
            for part in parts:
                slopes = chunks.find_terms(part)
                factor = factors()[part, None] / temperature
                if to_hidden:
                    hidden_grad[part] = (slopes @ own.head) * factor
                if to_head:
                    states = own.hidden[part].mul(factor).to(slopes.dtype)
                    head_grad = _add_product(head_grad, slopes.T, states, chunks.dtype)
        loss = torch.where(share.flatten() != 0, chunks.value * factors(), 0).sum()
        columns = chunks.value, chunks.entropy, chunks.log_prob if tokens is not None else None
        terms = TokenTerms(*(None if column is None else column.view(mask.shape) for column in columns))
        if to_hidden:
            hidden_grad = hidden_grad.to(student.hidden.dtype).view(student.hidden.shape)
        if to_head:
            head_grad = head_grad.to(student.head.dtype)
    return _Attached.apply(*student, loss, hidden_grad, head_grad), terms


class _Attached(torch.autograd.Function):
    """A number with gradients that are known already."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, head: Tensor, number: Tensor, hidden_grad: Tensor | None, head_grad: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(hidden_grad, head_grad)
        return number.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Tensor) -> tuple[Tensor | None, ...]:
        grads = ctx.saved_tensors
        # A head's gradient has a gigabyte: a copy takes time, and memory.
        if factor != 1:
            grads = [None if grad is None else grad * factor for grad in grads]
        return *grads, None, None, None


class _Chunks:
    """The masked tokens, `size` at a time, and what is found at each: value, entropy, log_prob, all [B * T]."""

    def __init__(
        self,
        kind: FusedKind,
        student: Layer,
        teacher: Layer | None,
        tokens: Tensor | None,
        mask: Tensor,
        beta: float,
        temperature: float,
        size: int | None,
    ) -> None:
        self.kind, self.beta, self.temperature = kind, beta, temperature
        self.student, self.teacher = student, teacher
        self.tokens = None if tokens is None else tokens.flatten()
        self.places = mask.flatten().nonzero()[:, 0]
        self.lengths = mask.sum(-1).tolist()
        self.layers = [layer for layer in (student, teacher) if layer is not None]
        self.dtype = reduce(torch.promote_types, (layer.head.dtype for layer in self.layers), torch.float32)
        words = len(student.head)
        self.size = size or max(1, CHUNK_BYTES // (words * sum(layer.head.itemsize for layer in self.layers)))
        rows = max(1, min(self.size, len(self.places)))
        self.logits = [layer.head.new_empty(rows, words) for layer in self.layers]
        rows = min(rows, max(1, BLOCK_BYTES[mask.device.type] // (words * self.dtype.itemsize)))
        self.space = [student.head.new_empty(rows, words, dtype=self.dtype) for _ in range(1 + 2 * len(self.layers))]
        self.value, self.entropy, self.log_prob = student.head.new_zeros(3, mask.numel(), dtype=self.dtype)

    def sequences(self) -> Iterator[Tensor]:
        """Places of whole sequences: as many together as `size` holds, one at least."""
        group: list[Tensor] = []
        for places in self.places.split(self.lengths):
            if group and sum(map(len, group)) + len(places) > self.size:
                yield torch.cat(group)
                group = []
            group.append(places)
        yield torch.cat(group)

    def find_log_prob(self, places: Tensor) -> None:
        """Fill in the log-probabilities of the tokens there."""
        logits = _product(self.student, places, self.logits[0])
        for rows, block in self._blocks(places):
            log, _ = self._distribution(logits[rows], *(tensor[: len(block)] for tensor in self.space[:2]))
            self.log_prob[block] = self._chosen(log, block)

    def find_terms(self, places: Tensor) -> Tensor:
        """Fill in the terms there; returns the slopes of their values by the student's logits times temperature.

        They take the place of the student's logits, which the next call overwrites.
        """
        logits = [_product(layer, places, out) for layer, out in zip(self.layers, self.logits, strict=True)]
        for rows, block in self._blocks(places):
            spare, *space = (tensor[: len(block)] for tensor in self.space)
            log, slopes = self._distribution(logits[0][rows], *space[:2])
            self.entropy[block] = torch.mul(log, slopes, out=spare).sum(-1).neg_()
            if self.tokens is not None:
                self.log_prob[block] = self._chosen(log, block)
            if self.teacher is None:
                self.value[block] = self._cross_entropy(slopes, block)
            else:
                teacher = self._distribution(logits[1][rows], *space[2:])
                self.value[block] = DIVERGENCES[self.kind](log, slopes, *teacher, spare, self.beta)
            logits[0][rows] = slopes
        return logits[0]

    def _blocks(self, places: Tensor) -> Iterator[tuple[slice, Tensor]]:
        size = len(self.space[0])
        for start in range(0, len(places), size):
            yield slice(start, start + size), places[start : start + size]

    def _distribution(self, logits: Tensor, log: Tensor, chance: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities and probabilities. An impossible token gets the lowest finite number, so 0 log 0 is 0."""
        torch.sub(logits, logits.amax(-1, keepdim=True).to(log.dtype), out=log)
        if self.temperature != 1.0:
            log.div_(self.temperature)
        total = torch.exp(log, out=chance).sum(-1, keepdim=True)
        return log.sub_(total.log()).clamp_(min=torch.finfo(log.dtype).min), chance.div_(total)

    def _chosen(self, log: Tensor, block: Tensor) -> Tensor:
        return log.gather(-1, self.tokens[block, None])[:, 0]

    def _cross_entropy(self, chance: Tensor, block: Tensor) -> Tensor:
        """Value of each token; `chance` becomes its slope."""
        value = self.log_prob[block].neg()
        chance.scatter_add_(-1, self.tokens[block, None], chance.new_full((len(block), 1), -1))
        if self.kind == "cross_entropy":
            return value
        probability = value.neg().exp()
        chance.mul_(probability[:, None])
        return value * probability


# Each takes log-probabilities and probabilities of the student and of the teacher, room for one more tensor, and beta.
# It returns the divergences; the slopes by the student's logits take the place of the student's probabilities.


def _forward_kl(log: Tensor, chance: Tensor, other_log: Tensor, other: Tensor, spare: Tensor, beta: float) -> Tensor:
    chance.sub_(other)
    return other_log.sub_(log).mul_(other).sum(-1)


def _reverse_kl(log: Tensor, chance: Tensor, other_log: Tensor, other: Tensor, spare: Tensor, beta: float) -> Tensor:
    log.sub_(other_log)
    value = torch.mul(log, chance, out=spare).sum(-1)
    chance.mul_(log.sub_(value[:, None]))
    return value


def _jsd(log: Tensor, chance: Tensor, other_log: Tensor, other: Tensor, spare: Tensor, beta: float) -> Tensor:
    mixture = torch.lerp(chance, other, beta, out=spare)
    # Where it is zero both probabilities are, and any finite logarithm will do.
    mixture.clamp_(min=torch.finfo(mixture.dtype).tiny).log_()
    teacher_value = other_log.sub_(mixture).mul_(other).sum(-1)
    log.sub_(mixture)
    value = torch.mul(log, chance, out=spare).sum(-1)
    chance.mul_(log.sub_(value[:, None])).mul_(1 - beta)
    return beta * teacher_value + (1 - beta) * value


DIVERGENCES = {"forward_kl": _forward_kl, "reverse_kl": _reverse_kl, "jsd": _jsd}


def _prepared(layer: Layer) -> Layer:
    """The layer with one row a token, cast once to what its matrix product is computed in."""
    hidden, head = layer.hidden.detach().flatten(0, 1), layer.head.detach()
    dtype, device = torch.promote_types(hidden.dtype, head.dtype), head.device.type
    if torch.is_autocast_enabled(device) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(device)
    return Layer(hidden.to(dtype), head.to(dtype))


def _product(layer: Layer, places: Tensor, out: Tensor) -> Tensor:
    return torch.mm(layer.hidden[places], layer.head.T, out=out[: len(places)])


def _add_product(total: Tensor | None, left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """total + left @ right in `dtype`, in the place of total; where all are of that type no tensor is made for it."""
    if total is None:
        return (left @ right).to(dtype)
    if left.dtype == dtype:
        return torch.addmm(total, left, right, out=total)
    return total.add_(left @ right)
