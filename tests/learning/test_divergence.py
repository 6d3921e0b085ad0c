"""The losses and their gradients against formulas written out in numpy, and the promise about memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from sdft.divergence import distillation_loss, supervised_loss, token_divergence, token_shares

KINDS = ["forward_kl", "reverse_kl", "jsd"]
BETA = 0.3


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def kl(p, q):
    return (p * np.log(p / q)).sum(-1)


def reference(student, teacher, kind):
    """Divergence at each position and its derivative with respect to the student's logits."""
    s, t = softmax(student), softmax(teacher)
    if kind == "forward_kl":
        return kl(t, s), s - t
    if kind == "reverse_kl":
        value = kl(s, t)
        return value, s * (np.log(s / t) - value[..., None])
    m = BETA * t + (1 - BETA) * s
    inner = kl(s, m)
    return BETA * kl(t, m) + (1 - BETA) * inner, (1 - BETA) * s * (np.log(s / m) - inner[..., None])


@pytest.fixture
def batch():
    """Three sequences of up to five completion tokens, the last without any; 11 words; widths 4 and 6."""
    random = np.random.default_rng(0)
    shapes = {"hidden": (3, 5, 4), "head": (11, 4), "teacher": (3, 5, 6), "teacher_head": (11, 6)}
    values = {name: random.normal(size=shape) for name, shape in shapes.items()}
    values["mask"] = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]])
    values["tokens"] = random.integers(0, 11, (3, 5))
    return values


def tensors(batch):
    found = {name: torch.tensor(value) for name, value in batch.items()}
    for name in ("hidden", "head", "teacher", "teacher_head"):
        found[name].requires_grad_()
    return found


def sequence_weights(mask, reduction):
    """How much each token counts in the loss."""
    counts = mask.sum(-1, keepdims=True)
    return mask / len(mask) / (np.maximum(counts, 1) if reduction == "sequence_mean" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_token_divergence_and_its_gradient(kind):
    random = np.random.default_rng(1)
    student, teacher = random.normal(size=(2, 3, 7)), random.normal(size=(2, 3, 7))
    values, slopes = reference(student, teacher, kind)
    s, t = torch.tensor(student, requires_grad=True), torch.tensor(teacher, requires_grad=True)
    found = token_divergence(s, t, kind, BETA)
    found.sum().backward()
    np.testing.assert_allclose(found.detach(), values, rtol=1e-12)
    np.testing.assert_allclose(s.grad, slopes, atol=1e-14)
    assert t.grad is None


@pytest.mark.parametrize("reduction", ["sequence_mean", "token_sum"])
@pytest.mark.parametrize("kind", KINDS)
def test_distillation_loss_and_its_gradients(batch, kind, reduction):
    temperature, weights = 0.7, np.array([[0.5], [2.0], [3.0]])
    student = batch["hidden"] @ batch["head"].T / temperature
    teacher = batch["teacher"] @ batch["teacher_head"].T / temperature
    values, slopes = reference(student, teacher, kind)
    share = weights * sequence_weights(batch["mask"], reduction)
    slopes = slopes * share[..., None] / temperature

    given = tensors(batch)
    loss = distillation_loss(
        given["hidden"],
        given["head"],
        given["teacher"],
        given["teacher_head"],
        given["mask"],
        kind=kind,
        beta=BETA,
        chunk_size=3,
        temperature=temperature,
        token_weights=torch.tensor(weights),
        reduction=reduction,
    )
    loss.backward()
    np.testing.assert_allclose(loss.item(), (values * share).sum(), rtol=1e-12)
    np.testing.assert_allclose(given["hidden"].grad, slopes @ batch["head"], atol=1e-14)
    np.testing.assert_allclose(given["head"].grad, np.einsum("btv,btd->vd", slopes, batch["hidden"]), atol=1e-14)
    assert given["teacher"].grad is None
    assert given["teacher_head"].grad is None


@pytest.mark.parametrize("weighting", ["none", "dft"])
def test_supervised_loss_and_its_gradients(batch, weighting):
    p = softmax(batch["hidden"] @ batch["head"].T)
    chosen = np.eye(11)[batch["tokens"]]
    likelihood = (p * chosen).sum(-1)
    # In DFT the probability is a constant factor: it scales the gradient and is not differentiated.
    factor = likelihood if weighting == "dft" else np.ones_like(likelihood)
    share = sequence_weights(batch["mask"], "sequence_mean") * factor
    slopes = (p - chosen) * share[..., None]

    given = tensors(batch)
    loss = supervised_loss(given["hidden"], given["head"], given["tokens"], given["mask"], weighting, chunk_size=2)
    loss.backward()
    np.testing.assert_allclose(loss.item(), -(np.log(likelihood) * share).sum(), rtol=1e-12)
    np.testing.assert_allclose(given["hidden"].grad, slopes @ batch["head"], atol=1e-14)
    np.testing.assert_allclose(given["head"].grad, np.einsum("btv,btd->vd", slopes, batch["hidden"]), atol=1e-14)


def arguments(batch):
    given = tensors(batch)
    return [given[name] for name in ("hidden", "head", "teacher", "teacher_head", "mask")]


def test_skipped_tokens_are_the_first_of_each_sequence(batch):
    shorter = batch | {"mask": np.array([[0, 0, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]])}
    skipped = distillation_loss(*arguments(batch), skip_tokens=2)
    torch.testing.assert_close(skipped, distillation_loss(*arguments(shorter)))
    assert skipped != distillation_loss(*arguments(batch))


def test_sequences_without_tokens_count_as_zero(batch):
    inputs = arguments(batch)
    alone = [value if value.shape[0] == 11 else value[:2] for value in inputs]
    torch.testing.assert_close(distillation_loss(*inputs), distillation_loss(*alone) * 2 / 3)
    inputs[-1] = torch.zeros_like(inputs[-1])
    nothing = distillation_loss(*inputs)
    nothing.backward()
    assert nothing == 0
    assert inputs[0].grad.abs().sum() == inputs[1].grad.abs().sum() == 0


@pytest.mark.parametrize("size", [1, 4, 7, 1000])
def test_the_chunk_size_changes_nothing(batch, size):
    results = []
    for chunk_size in (3, size):
        inputs = arguments(batch)
        loss = distillation_loss(*inputs, kind="jsd", chunk_size=chunk_size)
        loss.backward()
        results.append((loss.detach(), inputs[0].grad, inputs[1].grad))
    torch.testing.assert_close(results[0], results[1], rtol=1e-12, atol=1e-15)


class Largest(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation makes."""

    size = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.size = max(self.size, value.numel())
        return result


def test_logits_exist_for_one_chunk_at_a_time_and_are_not_kept():
    words, tokens, chunk = 300, 64, 8
    hidden = torch.randn(2, tokens // 2, 5, requires_grad=True)
    head = torch.randn(words, 5, requires_grad=True)
    mask = torch.ones(2, tokens // 2)
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value.numel()) or value, lambda v: v):
        with Largest() as forward:
            loss = distillation_loss(hidden, head, hidden.detach() + 1, head.detach(), mask, chunk_size=chunk)
            supervised = supervised_loss(hidden, head, torch.zeros(2, tokens // 2, dtype=int), mask, chunk_size=chunk)
        with Largest() as backward:
            (loss + supervised).backward()
    assert max(forward.size, backward.size) == chunk * words
    assert max(kept) < chunk * words


def test_narrow_inputs_are_computed_in_float32():
    student, teacher = torch.randn(2, 4, 9).to(torch.bfloat16), torch.randn(2, 4, 9).to(torch.bfloat16)
    found = token_divergence(student, teacher)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, token_divergence(student.double(), teacher.double()).float())


@pytest.mark.parametrize("kind", KINDS)
def test_impossible_tokens_are_no_numbers_to_fear(kind):
    student = torch.tensor([0.0, -torch.inf, 1.0], requires_grad=True)
    value = token_divergence(student, torch.tensor([0.5, -torch.inf, 2.0]), kind)
    value.backward()
    assert 0 < value < 1
    assert student.grad.isfinite().all()


def test_jsd_lies_between_the_two_directions():
    student, teacher = torch.randn(3, 8).double(), torch.randn(3, 8).double()
    for beta, scale, end in ((1e-6, 1e-6, "forward_kl"), (1 - 1e-6, 1e-6, "reverse_kl")):
        limit = token_divergence(student, teacher, "jsd", beta) / scale
        torch.testing.assert_close(limit, token_divergence(student, teacher, end), rtol=1e-4, atol=0)


def test_unknown_choices_are_refused(batch):
    with pytest.raises(ValueError, match="forward_kl, reverse_kl, jsd"):
        token_divergence(torch.zeros(3), torch.zeros(3), "kl")
    with pytest.raises(ValueError, match="beta is 1"):
        token_divergence(torch.zeros(3), torch.zeros(3), "jsd", 1.0)
    with pytest.raises(ValueError, match="sequence_mean"):
        token_shares(torch.ones(1, 1), "mean")
    with pytest.raises(ValueError, match="chunk_size is 0"):
        distillation_loss(*arguments(batch), chunk_size=0)
