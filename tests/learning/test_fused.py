"""The fused losses against full logits in float64, and what they promise about memory."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sdft import fused
from sdft.fused import Layer, fused_loss

DIVERGENCES = ["forward_kl", "reverse_kl", "jsd"]
KINDS = [*DIVERGENCES, "cross_entropy", "dft"]
BETA, TEMPERATURE = 0.3, 0.7
ROWS, LENGTH, WORDS = 4, 6, 31


@pytest.fixture
def batch():
    """Four sequences of up to six tokens, with holes, the third without any; widths 4 and 5; float64."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    mask = torch.rand(ROWS, LENGTH, generator=random) < 0.7
    mask[0], mask[2] = True, False
    return {
        "student": Layer(normal(ROWS, LENGTH, 4).requires_grad_(), normal(WORDS, 4).requires_grad_()),
        "teacher": Layer(normal(ROWS, LENGTH, 5).requires_grad_(), normal(WORDS, 5).requires_grad_()),
        "tokens": torch.randint(WORDS, (ROWS, LENGTH), generator=random),
        "mask": mask,
        "share": mask / mask.sum(-1, keepdim=True).clamp(min=1).double() / ROWS,
    }


def weigh(log_prob):
    """Weights that need the log-probabilities of a whole sequence."""
    return 0.5 + log_prob.exp().sum(-1, keepdim=True)


def naive(kind, batch, weighted=False):
    """Loss, with its gradient, value, entropy and log-probability from full logits in float64."""

    def log_softmax(layer):
        return (layer.hidden.double() @ layer.head.double().T / TEMPERATURE).log_softmax(-1)

    own, other = log_softmax(batch["student"]), log_softmax(batch["teacher"]).detach()
    log_prob = own.gather(-1, batch["tokens"][..., None])[..., 0]
    if kind == "forward_kl":
        value = (other.exp() * (other - own)).sum(-1)
    elif kind == "reverse_kl":
        value = (own.exp() * (own - other)).sum(-1)
    elif kind == "jsd":
        mixture = (BETA * other.exp() + (1 - BETA) * own.exp()).log()
        value = BETA * (other.exp() * (other - mixture)).sum(-1)
        value = value + (1 - BETA) * (own.exp() * (own - mixture)).sum(-1)
    else:
        value = -log_prob * (log_prob.detach().exp() if kind == "dft" else 1)
    terms = [column * batch["mask"] for column in (value, -(own.exp() * own).sum(-1), log_prob)]
    weights = weigh(torch.where(batch["mask"], log_prob, 0)).detach() if weighted else 1
    return (terms[0] * batch["share"] * weights).sum(), *terms


def loss_of(kind, batch, **changes):
    arguments = {name: batch[name] for name in ("student", "teacher", "tokens", "mask", "share")}
    arguments |= {"teacher": batch["teacher"] if kind in DIVERGENCES else None}
    return fused_loss(kind, **(arguments | {"beta": BETA, "temperature": TEMPERATURE} | changes))


def gradients(loss, batch):
    return torch.autograd.grad(loss, list(batch["student"]))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_gradients_and_terms_are_those_of_full_logits_whatever_the_chunk(batch, monkeypatch, kind, weighted):
    expected, *terms = naive(kind, batch, weighted)
    # A chunk cuts sequences, holds one or two, or all; a block is a token or a chunk.
    for chunk_size, block in ((1, 1), (4, 1), (7, 1 << 20), (10, 2 * WORDS * 8), (None, 1), (1000, 1 << 20)):
        monkeypatch.setitem(fused.BLOCK_BYTES, "cpu", block)
        loss, found = loss_of(kind, batch, weigh=weigh if weighted else None, chunk_size=chunk_size)
        torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
        torch.testing.assert_close(list(found), [term.detach() for term in terms], rtol=1e-10, atol=1e-14)
        torch.testing.assert_close(
            gradients(loss, batch), gradients(naive(kind, batch, weighted)[0], batch), rtol=1e-10, atol=1e-14
        )
        assert all(column.grad_fn is None for column in found)


def test_without_tokens_a_divergence_has_no_log_probabilities(batch):
    loss, terms = loss_of("jsd", batch, tokens=None)
    torch.testing.assert_close(loss, naive("jsd", batch)[0])
    assert terms.log_prob is None


# The factor of DFT is held constant, which differences of values do not see.
@pytest.mark.parametrize("kind", [*DIVERGENCES, "cross_entropy"])
def test_gradients_are_those_of_small_differences(batch, kind):
    assert torch.autograd.gradcheck(
        lambda *student: loss_of(kind, batch, student=Layer(*student), chunk_size=5)[0],
        tuple(batch["student"]),
        atol=1e-8,
        fast_mode=True,
    )


def test_the_teacher_gets_no_gradient(batch):
    loss_of("forward_kl", batch)[0].backward()
    assert batch["student"].head.grad is not None
    assert batch["teacher"].hidden.grad is batch["teacher"].head.grad is None


def test_a_factor_scales_the_gradient_as_often_as_it_is_asked_for(batch):
    loss, _ = loss_of("reverse_kl", batch)
    plain, scaled, again = (
        torch.autograd.grad(factor * loss, list(batch["student"]), retain_graph=True) for factor in (1, -3.5, 1)
    )
    torch.testing.assert_close(scaled, tuple(-3.5 * gradient for gradient in plain))
    torch.testing.assert_close(again, plain, rtol=0, atol=0)
    for times in (1, 2, 3):
        loss.backward(retain_graph=True)
        torch.testing.assert_close(batch["student"].head.grad, times * plain[1])


def test_micro_batches_add_up(batch):
    whole, _ = loss_of("jsd", batch, weigh=weigh)
    parts = []
    for rows in (slice(0, 1), slice(1, 4)):
        part = {name: batch[name][rows] for name in ("tokens", "mask", "share")}
        layers = {name: Layer(batch[name].hidden[rows], batch[name].head) for name in ("student", "teacher")}
        parts.append(loss_of("jsd", part | layers, weigh=weigh)[0])
    torch.testing.assert_close(sum(parts), whole, rtol=1e-12, atol=0)
    torch.testing.assert_close(gradients(sum(parts), batch), gradients(whole, batch), rtol=1e-10, atol=1e-14)


def test_a_tied_head_gets_the_embeddings_gradient_as_well(batch):
    embedding = batch["student"].head
    found = []
    for form in (loss_of, naive):
        hidden = torch.tanh(embedding[batch["tokens"]])
        loss = form("forward_kl", batch | {"student": Layer(hidden, embedding)})[0]
        found.append(torch.autograd.grad(loss, embedding)[0])
    torch.testing.assert_close(*found)


def test_a_batch_without_tokens_has_a_loss_and_a_gradient_of_zero(batch):
    nothing = torch.zeros_like(batch["mask"])
    for weights in (None, weigh):
        loss, _ = loss_of("forward_kl", batch, mask=nothing, share=nothing.double(), weigh=weights)
        assert loss == 0
        assert all(gradient.abs().sum() == 0 for gradient in gradients(loss, batch))


def test_frozen_tensors_and_evaluation_make_no_gradients(batch):
    expected = gradients(loss_of("forward_kl", batch)[0], batch)
    for frozen in (0, 1):
        student = Layer(
            *(tensor.detach() if number == frozen else tensor for number, tensor in enumerate(batch["student"]))
        )
        loss, _ = loss_of("forward_kl", batch, student=student)
        torch.testing.assert_close(torch.autograd.grad(loss, student[1 - frozen])[0], expected[1 - frozen])
    with torch.no_grad():
        assert not loss_of("forward_kl", batch)[0].requires_grad


def narrowed(batch, dtype):
    layers = {
        name: Layer(*(tensor.detach().to(dtype).requires_grad_() for tensor in batch[name]))
        for name in ("student", "teacher")
    }
    return batch | layers


@pytest.mark.parametrize("kind", KINDS)
def test_narrow_weights_and_autocast_lose_what_their_products_lose(batch, kind):
    """bfloat16 has 8 bits: logits of about 5 are off by 0.02 each, and so are the gradients, relatively."""
    narrow = narrowed(batch, torch.bfloat16)
    expected, *terms = naive(kind, narrow)
    slopes = gradients(expected, narrow)
    for autocast, given in ((False, narrow), (True, narrowed(batch, torch.float32))):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss, found = loss_of(kind, given, chunk_size=5)
        assert loss.dtype == found.value.dtype == torch.float32
        torch.testing.assert_close(loss.double(), expected, rtol=0.03, atol=0.01)
        torch.testing.assert_close(found.entropy.double(), terms[1].detach(), rtol=0.03, atol=0.02)
        for gradient, tensor, slope in zip(gradients(loss, given), given["student"], slopes, strict=True):
            assert gradient.dtype == tensor.dtype
            assert (gradient - slope).norm() < 0.03 * slope.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_impossible_tokens_are_no_numbers_to_fear(batch, kind):
    layers = {}
    for name in ("student", "teacher"):
        hidden, head = (tensor.detach().clone() for tensor in batch[name])
        # The product of these two is minus infinity.
        hidden[..., 0], head[0], head[0, 0] = 1e200, 0, -1e200
        head[1:, 0] = 0
        layers[name] = Layer(hidden.requires_grad_(), head.requires_grad_())
    changed = batch | layers | {"tokens": batch["tokens"].clamp(min=1)}
    loss, terms = loss_of(kind, changed)
    assert 0 < loss < 10
    assert all(column.isfinite().all() for column in terms)
    assert all(gradient.isfinite().all() for gradient in gradients(loss, changed))


def test_small_divergences_keep_their_digits(batch):
    """Of a student that has nearly become its teacher: the divergence is 1e-6 of the log-probabilities."""
    narrow = narrowed(batch, torch.float32)
    student = Layer(*(tensor.detach().clone() for tensor in narrow["teacher"]))
    student.head.add_(1e-3 * torch.randn(student.head.shape, generator=torch.Generator().manual_seed(1)))
    near = narrow | {"student": Layer(*(tensor.requires_grad_() for tensor in student))}
    for kind in DIVERGENCES:
        expected = naive(kind, near)[0]
        loss = loss_of(kind, near)[0]
        assert expected < 1e-4
        assert loss.item() == pytest.approx(expected.item(), abs=2e-7)
        for found, slope in zip(gradients(loss, near), gradients(expected, near), strict=True):
            assert (found - slope).norm() < 1e-3 * slope.norm()


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation makes."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.size = max(self.size, value.numel())
        return result


@pytest.mark.parametrize("kind", KINDS)
def test_logits_exist_for_a_chunk_at_a_time_and_none_are_kept(monkeypatch, kind):
    words, length, chunk = 300, 40, 8
    # Two models' logits of a chunk in float32, one model's of twice as many tokens.
    monkeypatch.setattr(fused, "CHUNK_BYTES", 2 * chunk * words * 4)
    monkeypatch.setitem(fused.BLOCK_BYTES, "cpu", words * 4)
    student = Layer(torch.randn(2, length, 5, requires_grad=True), torch.randn(words, 5, requires_grad=True))
    ones = torch.ones(2, length)
    tokens, kept = torch.zeros(2, length, dtype=int), []
    teacher = student if kind in DIVERGENCES else None
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value.numel()) or value, lambda v: v):
        with Largest() as forward:
            loss, _ = fused_loss(kind, student, teacher, tokens, ones.bool(), ones, weigh=weigh)
        with Largest() as backward:
            loss.backward()
    assert forward.size == (chunk if teacher else 2 * chunk) * words
    assert backward.size == max(kept) == student.head.numel() < chunk * words


def test_each_model_has_its_head_cast_once(batch):
    casts = []

    class Casts(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            if function is torch.ops.aten._to_copy.default and len(result) == WORDS:
                casts.append(result.dtype)
            return result

    with Casts(), torch.autocast("cpu", torch.bfloat16):
        loss_of("jsd", narrowed(batch, torch.float32), chunk_size=2)
    assert casts.count(torch.bfloat16) == 2


class Products(TorchDispatchMode):
    """Counts matrix products."""

    number = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.number += function.overloadpacket in (torch.ops.aten.mm, torch.ops.aten.addmm)
        return function(*args, **(kwargs or {}))


def products(batch, **changes):
    with Products() as found:
        loss_of("forward_kl", batch, **changes)
    return found.number


def test_products_are_made_once_and_only_where_they_are_wanted(batch):
    hidden, head = batch["student"]
    assert products(batch) == 4
    assert (
        products(batch, student=Layer(hidden.detach(), head))
        == products(batch, student=Layer(hidden, head.detach()))
        == 3
    )
    with torch.no_grad():
        assert products(batch) == 2
    full = batch | {"mask": torch.ones_like(batch["mask"])}
    # Four sequences of six tokens: two fit into 13. One that is cut has its logits made once more for its weight.
    assert products(full, weigh=weigh, chunk_size=13) == 2 * 4
    assert products(full, weigh=weigh, chunk_size=3) == products(full, chunk_size=3) + 8 == 8 * 4 + 8


def test_a_chunk_needs_a_token(batch):
    with pytest.raises(ValueError, match="chunk_size is 0"):
        loss_of("jsd", batch, chunk_size=0)
