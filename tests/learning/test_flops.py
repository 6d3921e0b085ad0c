"""Operations are those of the formula, and each is booked on what it was spent on."""

from __future__ import annotations

import pytest
import torch
from conftest import make_spec

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.learning.checkpoint import Checkpoints
from sdft.learning.flops import PARTS, Meter, count, main
from sdft.learning.loop import Training
from sdft.learning.spec import Inputs


def test_a_linear_layer_takes_two_operations_for_each_of_its_products():
    layer, rows = torch.nn.Linear(5, 7, bias=False), torch.randn(3, 5, requires_grad=True)
    meter = Meter()
    with meter:
        result = layer(rows)
        with meter.part("backward"):
            result.sum().backward()
    # The backward pass has two products, one for the weights and one for the input.
    assert meter.parts == {"student": 2 * 3 * 5 * 7, "backward": 2 * 2 * 3 * 5 * 7}


def test_a_part_within_a_part_is_booked_once():
    meter, rows = Meter(), torch.ones(2, 2)
    with meter, meter.part("rollout"):
        rows @ rows
        with meter.part("teacher"):
            rows @ rows
        rows @ rows
    assert meter.parts["rollout"] == 2 * meter.parts["teacher"] == 2 * 2 * 2 * 2 * 2
    assert meter.parts["student"] == 0


@pytest.mark.slow
def test_sdft_costs_more_than_sft_and_each_method_pays_for_what_it_does(world):
    found = {
        name: count(make_spec(world, name), 1)
        for name in ("sft", "sdft", "offline_distillation", "off_policy_fresh", "sft_from_teacher")
    }
    for name, entry in found.items():
        parts = entry["flops_per_step"]
        assert entry["total"] == sum(parts.values())
        assert set(parts) == set(PARTS)
        assert parts["student"] > 0
        assert parts["backward"] > 0
        assert (parts["teacher"] > 0) == (name not in ("sft", "sft_from_teacher"))
        assert (parts["rollout"] > 0) == (name in ("sdft", "off_policy_fresh"))
        assert (entry["samples"] > 0) == (name in ("offline_distillation", "sft_from_teacher"))
    assert found["sdft"]["total"] > found["sft"]["total"]


def test_the_students_forward_pass_is_the_sum_of_its_products(world, tmp_path):
    spec = make_spec(world, "sft")
    run = Training(spec, Inputs(spec), tmp_path, Checkpoints(tmp_path, "x"), quiet=True)
    examples = [run.examples[row] for row in run.order[0]]
    columns = max(len(example.completion) for example in examples)
    width = max(len(example.prompt) for example in examples) + columns - 1
    tokens = sum(len(example.completion) for example in examples)

    def layer(places):
        # Queries and output 16 x 16, keys and values 16 x 8, three of 16 x 32; two heads of 8 units look at all.
        return width * 2 * 16 * 8 + places * (2 * 16 * 16 + 3 * 16 * 32) + 2 * 2 * places * width * 8

    found = count(spec, 1)
    assert found["tokens"] == {"sequences": 4, "completion": tokens}
    # The last of two layers is computed at the completions alone. The loss takes three products with the output
    # embeddings: logits, and the gradient by their two factors.
    assert found["flops_per_step"]["student"] == 2 * (4 * (layer(width) + layer(columns)) + 3 * tokens * 16 * 47)


def test_a_teacher_that_is_the_student_is_still_told_apart(world):
    found = count(make_spec(world, "sdft", teacher="student"), 1)["flops_per_step"]
    average = count(make_spec(world, "sdft"), 1)["flops_per_step"]
    assert found == average


def test_the_command_counts_a_run_and_touches_nothing_of_it(world, tmp_path):
    path = tmp_path / "run.json"
    path.write_text(make_spec(world, "sft").model_dump_json())
    main(["--run", str(path), "--out", str(tmp_path / "f.json"), "--steps", "2"])
    content = read_json(tmp_path / "f.json")
    assert content["steps_of_run"] == 6
    assert content["manifest"]["step"] == "flops"
    assert sorted(entry.name for entry in tmp_path.glob("[!.]*")) == ["f.json", "run.json"]
    with pytest.raises(SdftError, match="has 6 steps, fewer than --steps 7"):
        main(["--run", str(path), "--out", str(tmp_path / "f.json"), "--steps", "7"])
