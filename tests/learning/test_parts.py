"""Micro-batches bounded by tokens: the gradient of the whole batch, little padding, and a GPU that is filled."""

from __future__ import annotations

import pytest
import torch
from conftest import make_model, make_spec

from sdft.learning.checkpoint import Checkpoints
from sdft.learning.engines import GenerateEngine
from sdft.learning.loop import Training
from sdft.learning.parts import cuts, parts, row_sizes
from sdft.learning.processes import SingleProcess
from sdft.learning.spec import Inputs
from sdft.losses.encoding import Completions, Example
from sdft.methods import find_method
from sdft.methods.base import MicroBatch
from sdft.methods.settings import TrainingSettings
from sdft.models.size import ModelSize
from sdft.study.cards import FILLED, needed, tokens_beside
from sdft.study.forecast import assumptions

SEVEN = ModelSize(**assumptions()["models"]["Qwen2.5-7B-Instruct"])


def batch(rows=9):
    """Rows whose prompts and completions have lengths of their own, the longest neither first nor last."""
    random = torch.Generator().manual_seed(0)

    def ids(length):
        return torch.randint(7, 47, (length,), generator=random).tolist()

    examples = [
        Example(f"r{row}", ids(3 + 5 * row % 7), ids(4 + 3 * row % 8), ids(9 + 4 * row % 11)) for row in range(rows)
    ]
    lengths = torch.tensor([len(example.completion) for example in examples])
    width = int(lengths.max())
    tokens = torch.tensor([example.completion + [0] * (width - len(example.completion)) for example in examples])
    return examples, Completions(tokens, torch.arange(width) < lengths[:, None], -torch.ones(tokens.shape))


@pytest.mark.parametrize("name", ["sdft", "sft", "sft_kl"])
def test_rows_that_come_together_by_length_have_the_gradient_of_the_whole_batch(name):
    examples, completions = batch()
    method = find_method(name)(TrainingSettings(compute_dtype="float32"), 0)
    gradients, counts = [], []
    for most, tokens in ((None, None), (None, 60), (2, 60), (None, 1)):
        student = make_model().double()
        found = list(parts(row_sizes(examples, completions), SingleProcess(), most, tokens))
        for rows, share in found:
            one = MicroBatch([examples[row] for row in rows], completions.part(rows), make_model(2).double())
            (method.loss(one, student, make_model(1).double()).loss * share).backward()
        gradients.append([value.grad for value in student.parameters()])
        counts.append(len(found))
    assert counts[0] == 1 < counts[1] < counts[2] < counts[3] == len(examples)
    for other in gradients[1:]:
        torch.testing.assert_close(other, gradients[0], rtol=1e-10, atol=1e-13)


def test_bounded_by_tokens_less_is_padded_than_bounded_by_rows():
    sizes = row_sizes(*batch(64))

    def padded(found):
        return sum(
            len(part) * (max(sizes[row][0] for row in part) + max(sizes[row][1] for row in part)) for part in found
        )

    by_rows = cuts(range(64), sizes, 8, None)
    bound = max(padded([part]) for part in by_rows)
    by_tokens = cuts(range(64), sizes, None, bound)
    assert len(by_tokens) <= len(by_rows)
    assert padded(by_tokens) < 0.95 * padded(by_rows)
    assert max(padded([part]) for part in by_tokens) <= bound
    # The longest come first.
    assert padded([by_tokens[0][:1]]) == max(padded([[row]]) for row in range(64))


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_micro_batch_for_a_card_fills_it_and_leaves_room(checkpointing):
    settings = TrainingSettings(
        weights_dtype="bfloat16", optimizer_dtype="bfloat16", gradient_checkpointing=checkpointing
    )
    tokens = tokens_beside("sdft", settings, SEVEN, 141)
    assert needed("sdft", settings, SEVEN, tokens=tokens)["total"] == pytest.approx(FILLED * 141, rel=1e-3)
    # Where nothing is left, a sequence at a time.
    assert tokens_beside("sdft", settings, SEVEN, 80) == 1


def test_on_a_cpu_auto_takes_the_whole_batch(world, tmp_path):
    spec = make_spec(world, micro_batch_tokens="auto")
    training = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path / "state", "x"), quiet=True)
    assert training.most_tokens is None
    assert isinstance(training.engine, GenerateEngine)
