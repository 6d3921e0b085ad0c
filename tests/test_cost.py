"""The forecast is arithmetic on what was measured, and says how far it can be trusted."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.methods.settings import TrainingSettings
from sdft.models.memory import memory
from sdft.models.size import ModelSize, read_size
from sdft.study.forecast import (
    Job,
    assumptions,
    check_budget,
    comparisons,
    device_hours,
    disk,
    fit,
    forecast,
    jobs,
    makespan,
    sizes,
)
from sdft.study.forecast.phases import training_phases
from sdft.study.plan import Plan
from sdft.study.rows import sequences
from sdft.study.schema import Budget, Judge
from workflow_scripts.budget import report


@pytest.fixture
def plan(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Plan(load_config(root / "config.yaml"), "paper")


def test_every_job_of_the_study_is_counted_once_and_after_what_it_needs(plan):
    found = jobs(plan)
    assert len({job.output for job in found}) == len(found) == 1 + 3 * (18 + 18 + 54 + 3) + 2 * 3 * 5 * 3
    seen = set()
    for job in found:
        assert set(job.needs) <= seen
        seen.add(job.output)


@pytest.mark.slow
def test_a_target_counts_what_is_behind_it_and_no_more(plan):
    table2, figure5, table5 = (jobs(plan, name) for name in ("table2", "figure5", "table5"))
    assert {job.model for job in table2} == {"Olmo-3-7B-Think"}
    # Two sweeps, three final runs each with their scores, and the base model.
    assert len(table2) == (6 + 6) + 2 * 3 * 2 + 1
    assert {job.model for job in figure5} == {f"Qwen2.5-{size}-Instruct" for size in ("3B", "7B", "14B")}
    assert sum(job.kind == "measure:passk" for job in figure5) == 2 * 3 + 1
    # 7B's runs on science are Table 5's.
    outputs = {job.output for job in table5}
    shared = [job for job in figure5 if job.model == plan.bases[0] and not job.kind.startswith("measure")]
    assert shared
    assert all(job.output in outputs for job in shared)
    # A figure of Table 5's models reads the gate of their base model, whose scores are then measured too.
    gate = "results/paper/scores/base/Qwen2.5-7B-Instruct/responses.jsonl.gz"
    assert gate in {job.output for job in jobs(plan, "figure2")}
    assert {job.output for job in (*table2, *figure5, *table5)} <= {job.output for job in jobs(plan, "all")}


@pytest.mark.slow
def test_larger_models_and_longer_rollouts_cost_more_and_several_devices_share_the_time(plan):
    def find(target, run):
        (job,) = (job for job in jobs(plan, target) if job.output == plan.validation_path(run))
        return job

    first = {arm: plan.candidates("science", arm)[0] for arm in ("sdft", "sdft.3b", "sdft.14b")}
    sizes = {arm: assumptions()["models"][run.base]["parameters"] for arm, run in first.items()}
    cost = {arm: find("figure5", run) for arm, run in first.items()}
    assert {arm: job.devices for arm, job in cost.items()} == {"sdft": 1, "sdft.3b": 1, "sdft.14b": 4}
    for arm in ("sdft.3b", "sdft.14b"):
        larger = sizes[arm] / sizes["sdft"]
        # Devices share the operations; each of them waits for the longest completion.
        ratio = {name: cost[arm].phases[name] / cost["sdft"].phases[name] for name in ("rollout", "update")}
        assert ratio == pytest.approx({"rollout": larger, "update": larger / cost[arm].devices})
        assert sum(cost[arm].phases.values()) == cost[arm].units
    # Rollouts of a model that thinks are as long as they may be: 8,192 tokens in the place of 1,000. SFT samples none.
    olmo = {arm: plan.candidates("medical", f"{arm}.answer_only")[0] for arm in ("sft", "sdft")}
    cost = {arm: find("table2", run) for arm, run in olmo.items()}
    assert "rollout" not in cost["sft"].phases
    usual = find("table5", plan.candidates("medical", "sdft")[0])
    each = [job.phases["rollout"] / job.phases["update"] for job in (cost["sdft"], usual)]
    assert each[0] / each[1] == pytest.approx(8192 / 1000 * cost["sdft"].devices)


@pytest.mark.slow
def test_with_a_judge_the_evaluations_behind_its_verdicts_are_counted(plan):
    paper = plan.scale.model_copy(update={"judge": Judge(model="gpt-5-mini")})
    config = plan.config.model_copy(update={"scales": plan.config.scales | {"paper": paper}})
    for target in ("table1", "table2", "table5"):
        assert jobs(Plan(config, "paper"), target) == jobs(plan, target)


def test_sequences_are_full_batches(plan):
    (run, *_) = plan.candidates("tooluse", "sft")
    values = run.hyperparameters.model_copy(update={"batch_size": 32, "epochs": 2})
    # 4046 rows, 202 of which validate.
    assert sequences(plan, run, values) == (4046 - 202) // 32 * 32 * 2


def test_continued_pre_training_reads_the_parts_of_the_articles(plan):
    run = plan.candidates("knowledge", "cpt")[0]
    # Nine articles of about 90,000 characters, each in twelve parts of at most 8,000.
    assert sequences(plan, run, run.hyperparameters.model_copy(update={"epochs": 2})) == 9 * 12 // 16 * 16 * 2


def test_the_files_of_a_model_are_read_once_and_again_when_they_are_others(plan, monkeypatch):
    """A forecast asks for one model's size thousands of times, and the headers of its weights are long."""
    model, read = plan.bases[0], []
    listed, folder = sizes.model_size(plan, model), Path(plan.base_path(model)).parent
    monkeypatch.setattr(sizes, "read_size", lambda place: read.append(place) or read_size(place))
    keys = ("num_hidden_layers", "hidden_size", "intermediate_size", "vocab_size")

    def download(width):
        folder.mkdir(parents=True, exist_ok=True)
        header = json.dumps({"a": {"dtype": "F32", "shape": [width, 10], "data_offsets": [0, 0]}}).encode()
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
        (folder / "config.json").write_text(json.dumps(dict.fromkeys(keys, width)))

    assert sizes.model_size(plan, model) == listed
    assert not read
    download(7)
    assert {sizes.model_size(plan, model) for _ in range(3)} == {ModelSize(70, 7, 7, 7, 7)}
    assert len(read) == 1
    download(7000)
    assert sizes.model_size(plan, model) == ModelSize(70_000, 7000, 7000, 7000, 7000)


def test_disk_has_room_for_three_checkpoints_and_the_weights_of_every_run_under_way(plan):
    run = next(run for run in plan.runs() if run.arm == "sdft")
    size = sizes.model_size(plan, run.base)
    # Weights and Adam's moments in bfloat16, the average in float32; a third checkpoint is written beside two.
    checkpoint, weights = (size.parameters * count / 2**30 for count in (10, 2))
    assert disk(plan, 8)["checkpoints under way"] == pytest.approx(8 * (3 * checkpoint + weights))


def test_the_fit_finds_a_line_and_states_its_error():
    exact = fit("sft", [(units, 10 + 0.5 * units) for units in (0, 100, 200, 400)], "miniature")
    assert (exact.start, exact.per_unit, exact.n) == (pytest.approx(10), pytest.approx(0.5), 4)
    assert exact.error == pytest.approx(0, abs=1e-9)
    noisy = fit("sft", [(100, 50), (100, 100), (100, 50), (100, 100)], "miniature")
    assert noisy.start == 75
    assert noisy.error > 0.2
    assert fit("sft", [(1, 100), (2, 50), (3, 10)], "miniature").per_unit == 0


def test_without_measurements_the_forecast_is_a_declared_assumption():
    assumed = assumptions()["gpu"]
    found = fit("candidate:sdft", [], "gpu")
    assert found.n == 0
    # Units are seconds by phases.
    assert (found.start, found.per_unit) == (assumed["phases"]["start"], 1)
    assert found.error == assumed["factor"] - 1


@pytest.mark.slow
def test_what_was_measured_replaces_the_assumption_and_what_is_done_costs_nothing_more(plan, tmp_path):
    before, _ = forecast(plan)
    for run in plan.candidates("science", "sft")[:4]:
        path = tmp_path / plan.validation_path(run)
        path.parent.mkdir(parents=True)
        (units,) = (job.units for job in before if job.output == plan.validation_path(run))
        path.write_text(json.dumps({"manifest": {"seconds": 1000 + 0.1 * units}}))
    after, fits = forecast(plan)
    assert fits["candidate:sft"].n == 4
    assert fits["candidate:sft"].per_unit == pytest.approx(0.1)
    assert sum(job.done for job in after) == 4
    assert device_hours(after) < device_hours(before)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["table2", "figure5", "table5"])
def test_the_seconds_of_every_kind_of_finished_job_are_found(plan, tmp_path, target):
    for job in jobs(plan, target):
        path = tmp_path / job.output
        path.parent.mkdir(parents=True, exist_ok=True)
        record = path.with_name("science.json") if path.suffix == ".gz" else path
        path.write_bytes(gzip.compress(b"{}"))
        record.write_text(json.dumps({"manifest": {"seconds": 7}}))
    assert {job.seconds for job in jobs(plan, target)} == {7}
    assert device_hours(forecast(plan, target)[0]) == 0


def test_finished_runs_of_another_plan_are_measurements_too(plan, tmp_path):
    folder = tmp_path / plan.root / "runs/table5"
    units = {}
    for number, epochs in enumerate((1, 2, 4)):
        path = folder / f"science-sft-{number}" / "model.json"
        path.parent.mkdir(parents=True)
        sample = plan.candidates("science", "sft")[0]
        values = sample.hyperparameters.model_copy(update={"epochs": epochs})
        run = sample.model_copy(update={"study": "table5", "hyperparameters": values})
        units[number] = sum(training_phases(plan, run, values).values())
        record = {"run": run.model_dump(mode="json"), "steps": 79, "manifest": {"seconds": 50 + units[number] / 10}}
        path.write_text(json.dumps(record))
    broken = folder / "science-sft-9" / "model.json"
    broken.parent.mkdir()
    broken.write_text("{}")
    _, fits = forecast(plan)
    assert (fits["sft"].n, fits["sft"].start) == (3, pytest.approx(50))
    assert fits["sft"].per_unit == pytest.approx(0.1)
    assert fits["dft"].n == 0


@pytest.mark.slow
def test_three_finished_runs_replace_the_constants_of_their_phases_in_every_other_run(plan, tmp_path):
    before = {job.output: job for job in jobs(plan)}
    runs = plan.candidates("science", "sdft")[:3]
    for number, run in enumerate(runs):
        path = tmp_path / plan.validation_path(run)
        path.parent.mkdir(parents=True)
        phases = before[plan.validation_path(run)].phases
        # Rollouts take three times what was assumed, and the rest what was.
        measured = {name: seconds * (3 if name == "rollout" else 1) for name, seconds in phases.items()}
        path.write_text(json.dumps({"manifest": {"seconds": sum(measured.values())}, "phases": measured}))
        after = {job.output: job for job in jobs(plan)}
        other = plan.validation_path(plan.candidates("medical", "sdft")[7])
        factor = 3 if number == 2 else 1
        assert after[other].phases["rollout"] == pytest.approx(factor * before[other].phases["rollout"])
        assert after[other].phases["gradient"] == pytest.approx(before[other].phases["gradient"])


@pytest.mark.slow
def test_the_papers_study_costs_what_is_promised_with_the_defaults(plan):
    """The forecast of Table 5 and of everything, and the shares of the phases, as docs/paper-scale.md has them."""
    hours = {target: device_hours(forecast(plan, target)[0]) for target in ("table5", "all")}
    assert 400 < hours["table5"] < 700
    assert 2000 < hours["all"] < 4000


def test_a_finished_job_is_set_against_the_forecast_that_the_others_give():
    exact = [Job(f"a{n}", "sft", n, (), done=True, seconds=10.0 + n) for n in (10, 20, 40, 80)]
    (one,) = comparisons(exact, "miniature")
    assert (one.n, one.origin) == (4, "the others")
    assert one.forecast == pytest.approx(one.actual) == pytest.approx(190)
    (first,) = comparisons([*exact[:1], Job("b", "sft", 9, ())], "miniature")
    assumed = assumptions()["miniature"]["training"]["sft"]
    assert (first.n, first.origin) == (1, "the assumption")
    assert first.forecast == pytest.approx(assumed["start"] + assumed["per_unit"] * 10)
    assert comparisons([Job("c", "sft", 9, ())], "miniature") == []


@pytest.mark.slow
def test_the_budget_prints_forecast_against_actual_and_the_memory_of_each_arithmetic(plan, tmp_path):
    for run in plan.candidates("science", "sft")[:4]:
        path = tmp_path / plan.validation_path(run)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"manifest": {"seconds": 3600}}))
    text, _ = report(plan, "table5", 8)
    assert re.search(r"candidate:sft +4 +4\.000 +4\.000 +\+0 %", text)
    assert "4 measured, 0 % off (median, left out)" in text
    # A float32 EMA beside stochastically rounded bfloat16 weights is faithful and fits; float32 throughout does not.
    assert re.search(r"float32 EMA, stochastic rounding +\d+ GiB  fits 141 GiB", text)
    assert re.search(r"official code: all bfloat16 +\d+ GiB  fits 141 GiB", text)
    assert re.search(r"all float32 +\d+ GiB  does not fit 141 GiB", text)


def test_released_checkpoints_cost_an_evaluation_each(plan):
    assert [job.kind for job in jobs(plan, "released_checkpoints")] == ["evaluation", "evaluation"]


def test_the_wall_clock_respects_order_and_number_of_devices():
    chain = [Job("a", "x", 1, (), forecast=10), Job("b", "x", 1, ("a",), forecast=10)]
    rest = [Job(f"c{n}", "x", 1, (), forecast=10) for n in range(2)]
    assert makespan([*chain, *rest], 1) == 40
    assert makespan([*chain, *rest], 2) == 20
    assert makespan([*chain, *rest], 100) == 20
    # The chain's two jobs start one after the other.
    assert makespan([*chain, *rest], 100, start=3) == 26
    wide = Job("d", "x", 1, (), forecast=10, devices=4)
    assert device_hours([wide]) == pytest.approx(4 * 10 / 3600)
    assert makespan([wide, *rest], 4) == 20
    assert makespan([wide, *rest], 6) == makespan([wide], 2) == 10


def test_memory_follows_the_arithmetic_of_the_choices():
    def total(**settings):
        size = ModelSize(**assumptions()["models"]["Qwen2.5-7B-Instruct"])
        return memory(size, TrainingSettings(gradient_checkpointing=True, **settings))["total"]

    low = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16"}
    official = total(**low, ema_dtype="bfloat16")
    ours = total(**low, ema_dtype="float32")
    # 7.62 billion parameters: 2 + 2 + 4 + 2 bytes each for the official code, and 4 more for the average.
    assert ours - official == pytest.approx(4 * 7.62e9 / 2**30)
    assert 71 < official < 85
    assert ours < 141 < total()
    assert total(**low, teacher="base") == pytest.approx(official)


@pytest.mark.slow
def test_a_start_above_the_budget_is_refused_with_the_figure_and_the_key(root, tmp_path):
    text = (root / "config.yaml").read_text().replace("device_hours: null", "device_hours: 1")
    (tmp_path / "config.yaml").write_text(text)
    command = [sys.executable, str(root / "workflow_scripts/budget.py"), "--config", str(tmp_path / "config.yaml")]
    done = subprocess.run([*command, "--scale", "paper"], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "budget.device_hours" in done.stderr
    assert "candidate:sdft" in done.stdout


@pytest.mark.parametrize(
    ("scale", "changes", "advised"),
    [
        ("paper", {}, {"sweep: published", "shorter grids", "fewer seeds", "fewer tasks"}),
        ("paper", {"sweep": "published"}, {"fewer seeds", "fewer tasks"}),
        ("mini", {}, {"shorter grids", "fewer seeds", "fewer tasks"}),
        ("smoke", {}, {"shorter grids"}),
    ],
)
def test_a_forecast_above_the_budget_advises_what_the_scale_can_do(root, scale, changes, advised):
    config = load_config(root / "config.yaml")
    plan = Plan(config.model_copy(update={"budget": Budget(device_hours=2), **changes}), scale)
    check_budget(plan, 2.0)
    with pytest.raises(SdftError, match=r"budget.device_hours: 2; raise that key") as caught:
        check_budget(plan, 2.1)
    ways = {"sweep: published", "shorter grids", "fewer seeds", "fewer tasks"}
    assert {way for way in ways if way in str(caught.value)} == advised
