"""Successive halving: all candidates for a part of their steps, the better ones to the end as in the full sweep."""

from __future__ import annotations

import json

import pytest
from conftest import make_records, make_spec

from sdft.common.errors import SdftError
from sdft.common.files import read_json, write_json
from sdft.learning import candidate, promote, rung, select
from sdft.learning.loop import Training
from sdft.records.record import write_records


def one(folder, spec):
    """The paths of a candidate's files and its rung, once its first part is trained."""
    write_json(folder / "run.json", spec.model_dump(mode="json"))
    write_records(folder / "validation.jsonl", make_records(6))
    rung.main([*options(folder), "--out", str(folder / "rung.json")])
    return read_json(folder / "rung.json")


def options(folder):
    paths = {"run": folder / "run.json", "validation": folder / "validation.jsonl"}
    return [*(part for name, path in paths.items() for part in (f"--{name}", str(path))), "--max-new-tokens", "4"]


def finish(folder, *more):
    prior = ["--prior-config", json.dumps({"tasks": {}})]
    candidate.main([*options(folder), "--out", str(folder / "validation.json"), *prior, *more])
    return read_json(folder / "validation.json")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "small"), [pytest.param("sft", True, marks=pytest.mark.slow), ("sdft", True), ("sdft", False)]
)
def test_who_goes_on_ends_as_in_the_full_sweep(world, tmp_path, monkeypatch, method, small):
    if not small:
        monkeypatch.setattr(candidate, "SMALL_BYTES", 0)
    whole, halved = tmp_path / "whole", tmp_path / "halved"
    spec = make_spec(world, method, epochs=2, snapshots=2)
    write_json(whole / "run.json", spec.model_dump(mode="json"))
    write_records(whole / "validation.jsonl", make_records(6))
    expected = finish(whole, "--keep-weights")
    shown = one(halved, spec)
    assert 0 < shown["steps"] < shown["of"] == expected["steps"]
    assert len(list(halved.glob("state/step-*"))) == (1 if small else 0)
    write_json(tmp_path / "promoted.json", {"promoted": [spec.id]})
    found = finish(halved, "--keep-weights", "--promoted", str(tmp_path / "promoted.json"))
    assert found["validation"] == expected["validation"]
    for place in ("weights", *([f"snapshots/{expected['steps'] // 2}"] if small else [])):
        weights = [(folder / place / "model.safetensors").read_bytes() for folder in (whole, halved)]
        assert weights[0] == weights[1]


def test_an_interrupted_rung_continues_and_a_repeated_one_trains_nothing(world, tmp_path, monkeypatch):
    spec = make_spec(world, "sft", epochs=2)
    expected = one(tmp_path / "whole", spec)
    monkeypatch.setattr(rung, "validate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        one(tmp_path / "cut", spec)
    monkeypatch.undo()
    steps = []
    real = Training.step
    monkeypatch.setattr(Training, "step", lambda self, number: steps.append(number) or real(self, number))
    assert one(tmp_path / "cut", spec)["validation"] == expected["validation"]
    assert not steps
    (tmp_path / "cut/rung.json").unlink()
    assert one(tmp_path / "cut", spec)["validation"] == expected["validation"]
    assert not steps


def test_who_stays_behind_keeps_its_score_and_cannot_win(world, tmp_path):
    better, worse = (make_spec(world, "sft", epochs=2, learning_rate=rate) for rate in (1e-3, 1e-4))
    worse = worse.model_copy(update={"id": "worse"})
    shown = {spec.id: one(tmp_path / spec.id, spec) for spec in (better, worse)}
    write_json(tmp_path / "promoted.json", {"promoted": [better.id]})
    found = [finish(tmp_path / spec.id, "--promoted", str(tmp_path / "promoted.json")) for spec in (better, worse)]
    assert found[1]["validation"] == shown["worse"]["validation"]
    assert found[1]["stopped"] == {"steps": shown["worse"]["steps"], "of": shown["worse"]["of"]}
    assert not (tmp_path / "worse/state").exists()
    # Even where it looked better on the way.
    write_json(tmp_path / "worse/validation.json", found[1] | {"validation": {"value": 1.0, "n": 6}})
    rows = [select.read_candidate(tmp_path / spec.id / "validation.json") for spec in (worse, better)]
    assert [row["run"] for row in select.rank(rows)] == [better.id, "worse"]


@pytest.mark.parametrize(("count", "ahead"), [(1, 1), (3, 1), (4, 2), (18, 6)])
def test_the_better_third_goes_on(tmp_path, count, ahead):
    for number in range(count):
        for seed in (0, 1):
            values = {"learning_rate": 1e-3 * (number + 1), "epochs": 1, "batch_size": 8}
            entry = {"run": f"r{number}-{seed}", "hyperparameters": values, "seed": seed}
            value = (number + 0.5 * seed) / count
            write_json(tmp_path / f"{number}-{seed}.json", entry | {"validation": {"value": value, "n": 9}})
    files = [str(path) for path in tmp_path.glob("*.json")]
    promote.main(["--out", str(tmp_path / "out" / "promoted.json"), "--candidates", *files])
    best = range(count - ahead, count)
    assert read_json(tmp_path / "out/promoted.json")["promoted"] == sorted(f"r{n}-{s}" for n in best for s in (0, 1))


def test_a_final_run_has_no_rung(world, tmp_path):
    spec = make_spec(world, "sft").model_copy(update={"hyperparameters": None, "selected": str(tmp_path / "none")})
    with pytest.raises(SdftError, match="is a final run"):
        one(tmp_path, spec)


def test_a_damaged_list_of_who_goes_on_is_refused(world, tmp_path):
    one(tmp_path, make_spec(world, "sft"))
    for content in ({"ranking": []}, {"promoted": None}):
        write_json(tmp_path / "promoted.json", content)
        with pytest.raises(SdftError, match="does not list the candidates"):
            finish(tmp_path, "--promoted", str(tmp_path / "promoted.json"))
