"""Released checkpoints are shown beside the paper, as what they are: their weights and our evaluation."""

from __future__ import annotations

import gzip
import json

import pytest
from world import standing

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.evidence.names import METRICS, PRIOR
from sdft.models.hub import main as make_model
from sdft.pages.released import main
from sdft.records.record import Record, write_records
from sdft.study.plan import Plan

ITEMS = 97


@pytest.fixture
def table(tmp_path):
    """Scores of a tool-use checkpoint with so many right answers; the first 68 rows are another release's test set."""

    def make(right, scale="paper", scored=True, prior=0.5):
        scores, data = tmp_path / "scores", tmp_path / "test.jsonl"
        scores.mkdir(exist_ok=True)
        ids = [f"tooluse-{number}" for number in range(ITEMS)]
        write_records(data, [Record(name, [{"role": "user", "content": name}]) for name in ids])
        outcomes = {"tooluse": [int(number < right) for number in range(ITEMS)]}
        outcomes |= {name: [int(number < prior * 200) for number in range(200)] for name in PRIOR}
        if scored:
            with gzip.open(scores / "responses.jsonl.gz", "wt") as handle:
                for name, values in outcomes.items():
                    for number, correct in enumerate(values):
                        item = ids[number] if name == "tooluse" else f"{name}-{number}"
                        handle.write(json.dumps({"benchmark": name, "id": item, "correct": correct}) + "\n")
                    record = {"value": sum(values) / len(values), "n": len(values), "manifest": {}}
                    (scores / f"{name}.json").write_text(json.dumps(record))
        checkpoint = {
            "name": "sdft-tooluse-7b",
            "task": "tooluse",
            "method": "sdft",
            "from": "x/y@0",
            "scores": str(scores),
            "data": str(data),
            "versions": [68, 97],
        }
        plan = tmp_path / "plan.json"
        plan.write_text(json.dumps({**standing(scale), "checkpoints": [checkpoint]}))
        main(["--plan", str(plan), "--out", str(tmp_path / "out")])
        return json.loads((tmp_path / "out" / "verdict.json").read_text())["rows"], tmp_path / "out"

    return make


def test_every_number_is_from_release_with_the_paper_beside_it(table):
    rows, out = table(right=48)
    by_metric = {(row["metric"], row["n_items"]): row for row in rows}
    assert {row["metric"] for row in rows} == set(METRICS)
    assert {row["verdict"] for row in rows} == {"FROM RELEASE"}
    # 48 of the first 68 rows is the printed 70.6; of all 97 it is not, and the two are never mixed.
    assert by_metric["new_task", 68]["mean"] == pytest.approx(100 * 48 / 68, abs=1e-3)
    assert by_metric["new_task", 68]["reading"] == "the printed number"
    assert by_metric["new_task", 97]["mean"] == pytest.approx(100 * 48 / 97, abs=1e-3)
    assert "outside" in by_metric["new_task", 97]["reading"]
    assert by_metric["prior_average", 1200]["mean"] == pytest.approx(50)
    assert "70.6" in (out / "table.md").read_text()
    assert len((out / "table.csv").read_text().splitlines()) == len(rows) + 1


def test_what_was_not_scored_is_not_run_and_stand_ins_are_no_evidence(table):
    rows, _ = table(right=48, scored=False)
    assert {row["verdict"] for row in rows} == {"NOT RUN"}
    assert {row["mean"] for row in rows} == {None}
    rows, out = table(right=48, scale="rehearsal")
    assert {row["verdict"] for row in rows} == {"INCOMPARABLE"}
    assert "random weights" in (out / "table.md").read_text()


def test_an_unpinned_checkpoint_is_refused_with_the_remedy_and_a_local_one_is_not(tmp_path):
    source = {"repository": "improbableaimit/sdft-tooluse-7b"}
    with pytest.raises(SdftError, match=r"api/models/improbableaimit/sdft-tooluse-7b .*`revision`"):
        make_model(["--name", "m", "--source", json.dumps(source), "--out", str(tmp_path)])
    with pytest.raises(SdftError, match=r"holds no config\.json"):
        make_model(["--name", "m", "--source", json.dumps(source | {"path": str(tmp_path)}), "--out", str(tmp_path)])


def test_the_rehearsal_scores_stand_ins_for_the_papers_checkpoints(root):
    config = load_config(root / "config.yaml")
    paper, rehearsal = (Plan(config, name).released()["checkpoints"] for name in ("paper", "rehearsal"))
    assert [(one["name"], one["task"]) for one in paper] == [(one["name"], one["task"]) for one in rehearsal]
    assert paper[1]["versions"] == [68, 97]
    assert "results/paper/released/sdft-tooluse-7b/tooluse/tooluse.json" in Plan(config, "paper").released_scores()
