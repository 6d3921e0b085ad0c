"""Halving's winners beside the full sweep's: the best candidate that went on, and the winner's rank at the rung."""

from __future__ import annotations

import json

import pytest

from benchmarks import halving
from sdft.common.errors import SdftError


def candidate(name, validation):
    runs = [f"{name}-s0", f"{name}-s1"]
    return {"runs": runs, "hyperparameters": {"of": name}, "validation": validation, "prior_average": 0.9}


def written(root, full, promoted, go_on):
    """Folders of a full sweep and of one with halving; both lists are in the order of their ranking."""
    choice = {"ranking": [candidate(name, 1 - number / 10) for number, name in enumerate(full)]}
    rung = {
        "ranking": [candidate(name, 0.5) for name in promoted],
        "promoted": [f"{name}-s{seed}" for name in go_on for seed in (0, 1)],
        "manifest": {"hardware": "a machine"},
    }
    for place, content in (("full/selected/science/sft.json", choice), ("halving/promoted/science/sft.json", rung)):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(json.dumps(content))
    out = root / "out.json"
    halving.main(["--full", str(root / "full"), "--halving", str(root / "halving"), "--out", str(out)])
    return json.loads(out.read_text())


def test_a_winner_that_does_not_go_on_is_replaced_by_the_best_that_does(tmp_path):
    found = written(tmp_path, "abcd", promoted="dbca", go_on="db")
    (arm,) = found["arms"]
    assert found["same"] == 0
    assert arm["full"]["hyperparameters"] == {"of": "a"}
    assert arm["halving"]["hyperparameters"] == {"of": "b"}
    assert arm["rank_of_winner"] == 4


def test_a_winner_that_goes_on_stays_the_winner_whatever_its_rank_at_the_rung(tmp_path):
    (arm,) = written(tmp_path, "abcd", promoted="dbac", go_on="dba")["arms"]
    assert arm["same"]
    assert arm["rank_of_winner"] == 3
    assert (arm["candidates"], arm["go_on"]) == (4, 3)


def test_sweeps_of_other_candidates_are_refused(tmp_path):
    with pytest.raises(SdftError, match="different candidates"):
        written(tmp_path, "abc", promoted="abd", go_on="a")


def test_results_without_halving_are_refused(tmp_path):
    with pytest.raises(SdftError, match="sweep=halving"):
        halving.main(["--full", str(tmp_path), "--halving", str(tmp_path), "--out", str(tmp_path / "out.json")])
