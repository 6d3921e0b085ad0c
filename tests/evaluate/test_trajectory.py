"""A trajectory holds each snapshot of a run in the order of training, and its end."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from sdft.common.errors import SdftError
from sdft.common.files import sha256_files, write_json
from sdft.evaluate import trajectory
from sdft.evaluate.__main__ import main as evaluate
from sdft.miniature.data import write_part
from sdft.records.record import Record, read_records, write_records


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    """A run with two snapshots, listed out of order, and data of two tasks."""

    def save(place):
        with torch.no_grad():
            for weights in model.parameters():
                weights += 0.3 * torch.randn_like(weights)
        model.save_pretrained(place)
        tokenizer.save_pretrained(place)
        return {"path": str(place.relative_to(tmp_path)), "sha256": sha256_files(place)}

    torch.manual_seed(1)
    snapshots = [{"step": step, "fraction": step / 6, **save(tmp_path / "snapshots" / str(step))} for step in (2, 4)]
    record = {"run": {"id": "toy"}, "steps": 6, "snapshots": snapshots[::-1], "weights": save(tmp_path / "weights")}
    write_json(tmp_path / "model.json", record)
    for task, gold in {"science": "ABCD", "medical": ("w1", "w2", "w3", "w4")}.items():
        rows = [Record(f"{n}", [{"role": "user", "content": f"w{n}"}], answer=answer) for n, answer in enumerate(gold)]
        write_records(tmp_path / task / "test.jsonl", rows)
    return tmp_path


@pytest.fixture
def run(folder):
    def call(*arguments, out="trajectory.json"):
        options = ["--model", folder / "model.json", "--task", "science", "medical", "--data-root", folder]
        options += ["--max-new-tokens", 6, "--device", "cpu", "--out", folder / out]
        trajectory.main([str(option) for option in (*options, *arguments)])
        return json.loads((folder / out).read_text())

    return call


def test_every_point_says_how_many_prompts_were_cut(run):
    for options, cut in ((["--max-prompt-tokens", 3], 4), ([], 0)):
        result = run(*options, out=f"{cut}.json")
        assert {found["cut"] for point in result["points"] for found in point["tasks"].values()} == {cut}


def test_points_are_what_an_evaluation_of_each_folder_says(run, folder):
    result = run("--limit", 3)
    assert result["run"] == "toy"
    assert [(point["step"], point["fraction"]) for point in result["points"]] == [(2, 2 / 6), (4, 4 / 6), (6, 1.0)]
    for point, place in zip(result["points"], ("snapshots/2", "snapshots/4", "weights"), strict=True):
        options = ["--model", folder / place, "--task", "science", "medical", "--data-root", folder, "--limit", 3]
        evaluate([str(o) for o in (*options, "--max-new-tokens", 6, "--device", "cpu", "--out", folder / "scores")])
        for task, found in point["tasks"].items():
            scores = json.loads((folder / "scores" / f"{task}.json").read_text())
            assert (found["value"], found["n"]) == (scores["value"], 3)
            assert sum(found["correct"]) / 3 == found["value"]
        assert (point["prior"], point["prior_average"]) == ({}, None)


@pytest.mark.slow
def test_only_the_end_is_measured_with_a_demonstration_too(run, folder):
    for task in ("science", "medical"):
        rows = read_records(folder / task / "test.jsonl")
        shown = [replace(row, demonstrations={"shared": f"w1 w2 {row.answer}"}) for row in rows]
        write_records(folder / task / "test.jsonl", shown)
    # A plain prompt is shorter than that, and one with a demonstration longer.
    (*_, end) = run("--context", "shared", "--max-prompt-tokens", 20, out="cut.json")["points"]
    assert {found["cut"] for found in end["tasks"].values()} == {0}
    assert {found["cut"] for found in end["in_context"].values()} == {4}
    plain, taught = run(out="plain.json"), run("--context", "shared", out="taught.json")
    *before, end = taught["points"]
    assert not any("in_context" in point for point in (*before, *plain["points"]))
    for task, found in end["in_context"].items():
        options = ["--model", folder / "weights", "--task", task, "--data-root", folder, "--context", "shared"]
        evaluate([str(o) for o in (*options, "--max-new-tokens", 6, "--device", "cpu", "--out", folder / "scores")])
        assert found["value"] == json.loads((folder / "scores" / f"{task}.json").read_text())["value"]
    assert set(end.pop("in_context")) == {"science", "medical"}
    assert taught["points"] == plain["points"]


def test_an_interrupted_command_continues(run, monkeypatch):
    whole, real, calls = run(), trajectory.measure, []

    def counted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(trajectory, "measure", counted)
    with pytest.raises(KeyboardInterrupt):
        run(out="cut.json")
    assert run(out="cut.json")["points"] == whole["points"]
    assert len(calls) == 4


def test_prior_benchmarks_are_averaged(run, folder, monkeypatch):
    from sdft.evaluate import prior

    class Value:
        def __init__(self, value):
            self.value = value

    asked = []
    monkeypatch.setattr(
        prior, "evaluate_prior", lambda *given: asked.append(given[2]) or {"a": Value(1), "b": Value(0)}
    )
    write_part("benchmarks", folder, 0, None, 8, 0)
    (*_, end) = run("--prior-config", "mini", "--prior-limit", 7)["points"]
    assert (end["prior"], end["prior_average"]) == ({"a": 1, "b": 0}, 0.5)
    assert {config["limit"] for config in asked} == {7}


def test_a_run_without_snapshots_has_its_end(run, folder):
    record = json.loads((folder / "model.json").read_text())
    del record["snapshots"]
    write_json(folder / "model.json", record)
    assert [point["step"] for point in run()["points"]] == [6]


def test_damaged_runs_are_refused(run, folder):
    record = json.loads((folder / "model.json").read_text())
    weights = folder / "snapshots" / "2" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(SdftError, match="model.safetensors has sha256"):
        run()
    write_json(folder / "model.json", {**record, "snapshots": [{"step": 2}]})
    with pytest.raises(SdftError, match="lists a snapshot without"):
        run()
    write_json(folder / "model.json", {"weights": record["weights"]})
    with pytest.raises(SdftError, match="no number of 'steps'"):
        run()
