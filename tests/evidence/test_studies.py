"""The other results: known effects get the verdicts they deserve, and what was not run shows."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import studies
import yaml
from scipy import stats
from studies import World
from world import standing

from sdft.common.errors import SdftError
from sdft.evidence.exhibits import figure2, figure3, figure5, figure6, figure7, figure8
from sdft.evidence.exhibits.cost import cost_claims, ratio_rows
from sdft.evidence.exhibits.table2 import table2_claims
from sdft.evidence.outcomes import Results, Run, read_results
from sdft.evidence.quantities import OFFLINE, Comparison
from sdft.evidence.rules import combine
from sdft.evidence.scores import Scores
from sdft.evidence.statements import Statement, catalogue, conclude, design_setting
from sdft.evidence.trajectories import summary
from sdft.evidence.verdicts import notice
from sdft.pages import figures, tables
from sdft.statistics import Interval, pass_at_k
from sdft.study.exhibits.schema import Exhibit
from sdft.study.gate import gates

ITEMS = 80


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("studies"), items=ITEMS)
    return {path.stem: path for make in studies.STUDIES for path in make(world)}


def make_table(plan: Path, out: Path):
    tables.main(["--plan", str(plan), "--out", str(out)])
    return json.loads((out / "verdict.json").read_text())


def verdicts(claims):
    return {claim["id"]: claim["verdict"] for claim in claims}


def changed(plan: Path, **fields) -> Path:
    path = plan.with_name(f"changed-{plan.name}")
    path.write_text(json.dumps({**json.loads(plan.read_text()), **fields}))
    return path


def test_table_1_has_every_line_and_its_claims_follow_from_the_effects(plans, tmp_path):
    verdict = make_table(plans["table1"], tmp_path)
    assert [row["label"] for row in verdict["rows"][::3]] == ["Base", "Oracle RAG", "CPT", "SFT", "SDFT"]
    assert [row["metric"] for row in verdict["rows"][:3]] == ["strict", "lenient", "ood"]
    strict, lenient, _ = verdict["rows"][9:12]
    assert strict["published"] == 80
    assert strict["low"] < 80 < strict["high"]
    assert lenient["mean"] >= strict["mean"]
    assert verdicts(verdict["claims"])["knowledge-sdft-generalises"] == "DIRECTION"
    assert verdicts(verdict["claims"])["knowledge-cpt-fails"] == "DIRECTION"
    assert {row["verdict"] for row in verdict["rows"]} == {"INCOMPARABLE"}
    text = (tmp_path / "table.md").read_text()
    own, printed = text.split("## The paper's numbers")
    assert "| SDFT | 89 | 100 | 98 |" in printed
    assert "| 89 |" not in own
    assert all((tmp_path / f"table.{kind}").stat().st_size > 300 for kind in ("csv", "tex"))


def test_table_2_compares_tokens_in_tokens(plans, tmp_path):
    verdict = make_table(plans["table2"], tmp_path)
    tokens = [row for row in verdict["rows"] if row["metric"] == "generated_tokens"]
    assert {row["unit"] for row in tokens} == {"tokens"}
    assert tokens[1]["mean"] < tokens[0]["mean"] < 60
    claim = next(entry for entry in verdict["claims"] if entry["id"] == "reasoning-sft-shortens")
    assert claim["verdict"] == "DIRECTION"
    assert [test["unit"] for test in claim["evidence"]["tests"]] == ["tokens", "tokens"]


@pytest.mark.slow
def test_the_papers_own_numbers_match_at_paper_scale(tmp_path):
    world = World(tmp_path, scale="paper", items=1000)
    rows = {"base": (0, 0), "cpt": (0.09, 0.07), "sft.knowledge": (0.80, 0.80), "sdft.knowledge": (0.89, 0.98)}
    order = world.rng.permutation(1000)
    world.outcomes = lambda benchmark, ability, items=None: (order < ability * 1000).astype(float)
    cells = []
    for arm, (strict, ood) in rows.items():
        abilities = {"knowledge": strict, "knowledge_ood": ood}
        runs = world.runs(arm, lambda name, own=abilities: {"scores": world.scores(name, own)})
        cells.append({"task": "knowledge", "arm": arm, "method": arm.split(".")[0], "runs": runs})
    base = [{"seed": run["seed"], "model": run["run"], "scores": run["scores"]} for run in cells.pop(0)["runs"]]
    verdict = make_table(world.plan("table1", base=base, cells=cells), tmp_path / "t")
    found = {(row["arm"], row["metric"]): row["verdict"] for row in verdict["rows"]}
    assert found["sdft.knowledge", "strict"] == found["sft.knowledge", "ood"] == found["cpt", "strict"] == "MATCH"
    assert found["oracle_rag", "strict"] == "NOT RUN"


@pytest.mark.slow
@pytest.mark.parametrize("make", [studies.knowledge, studies.reasoning])
def test_without_a_judge_no_number_of_either_split_stands_beside_the_papers(make, root, tmp_path):
    world = World(tmp_path, scale="paper")
    world.metric = "accuracy"
    for plan in make(world):
        if plan.stem.startswith("figure"):
            place, style = tmp_path / plan.stem, root / "sdft/pages/figures.mplstyle"
            figures.main([plan.stem, "--plan", str(plan), "--style", str(style), "--out", str(place)])
            verdict = json.loads(place.with_suffix(".json").read_text())
        else:
            verdict = make_table(plan, tmp_path / plan.stem)
        assert OFFLINE in verdict.get("notice", verdict.get("caption"))
        for row in verdict.get("rows", ()):
            judged = row["metric"] in ("new_task", "strict", "lenient", "ood")
            assert (row["reason"] == "scored by the offline judge") == judged
        for claim in verdict["claims"]:
            # Lengths are counted and not judged.
            assert claim["reading"].startswith(OFFLINE) == (claim["id"] != "reasoning-sft-shortens")
    world.metric = "judged_accuracy"
    (plan, *_) = make(world)
    assert OFFLINE not in json.dumps(make_table(plan, tmp_path / "judged"))


def test_sweeps_mark_what_differs_from_the_paper(plans, tmp_path):
    rows = make_table(plans["table3"], tmp_path)["rows"]
    found = {(row["method"], row["hyperparameter"]): row["verdict"] for row in rows}
    assert found["sdft", "ema_rate"] == found["sft", "warmup_steps"] == "same"
    assert found["sdft", "learning_rate"] == found["sft", "weights_dtype"] == "differs"
    assert found["dft", "epochs"] == "NOT RUN"
    text = (tmp_path / "table.md").read_text()
    assert "5e-6, 1e-5, 5e-5" in text
    assert "| SDFT | Epochs | 1, 2 | 5 (Science Q&A 10)* |" in text
    assert "| SFT | Epochs | 1, 2 | 5* |" in text


def test_a_share_of_the_steps_rules_over_a_number_of_warm_up_steps(plans, tmp_path):
    entries = json.loads(Path(plans["table3"]).read_text())["sweeps"]
    before = make_table(plans["table3"], tmp_path / "steps")["sections"][0]["note"]
    for entry in entries:
        entry["settings"]["warmup_share"] = 0.1
    verdict = make_table(changed(plans["table3"], sweeps=entries), tmp_path)
    (row,) = (row for row in verdict["rows"] if (row["method"], row["hyperparameter"]) == ("sft", "warmup_steps"))
    assert (row["published"], row["ours"], row["verdict"]) == (10, "10 % of the steps", "differs")
    text = (tmp_path / "table.md").read_text()
    assert "| Method | Hyper-parameter | Paper | Ours |" in text
    assert "| SFT | Warm-up steps | 10 | 10 % of the steps* |" in text
    count, again = (int(re.search(r"\((\d+) of", note)[1]) for note in (before, verdict["sections"][0]["note"]))
    assert again == count + 2


def test_the_cost_is_a_ratio_of_steps(plans, tmp_path):
    verdict = make_table(plans["cost"], tmp_path)
    flops, seconds = verdict["rows"]
    assert flops["mean"] == pytest.approx(2.6, rel=0.1)
    assert seconds["mean"] == pytest.approx(3.8, rel=0.2)
    assert 1 < seconds["low"] < seconds["mean"] < seconds["high"]
    assert (flops["published"], seconds["published"]) == (2.5, 4)
    assert verdicts(verdict["claims"]) == {"cost-dearer": "DIRECTION"}


def test_ablations_show_the_toy_and_every_arm(plans, tmp_path):
    verdict = make_table(plans["ablations"], tmp_path)
    assert {row["estimator"] for row in verdict["estimators"]} == {"token", "rao_blackwell", "analytic"}
    assert {row["arm"] for row in verdict["rows"] if row["ablation"] == "rollouts"} >= {"sdft", "sdft.rollouts8"}
    plan = changed(plans["ablations"], estimators=str(tmp_path / "absent"), cells=[])
    again = make_table(plan, tmp_path / "again")
    assert again["estimators"] == []
    assert set(verdicts(again["claims"]).values()) == {"NOT RUN"}
    assert "NOT RUN" in (tmp_path / "again/table.md").read_text()


@pytest.mark.parametrize("item", ["table1", "table2", "table3", "ablations", "cost"])
def test_a_study_that_is_switched_off_has_no_numbers_and_says_what_it_costs(plans, tmp_path, item):
    verdict = make_table(changed(plans[item], reason="switched off", cost_hours=12.5), tmp_path)
    assert {row["verdict"] for row in verdict["rows"]} <= {"NOT RUN"}
    assert {claim["verdict"] for claim in verdict["claims"]} <= {"NOT RUN"}
    assert all("12.5 device-hours" in claim["reading"] for claim in verdict["claims"])
    assert "12.5 device-hours" in (tmp_path / "table.md").read_text()


def test_a_sequence_is_normalised_between_base_and_best_and_its_transfers_are_those_of_the_matrix(plans):
    numbers = figure3.figure3(read_results(plans["figure3"]))
    assert [panel["order"] for panel in numbers["panels"]] == [list(order) for order in studies.ORDERS]
    for panel in numbers["panels"]:
        first = panel["order"][0]
        points = [point for arm in panel["arms"].values() for point in arm["curves"][first]]
        assert max(point["normalised"]["mean"] for point in points) == pytest.approx(1)
        assert points[0]["normalised"]["mean"] == 0
        for arm in panel["arms"].values():
            matrix = [[cell["mean"] for cell in row] for row in arm["matrix"]]
            own = [matrix[3][j] - matrix[j + 1][j] for j in range(2)]
            assert arm["transfer"]["backward"]["mean"] == pytest.approx(np.mean(own), abs=1e-2)
            ahead = [matrix[j][j] - matrix[0][j] for j in (1, 2)]
            assert arm["transfer"]["forward"]["mean"] == pytest.approx(np.mean(ahead), abs=1e-2)
            assert arm["transfer"]["forgetting"]["mean"] >= -arm["transfer"]["backward"]["mean"] - 1e-6
    found = verdicts(numbers["claims"])
    assert found["sequential-sdft-keeps"] == found["sequential-sft-below-base"] == "DIRECTION"


@pytest.mark.slow
def test_what_each_stage_could_teach_stands_beside_what_it_knows(tmp_path):
    (plan,) = studies.sequential(World(tmp_path, items=200, seeds=(0, 1)), taught=0.9)
    for panel in figure3.figure3(read_results(plan))["panels"]:
        for arm in panel["arms"].values():
            for stage, row in enumerate(arm["in_context"]):
                assert [cell["mean"] for cell in row] == pytest.approx([90 - 20 * stage] * len(row), abs=10)
    (plan,) = studies.sequential(World(tmp_path / "plain", items=20, seeds=(0, 1)))
    panels = figure3.figure3(read_results(plan))["panels"]
    assert not any(arm["in_context"] for panel in panels for arm in panel["arms"].values())


@pytest.mark.slow
def test_half_a_sequence_is_drawn_as_far_as_it_goes(tmp_path):
    (plan,) = studies.sequential(World(tmp_path, items=20, seeds=(0, 1)), stages=1)
    numbers = figure3.figure3(read_results(plan))
    half = numbers["panels"][1]["arms"]["sft.seq"]
    assert half["matrix"] is None
    assert {point["stage"] for point in half["curves"]["science"]} == {-1, 0}
    assert sum("SFT" in entry["what"] for entry in numbers["not_drawn"]) == 2
    claim = next(entry for entry in numbers["claims"] if entry["id"] == "sequential-sdft-keeps")
    assert claim["verdict"] == "INCONCLUSIVE"
    assert "1 of 3 tests not run" in claim["reading"]


def test_a_model_that_learns_nothing_neither_accumulates_nor_keeps(tmp_path):
    world = World(tmp_path, items=100)
    order = world.rng.permutation(100)
    world.outcomes = lambda benchmark, ability, items=None: (order < ability * 100).astype(float)
    (plan,) = studies.sequential(world, sdft=(0.45, 0.45))
    claims = {claim["id"]: claim for claim in figure3.figure3(read_results(plan))["claims"]}
    assert claims["sequential-sdft-accumulates"]["verdict"] == "NO DIFFERENCE"
    assert claims["sequential-sdft-keeps"]["verdict"] == "INCONCLUSIVE"
    assert "cannot be kept" in claims["sequential-sdft-keeps"]["reading"]
    words = {test["name"]: test["verdict"] for test in claims["sequential-sdft-keeps"]["evidence"]["tests"]}
    assert list(words.values()) == ["DIRECTION", "INCONCLUSIVE"] * 2


def test_points_along_training_are_never_compared_with_a_judge(tmp_path):
    world = World(tmp_path, scale="paper", items=20, seeds=(0, 1))
    (plan,) = studies.sequential(world)
    folder = world.root / "judged"
    folder.mkdir()
    record = {"benchmark": "medical", "n": 3, "metric": "judged_accuracy", "value": 1.0, "metrics": {}}
    (folder / "medical.json").write_text(json.dumps(record))
    rows = [{"benchmark": "medical", "id": str(k), "correct": 1, "offline": int(k == 2)} for k in range(3)]
    with gzip.open(folder / "responses.jsonl.gz", "wt") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in rows)
    assert figure3.base_outcomes(Run("base", 0, Scores(folder)), "medical", 3) == [0, 0, 1]
    for claim in figure3.figure3(read_results(plan))["claims"]:
        assert claim["verdict"] == "INCOMPARABLE"
        assert claim["reading"].startswith(OFFLINE)


@pytest.mark.slow
def test_a_base_model_that_misses_its_gate_marks_what_depends_on_it(tmp_path):
    model = next(iter(gates()))
    check = {"benchmark": "tooluse", "passed": False}
    (tmp_path / "gate.json").write_text(json.dumps({"model": model, "passed": False, "checks": [check]}))
    world = World(tmp_path, scale="paper", items=20, seeds=(0, 1))
    plan = studies.policies(world)[0]
    base = [{**entry, "model": model} for entry in json.loads(plan.read_text())["base"]]
    gate = [str(tmp_path / "gate.json")]
    study = read_results(changed(plan, base=base, gate=gate))
    numbers = figure6.figure6(study)
    assert {claim["verdict"] for claim in numbers["claims"]} == {"INCOMPARABLE"}
    assert all(claim["reading"].startswith(f"The base model {model} misses") for claim in numbers["claims"])
    assert "its gate on tooluse" in notice(study)
    for fields in ({"base": base, "gate": []}, {"gate": gate}, {"base": base, "gate": gate, **standing("mini")}):
        found = verdicts(figure6.figure6(read_results(changed(plan, **fields)))["claims"])
        assert "INCOMPARABLE" not in found.values()
    on_science = replace(comparison(5, 2, 0.001), benchmarks=("science",))
    assert conclude(statement("better"), [on_science], study)["verdict"] == "DIRECTION"


def test_two_judges_are_named_with_their_agreement(tmp_path):
    world = World(tmp_path, scale="paper", items=20, seeds=(0, 1))
    world.judges = {"judge": {"model": "one", "second_model": "two"}, "kappa": 0.813}
    for make, text in ((studies.reasoning, "on Medical: 0.81 (n = 20 answers"), (studies.knowledge, "indirect quest")):
        folder = tmp_path / make.__name__
        make_table(make(world)[0], folder)
        page = (folder / "table.md").read_text()
        assert "Cohen's kappa of the judges one, whose labels count, and two" in page
        assert text in page


def test_scaling_is_paired_at_every_size_and_pass_at_k_is_the_unbiased_estimate(plans):
    study = read_results(plans["figure5"])
    numbers = figure5.figure5(study)
    assert [entry["size"] for entry in numbers["sizes"]] == ["xs", "s", "m"]
    xs, _, m = numbers["sizes"]
    assert xs["difference"]["short"]["high"] < 0 < m["difference"]["short"]["low"]
    assert xs["difference"]["long"] is not None
    assert m["difference"]["long"] is None
    assert xs["in_context"]["mean"] < m["in_context"]["mean"]
    curves = {curve["method"]: curve for curve in numbers["pass_at_k"]}
    assert [point["k"] for point in curves["sdft"]["points"]] == [1, 2, 4, 8, 16, 32, 64, 128]
    runs = [run for cell in study.cells if cell.arm == "sdft" for run in cell.runs]
    items = [item["correct"] for run in runs for item in run.measurement("passk")["items"]]
    mean = 100 * np.mean([pass_at_k(128, correct, 8) for correct in items])
    assert curves["sdft"]["points"][3]["mean"] == pytest.approx(mean, abs=1e-3)
    order = next(claim for claim in numbers["claims"] if claim["id"] == "passk-order")["evidence"]["tests"]
    test = next(entry for entry in order if entry["name"] == "SDFT minus SFT, k = 8")
    assert test["difference"] == pytest.approx(mean - curves["sft"]["points"][3]["mean"], abs=1e-3)
    assert verdicts(numbers["claims"])["scaling-grows"] == "DIRECTION"


def test_a_statement_whose_verdict_another_arithmetic_does_not_share_is_inconclusive(plans):
    def read(**elsewhere):
        found = figure8.figure8(read_results(changed(plans["figure8"], elsewhere=elsewhere)))["claims"]
        return {claim["id"]: claim for claim in found}

    alone = read()["student-teacher-collapses"]
    assert alone["verdict"] == "DIRECTION"
    agreed = read(**{"student-teacher-collapses": {"AVX2": "DIRECTION", "two threads": "DIRECTION"}})[
        "student-teacher-collapses"
    ]
    assert agreed == alone
    differing = read(**{"student-teacher-collapses": {"AVX2": "MISMATCH"}})
    claim = differing["student-teacher-collapses"]
    assert claim["verdict"] == "INCONCLUSIVE"
    assert claim["reading"] == f"It hangs on rounding: DIRECTION here, MISMATCH with AVX2. {alone['reading']}"
    assert claim["readings"] == alone["readings"]
    assert claim["needed"] is None
    assert differing["ema-beats-frozen"] == read()["ema-beats-frozen"]
    # What is no evidence is none in every arithmetic.
    nothing = changed(
        plans["figure8"], evidence="none", elsewhere={"student-teacher-collapses": {"AVX2": "INCOMPARABLE"}}
    )
    claim = next(c for c in figure8.figure8(read_results(nothing))["claims"] if c["id"] == "student-teacher-collapses")
    assert claim["verdict"] == "INCOMPARABLE"
    assert "rounding" not in claim["reading"]


@pytest.mark.parametrize(
    ("make", "item", "measure"),
    [
        (studies.scaling, "figure5", figure5.figure5),
        (studies.policies, "figure6", figure6.figure6),
        (studies.policies, "figure8", figure8.figure8),
    ],
)
def test_a_study_on_another_task_than_the_papers_is_measured_alike_and_not_set_beside_its_values(
    tmp_path, make, item, measure
):
    def on(*task):
        world = World(tmp_path / "-".join((item, *task)), scale="paper", items=20)
        path = next(path for path in make(world, *task) if path.stem == item)
        return measure(read_results(path))

    paper, own = on(), on("medical")
    assert own["task"] == "medical" != own["paper_task"] == paper["task"]
    tests, moved = ([t for c in numbers["claims"] for t in c["evidence"]["tests"]] for numbers in (paper, own))
    assert any(test["published"] for test in tests)
    assert not any(test["published"] for test in moved)
    assert [test["name"] for test in moved] == [f"Medical: {test['name']}" for test in tests]
    assert [test["difference"] for test in moved] == [test["difference"] for test in tests]
    assert None not in [test["difference"] for test in tests]


def test_pass_at_k_of_base_models_that_were_asked_about_facts_of_their_own_counts_the_items_of_all(plans, tmp_path):
    plan = json.loads(plans["figure5"].read_text())
    measured = [
        run for run in (*plan["base"], *(r for cell in plan["cells"] for r in cell["runs"])) if run.get("passk")
    ]
    for number, run in enumerate(measured):
        content = json.loads(Path(run["passk"]).read_text())
        for k, item in enumerate(content["items"]):
            item["cluster"] = f"fact {k} of draw {run['seed']}"
        run["passk"] = str(tmp_path / f"{number}.json")
        Path(run["passk"]).write_text(json.dumps(content))

    def tests(path):
        claims = figure5.figure5(read_results(path))["claims"]
        return next(claim for claim in claims if claim["id"] == "passk-order")["evidence"]["tests"]

    draws = len({run["seed"] for run in measured})
    own = tests(changed(plans["figure5"], base=plan["base"], cells=plan["cells"]))
    shared = tests(plans["figure5"])
    assert [test["difference"] for test in own] == [test["difference"] for test in shared]
    assert [test["n_items"] for test in own] == [draws * test["n_items"] for test in shared]


def test_a_smallest_model_that_learns_well_in_context_leaves_its_statement_untestable(plans):
    plan = json.loads(plans["figure5"].read_text())
    assert verdicts(figure5.figure5(read_results(plans["figure5"]))["claims"])["scaling-smallest"] == "DIRECTION"
    shown = {entry["size"]: entry for entry in plan["contexts"]}
    contexts = [{**shown["m"], "size": "xs"}, *(entry for size, entry in shown.items() if size != "xs")]
    claims = figure5.figure5(read_results(changed(plans["figure5"], contexts=contexts)))["claims"]
    claim = next(entry for entry in claims if entry["id"] == "scaling-smallest")
    assert claim["verdict"] == "NOT TESTABLE"
    assert "does not learn poorly in context" in claim["reading"]
    elsewhere = {"scaling-smallest": {"AVX2": "NOT TESTABLE"}}
    alike = figure5.figure5(read_results(changed(plans["figure5"], contexts=contexts, elsewhere=elsewhere)))["claims"]
    assert alike == claims


def test_divergences_are_paired_by_item(plans):
    numbers = figure2.figure2(read_results(plans["figure2"]))
    sft, sdft, context = (entry["value"] for entry in numbers["nats"])
    assert sft["mean"] > context["mean"] > 0
    assert sft["covers"] == "seeds and items"
    assert sdft is None
    assert {"what": "KL to base, SDFT model", "why": "NOT RUN"} in numbers["not_drawn"]
    claim = next(entry for entry in numbers["claims"] if entry["id"] == "teacher-is-closer")
    assert claim["evidence"]["tests"][0]["published"] == 0.58
    assert claim["evidence"]["tests"][0]["n_items"] == 40


def test_policies_keep_the_place_of_an_arm_that_was_not_run(plans):
    plan = json.loads(plans["figure8"].read_text())
    plan["cells"] = [cell for cell in plan["cells"] if cell["arm"] != "sdft.frozen"]
    numbers = figure8.figure8(read_results(changed(plans["figure8"], **plan)))
    assert [entry["arm"] for entry in numbers["arms"]] == [arm for arm, _, _ in figure8.TEACHERS]
    assert numbers["arms"][2]["new_task"] is None
    assert numbers["arms"][2]["paper"] == 65
    assert {entry["arm"] for entry in numbers["not_drawn"]} == {"sdft.frozen"}
    assert verdicts(numbers["claims"])["ema-beats-frozen"] == "NOT RUN"


def test_one_missing_context_is_a_gap(plans):
    plan = json.loads(plans["figure7"].read_text())
    cells = [cell for cell in plan["cells"] if cell["arm"] != "sdft.text"]
    numbers = figure7.figure7(read_results(changed(plans["figure7"], cells=cells)))
    assert [entry["arm"] for entry in numbers["not_drawn"]] == ["sdft.text"]
    assert [entry["paper"] for entry in numbers["bars"]] == [37, 75, 89]


EMPTY = Results(Exhibit(name="", study="", **standing("mini")))


def comparison(mean, half, name="a"):
    """Three seeds of one base model whose 95 % interval is mean +- half."""
    error = half / stats.t.isf(0.025, 2)
    interval = Interval(mean, mean - half, mean + half, 3, 100, error, 0.0, "seeds and items", df_seeds=2)
    return Comparison(name, {"these_bases": replace(interval, p=interval.p_value())}, seeds=(0, 1, 2))


def statement(kind, margin=None):
    return Statement("x", "Figure 6", "A sentence.", "a predicate", kind, margin)


@pytest.mark.parametrize(
    ("kind", "margin", "mean", "half", "word"),
    [
        ("better", None, 5, 2, "DIRECTION"),
        ("better", None, 1, 0.5, "DIRECTION"),
        ("better", None, -5, 2, "MISMATCH"),
        ("better", None, -1, 0.5, "MISMATCH"),
        ("better", None, 1, 3.9, "NO DIFFERENCE"),
        ("better", None, -1, 3.9, "NO DIFFERENCE"),
        ("better", None, 1, 4.1, "INCONCLUSIVE"),
        ("not_worse", 5, 9, 2, "DIRECTION"),
        ("not_worse", 5, -1, 2, "WITHIN"),
        ("not_worse", 5, -4, 2, "INCONCLUSIVE"),
        ("not_worse", 5, -9, 2, "MISMATCH"),
        ("unchanged", 5, 1, 2, "WITHIN"),
        ("unchanged", 5, 4, 2, "INCONCLUSIVE"),
        ("unchanged", 5, 9, 2, "MISMATCH"),
        ("unchanged", 5, -9, 2, "MISMATCH"),
        ("no_gain", 5, 1, 2, "WITHIN"),
        ("no_gain", 5, 9, 2, "MISMATCH"),
    ],
)
def test_the_words_follow_from_the_interval(kind, margin, mean, half, word):
    assert conclude(statement(kind, margin), [comparison(mean, half)], EMPTY)["verdict"] == word


def test_a_premise_that_fails_decides_nothing():
    kept = replace(comparison(9, 2), kind="premise")
    assert conclude(statement("better"), [comparison(9, 2), kept], EMPTY)["verdict"] == "DIRECTION"
    failed = replace(comparison(-9, 2), kind="premise")
    assert conclude(statement("better"), [comparison(9, 2), failed], EMPTY)["verdict"] == "INCONCLUSIVE"


def test_intervals_end_at_what_is_possible_and_verdicts_do_not_see_that():
    wide = conclude(statement("better"), [comparison(60, 90)], EMPTY)["evidence"]["tests"][0]
    assert (wide["low"], wide["high"], wide["verdict"]) == (-30, 100, "INCONCLUSIVE")
    assert replace(comparison(60, 90), bound=200.0).shown.high == 150
    assert replace(comparison(60, 90), unit="nats").shown.high == 150
    assert figure5._value(comparison(15, 465))["low"] == -100
    points = summary([0.9, 1.0, 0.7], [Run(f"r{seed}", seed, None) for seed in range(3)], None)
    assert 0 <= points["low"] < points["high"] == 100
    assert figure2._ends(comparison(5, 30).interval)["low"] == 0
    margin = statement("unchanged", 100)
    assert conclude(margin, [comparison(60, 90)], EMPTY)["verdict"] == "INCONCLUSIVE"


def test_a_difference_in_a_unit_without_a_smallest_one_is_never_none():
    small = replace(comparison(0.1, 0.2), unit="nats")
    assert conclude(statement("better"), [small], EMPTY)["verdict"] == "INCONCLUSIVE"


def test_all_tests_have_to_hold_and_only_what_is_against_is_corrected():
    sure, nearly = comparison(5, 2, "a"), comparison(3, 2.9, "b")
    assert conclude(statement("better"), [sure, nearly, nearly], EMPTY)["verdict"] == "DIRECTION"
    worse = comparison(-9, 8.7, "c")
    alone = conclude(statement("better"), [worse], EMPTY)
    assert alone["verdict"] == "MISMATCH"
    p = alone["evidence"]["tests"][0]["p_holm"]
    claim = conclude(statement("better"), [sure, worse], EMPTY)
    assert claim["verdict"] == "INCONCLUSIVE"
    assert [test["p_holm"] for test in claim["evidence"]["tests"]] == [None, pytest.approx(2 * p)]
    assert "Holm's p below 0.05" in claim["test"]
    half_done = conclude(statement("better"), [sure, Comparison("b", absent=("SFT",))], EMPTY)
    assert half_done["verdict"] == "INCONCLUSIVE"
    assert combine(["DIRECTION", "MISMATCH", "NO DIFFERENCE"]) == "MISMATCH"
    assert combine(["DIRECTION", "NO DIFFERENCE"]) == "NO DIFFERENCE"


def test_a_claim_has_both_readings_and_the_one_on_these_bases_counts():
    one = comparison(5, 2)
    wide = replace(comparison(5, 9).interval, reading="any_base", n_bases=5)
    claim = conclude(statement("better"), [replace(one, readings={**one.readings, "any_base": wide})], EMPTY)
    assert (claim["verdict"], claim["counts"]) == ("DIRECTION", "these_bases")
    assert claim["readings"] == {"these_bases": "DIRECTION", "any_base": "INCONCLUSIVE"}
    alone = conclude(statement("better"), [replace(one, readings={"any_base": wide})], EMPTY)
    assert (alone["verdict"], alone["counts"]) == ("INCONCLUSIVE", "any_base")


def test_what_is_undecided_says_how_many_seeds_would_decide_it():
    open_ = replace(comparison(7, 9), components={"base": None, "seed": 3.6, "cluster": None})
    claim = conclude(statement("better"), [open_], EMPTY)
    assert claim["verdict"] == "INCONCLUSIVE"
    assert claim["needed"]["bases"] == 1
    assert 3 < claim["needed"]["seeds"] < 20
    assert f"with {claim['needed']['seeds']} seeds each would decide it: --config 'seeds=[0, 1" in claim["reading"]


def test_a_design_gives_each_base_model_its_seeds_and_asks_for_those_that_are_not_there():
    models = tuple(Run(f"m-s{seed % 5}", seed, None) for seed in range(10))
    five = replace(EMPTY, base=models)

    def claim(bases, seeds, reading, spread):
        one = comparison(7, 9)
        interval = replace(one.interval, n=bases * seeds, n_bases=bases, reading=reading, df_seeds=bases)
        return conclude(statement("better"), [replace(one, readings={reading: interval}, components=spread)], five)

    enough = claim(5, 2, "these_bases", {"base": None, "seed": 9.0})
    seeds = enough["needed"]["seeds"]
    assert enough["needed"] == {"bases": 5, "seeds": seeds, "more": 0}
    assert f"--config 'seeds={list(range(5 * seeds))}'." in enough["reading"]
    assert "models.names" not in enough["reading"]
    # Only two of the five base models are finished, and each new seed still starts from one of the five.
    assert claim(2, 2, "these_bases", {"base": None, "seed": 6.0})["needed"]["bases"] == 5
    few = claim(5, 1, "any_base", {"base": 12.0, "seed": None})
    bases = few["needed"]["bases"]
    assert few["needed"] == {"bases": bases, "seeds": 1, "more": bases - 5}
    assert bases > 5
    assert f"About {bases} base models with 1 seed each would decide it" in few["reading"]
    assert f"models.names has to name exactly {bases} base models, {bases - 5} more" in few["reading"]


def test_a_design_of_a_study_with_seeds_of_its_own_goes_on_with_these():
    design = {"bases": 5, "seeds": 2, "more": 0}
    exhibit = Exhibit(name="figure8", study="teachers", **standing("mini"))
    assert design_setting(design, exhibit) == f"seeds={list(range(10))}"
    seeds = [10, 11, 12, 13, 14, 17]
    own = design_setting(design, exhibit.model_copy(update={"seeds": seeds}))
    name, _, value = own.partition("=")
    assert (name, yaml.safe_load(value)) == (
        "scales",
        {"mini": {"studies": {"teachers": {"seeds": [*seeds, 18, 19, 20, 21]}}}},
    )


def test_a_rule_names_the_smallest_difference_of_interest_where_the_tests_are_in_points_alone(plans):
    found = [*figure2.figure2(read_results(plans["figure2"]))["claims"]]
    found += table2_claims(read_results(plans["table2"])) + cost_claims(*_cost(plans))
    for claim in found:
        units = {test["unit"] for test in claim["evidence"]["tests"]}
        bound = "inside -5 to 5 points NO DIFFERENCE" in claim["test"]
        assert bound == ("every interval lies above 0; " in claim["test"] and units == {"percentage points"}), claim
    assert "inside -5 to 5 points; one outside" in statement("unchanged", 5.0).rule


def _cost(plans):
    results = read_results(plans["cost"])
    return results, ratio_rows(results)


def test_statements_are_unique_and_each_has_a_margin_where_its_kind_needs_one():
    stated = [(name, entry) for name, entries in catalogue().items() for entry in entries]
    assert len({entry.id for _, entry in stated}) == len(stated)
    # Table 5's margin is the tolerance of the configuration.
    assert all((entry.margin is not None) == (entry.kind != "better") for name, entry in stated if name != "table5")


def test_a_toy_file_without_estimators_is_refused(plans, tmp_path):
    broken = tmp_path / "toy.json"
    broken.write_text("{}")
    with pytest.raises(SdftError, match="no list `estimators`"):
        make_table(changed(plans["ablations"], estimators=str(broken)), tmp_path / "t")
