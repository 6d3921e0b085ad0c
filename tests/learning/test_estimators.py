"""On a model whose sequences can all be listed, each estimator's mean is what it is said to be."""

from __future__ import annotations

import pytest
import torch

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.fused import Layer
from sdft.losses.enumerated import Toy, exact_gradient, log_probs, main, measure, sequences
from sdft.losses.estimators import estimated

WORDS, LENGTH = 3, 3


@pytest.fixture(scope="module")
def toys():
    return Toy(WORDS, 3, 0), Toy(WORDS, 3, 1)


@pytest.fixture(scope="module")
def table(toys):
    rows = measure(*toys, LENGTH, samples=4000, seed=0)
    return {(row["estimator"], row["samples_of"]): row for row in rows}


def test_every_sequence_is_listed_once_and_their_probabilities_sum_to_one(toys):
    tokens, mask = sequences(WORDS, LENGTH)
    # One that ends at once, two after a word, and four pairs of words before any of three.
    assert len(tokens) == len({tuple(row) for row in torch.where(mask, tokens, -1).tolist()}) == 1 + 2 + 4 * 3
    for model in toys:
        assert log_probs(model, tokens, mask).exp().sum().item() == pytest.approx(1)


def test_the_exact_gradient_is_the_slope_of_the_sequence_level_divergence(toys):
    student, teacher = Toy(WORDS, 3, 0), toys[1]
    tokens, mask = sequences(WORDS, LENGTH)

    def divergence():
        own, other = (log_probs(model, tokens, mask).detach() for model in (student, teacher))
        return (own.exp() * (own - other)).sum().item()

    gradient, step = exact_gradient(student, teacher, "reverse_kl", LENGTH), 1e-5
    direction = torch.randn(len(gradient), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = []
    for sign in (1, -2):
        first = 0
        for parameter in student.parameters():
            part = direction[first : first + parameter.numel()].view(parameter.shape)
            parameter.data += sign * step * part
            first += parameter.numel()
        values.append(divergence())
    assert (values[0] - values[1]) / (2 * step) == pytest.approx((gradient @ direction).item(), rel=1e-6)


def test_token_and_rao_blackwell_are_unbiased_for_the_sequence_level_reverse_kl(table):
    for name in ("token", "rao_blackwell"):
        row = table[name, "student"]
        assert row["gradient_norm"] > 0.1
        assert row["bias_norm"] < 1e-12
    assert table["rao_blackwell", "student"]["variance"] < table["token", "student"]["variance"]


def test_the_analytic_form_drops_the_prefix_scores_and_is_biased(table):
    analytic, sampled = table["analytic", "student"], table["token_own_ratio", "student"]
    assert analytic["bias_norm"] > 0.1
    assert analytic["bias_norm"] == pytest.approx(sampled["bias_norm"])
    assert analytic["variance"] < min(sampled["variance"], table["rao_blackwell", "student"]["variance"])


def test_forward_kl_is_unbiased_along_the_teachers_samples_alone(table):
    assert table["analytic_forward_kl", "teacher"]["bias_norm"] < 1e-12
    assert table["analytic_forward_kl", "student"]["bias_norm"] > 0.1


def test_sampling_finds_what_the_sums_say(table):
    for row in table.values():
        found, variance = row["sampled"], row["variance"]
        # The distance of a mean over n draws from its expectation has this root mean square.
        assert abs(found["distance"] - row["bias_norm"]) < 4 * (variance / found["n"]) ** 0.5
        assert found["variance"] == pytest.approx(variance, rel=0.3)


@pytest.mark.parametrize("estimator", ["token", "rao_blackwell"])
def test_with_skipped_tokens_both_are_unbiased_for_the_sum_over_the_others(toys, estimator):
    student, teacher = toys
    tokens, mask = sequences(WORDS, LENGTH)
    kept = mask & (mask.cumsum(-1) > 1)

    def chosen(model):
        scores = (model(tokens) @ model.head.T).log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        return scores.masked_fill(~mask, 0)

    ratios = ((chosen(student) - chosen(teacher).detach()) * kept).sum(-1)
    chances = chosen(student).sum(-1).exp()
    objective = (chances * ratios).sum()
    layers = [Layer(model(tokens), model.head) for model in toys]
    weights = chances.detach()[:, None]
    found = estimated(estimator, *layers, tokens, mask, kept, weigh=lambda log_prob: weights)
    estimate = len(tokens) * found.loss
    torch.testing.assert_close(estimate, objective)
    parameters = list(student.parameters())
    pairs = zip(torch.autograd.grad(estimate, parameters), torch.autograd.grad(objective, parameters), strict=True)
    for one, two in pairs:
        torch.testing.assert_close(one, two)


def test_the_command_writes_the_table_and_refuses_what_cannot_be_listed(tmp_path):
    main(["--out", str(tmp_path / "f.json"), "--words", "2", "--length", "2", "--samples", "10"])
    content = read_json(tmp_path / "f.json")
    assert content["toy"]["sequences"] == 3
    assert {row["estimator"] for row in content["estimators"]} >= {"analytic", "token", "rao_blackwell"}
    with pytest.raises(SdftError, match="too many sequences"):
        main(["--out", str(tmp_path / "f.json"), "--words", "100"])
    with pytest.raises(ValueError, match="'token' or 'rao_blackwell'"):
        estimated("analytic", None, None, None, None, None)
