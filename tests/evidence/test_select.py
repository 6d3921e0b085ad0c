"""The winner follows the written rule, and what cannot be ranked is refused by name."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.common.files import write_packed
from sdft.evaluate.prior import prior_config
from sdft.evaluate.responses import questions_digest
from sdft.learning import select
from sdft.learning.validation import REPLIES, scorers
from sdft.records.record import Record, write_records
from sdft.study.schema import Judge


def candidate(folder, name, value, rate=1e-4, ema=0.02, epochs=2, n=100, **more):
    path = folder / name / "validation.json"
    path.parent.mkdir()
    values = {"learning_rate": rate, "ema_rate": ema, "epochs": epochs, "batch_size": 32}
    record = {"run": name, "hyperparameters": values, "validation": {"value": value, "n": n}, "prior_average": 0.5}
    record |= more
    path.write_text(json.dumps(record))
    return path


def choose(tmp_path, *paths):
    out = tmp_path / "selected" / "science" / "sdft.json"
    select.main(["--candidates", *map(str, paths), "--out", str(out)])
    return json.loads(out.read_text())


def test_the_best_validation_score_wins_and_the_ranking_is_whole(tmp_path):
    values = enumerate((0.4, 0.9, 0.6))
    paths = [candidate(tmp_path, f"run{k}", value, epochs=1 + k) for k, value in values]
    result = choose(tmp_path, *paths)
    assert result["winner_run"] == "run1"
    assert [row["run"] for row in result["ranking"]] == ["run1", "run2", "run0"]
    assert (result["task"], result["arm"], result["method"]) == ("science", "sdft", "sdft")
    assert "validation score on the target task" in result["rule"]
    assert result["winner"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("loser", "winner"),
    [
        ({"rate": 2e-4, "ema": 0.01, "epochs": 1}, {"rate": 1e-4, "ema": 0.05, "epochs": 4}),
        ({"ema": 0.05, "epochs": 1}, {"ema": 0.01, "epochs": 4}),
        ({"epochs": 2}, {"epochs": 1}),
    ],
)
def test_ties_go_to_the_gentler_candidate(tmp_path, loser, winner):
    paths = [candidate(tmp_path, "a", 0.5, **loser), candidate(tmp_path, "b", 0.5, **winner)]
    assert choose(tmp_path, *paths)["winner_run"] == "b"
    assert choose(tmp_path, *reversed(paths))["winner_run"] == "b"


def test_a_candidate_with_several_seeds_counts_with_their_mean(tmp_path):
    steady = [candidate(tmp_path, f"steady-s{seed}", value, rate=1e-4) for seed, value in enumerate((0.7, 0.6, 0.8))]
    cliff = [candidate(tmp_path, f"cliff-s{seed}", value, rate=4e-4) for seed, value in enumerate((1.0, 0.0, 0.9))]
    result = choose(tmp_path, *steady, *cliff)
    assert result["winner"]["learning_rate"] == 1e-4
    first, second = result["ranking"]
    assert (first["run"], first["runs"]) == ("steady-s0", ["steady-s0", "steady-s1", "steady-s2"])
    assert first["validation"] == pytest.approx(0.7)
    assert second["by_run"] == [1.0, 0.0, 0.9]
    with pytest.raises(SdftError, match="different numbers of seeds"):
        choose(tmp_path, *steady, *cliff[:2])


def test_a_diverged_candidate_loses_to_one_that_learned_nothing(tmp_path):
    lost = candidate(tmp_path, "a", 0.0, rate=1e-5, diverged="step 3: the loss is nan")
    assert choose(tmp_path, lost, candidate(tmp_path, "b", 0.0))["winner_run"] == "b"
    with pytest.raises(SdftError, match="lower learning rates"):
        choose(tmp_path, lost)


def test_no_candidates_is_an_error(tmp_path):
    with pytest.raises(SdftError, match="no candidates"):
        choose(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", '{"run": "a"}', '{"run": "a", "hyperparameters": {}, "validation": {"value": NaN, "n": 9}}']
)
def test_a_corrupt_candidate_is_named_and_nothing_is_written(tmp_path, content):
    good = candidate(tmp_path, "good", 0.5)
    bad = tmp_path / "bad.json"
    bad.write_text(content)
    with pytest.raises(SdftError, match=r"bad\.json"):
        choose(tmp_path, good, bad)
    assert not list(tmp_path.glob("selected/**/*.json"))


def test_candidates_measured_on_different_items_are_not_ranked(tmp_path):
    with pytest.raises(SdftError, match="different numbers of items"):
        choose(tmp_path, candidate(tmp_path, "a", 0.5), candidate(tmp_path, "b", 0.6, n=50))


def test_with_a_judge_its_verdicts_on_the_kept_answers_select_and_the_record_says_so(
    tmp_path, endpoint_server, monkeypatch, root
):
    monkeypatch.chdir(root)
    records = [Record(f"q{n}", [{"role": "user", "content": f"question {n}"}], answer="cold") for n in range(4)]
    write_records(tmp_path / "validation.jsonl", records)
    # The longwinded one names the reference string in every answer, and is wrong by the judge.
    answers = {"longwinded": "hot, or cold, or neither", "right": "low temperature"}
    scored = scorers("medical", prior_config("mini", root))
    paths = []
    for name, value, rate in (("longwinded", 1.0, 1e-4), ("right", 0.0, 2e-4)):
        paths.append(candidate(tmp_path, name, value, rate, n=4, scored=scored))
        responses = [{"id": record.id, "response": answers[name]} for record in records]
        validation = {"questions": questions_digest(records), "responses": responses}
        write_packed(paths[-1].with_name(REPLIES), {"validation": validation, "prior": {}})
    diverged = candidate(tmp_path, "diverged", 0.0, 4e-4, n=4, diverged="step 1", scored=scored)

    def verdict(number, body):
        said = body["messages"][-1]["content"]
        return 200, "CORRECT" if answers["right"] in said else "INCORRECT"

    server = endpoint_server(verdict)
    judge = Judge(model="judge-a", base_url=server.address, cache=str(tmp_path / "cache"))
    out = tmp_path / "selected" / "medical" / "sdft.json"
    given = ["--candidates", *map(str, [*paths, diverged]), "--validation", str(tmp_path / "validation.jsonl")]
    select.main([*given, "--out", str(out)])
    offline = json.loads(out.read_text())
    assert (offline["winner_run"], offline["scorer"]) == ("longwinded", "offline judge")
    select.main([*given, "--out", str(out), "--judge", judge.model_dump_json()])
    found = json.loads(out.read_text())
    assert (found["winner_run"], found["scorer"]) == ("right", "judge judge-a")
    assert [(row["validation"], row.get("offline")) for row in found["ranking"]] == [(1, 0), (0, 1), (0, None)]
