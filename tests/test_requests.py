"""What jobs ask of a cluster, over every run of the paper's plan: enough time, enough memory, and a signal in time."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.study import paths, requests, steps
from sdft.study.forecast import forecast, model_size
from sdft.study.plan import Plan


@pytest.fixture(scope="module")
def plan(root):
    return Plan(load_config(root / "config.yaml"), "paper")


@pytest.fixture(autouse=True)
def no_bounds(monkeypatch):
    for name in ("SDFT_SLURM_MAX_MINUTES", "SDFT_SLURM_MAX_MEMORY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.slow
def test_every_job_of_the_plan_gets_more_time_than_its_forecast(plan):
    found = [*forecast(plan, "all")[0], *forecast(plan, "released_checkpoints")[0]]
    assert len(found) > 900
    for job in found:
        assert requests.minutes(plan, job.output) * 60 >= 1.3 * job.forecast, job
    times = {run.id: steps.requests.training_minutes(plan, run.id) * 60 for run in plan.runs()}
    # Trainings of studies that are switched off have a forecast as well.
    outputs = requests.forecasts(plan) | {job.output: job.forecast for job in found}
    assert len(outputs) > len(found)
    for run in plan.runs():
        output = plan.validation_path(run) if run.study == "sweep" else plan.model_path(run)
        assert times[run.id] >= 1.3 * outputs[output], run.id
    base = {"scored": "scores", "model": plan.bases[0]}
    wanted = outputs[plan.path(paths.BASE_SCORES + paths.RESPONSES, **base)]
    assert steps.requests.minutes(plan, paths.BASE_SCORES + paths.RESPONSES, model=plan.bases[0]) * 60 >= 1.3 * wanted


def test_a_training_is_told_early_enough_to_write_its_checkpoint(plan):
    for run in plan.runs():
        size = model_size(plan, run.base)
        seconds = requests.stop_seconds(run, size)
        assert steps.requests.training_signal(plan, run.id) == f"--signal=TERM@{seconds}"
        # A step whose rollout is as long as it may be, at 30 ms a token, and writing at 1 GB/s.
        assert seconds >= run.settings.max_new_tokens * 0.03 + requests.checkpoint_bytes(run, size) / 1e9
    seven = next(run for run in plan.runs() if run.arm == "sdft")
    # Weights and Adam's moments in bfloat16, the average in float32.
    assert requests.checkpoint_bytes(seven, model_size(plan, seven.base)) == pytest.approx(10 * 7.62e9)


def test_checkpoints_take_a_small_part_of_the_time_between_them(plan):
    for run in (run for run in plan.runs() if run.base == plan.bases[0]):
        seconds = requests.checkpoint_bytes(run, model_size(plan, run.base)) / requests.BYTES_A_SECOND
        assert seconds <= 0.06 * 60 * run.settings.checkpoint_minutes, run.id


def test_memory_holds_a_checkpoint_and_grows_with_failures_alone(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = next(run for run in plan.runs() if run.arm == "sdft")
    asked = [steps.requests.training_memory(plan, run.id, attempt) for attempt in (1, 2, 3)]
    assert asked[0] > requests.checkpoint_bytes(run, model_size(plan, run.base)) / 1e6
    assert asked == [asked[0], pytest.approx(1.5 * asked[0], abs=1000), pytest.approx(2 * asked[0], abs=1000)]
    state = tmp_path / plan.run_folder(run) / "state"
    state.mkdir(parents=True)
    (state / requests.STOPS).write_text("out of time\n")
    assert [steps.requests.training_memory(plan, run.id, attempt) for attempt in (1, 2, 3)] == [asked[0], *asked[:2]]
    monkeypatch.setenv("SDFT_SLURM_MAX_MEMORY", "120000")
    assert steps.requests.training_memory(plan, run.id, 3) == 120000


@pytest.mark.slow
def test_a_site_bounds_the_time_and_a_small_scale_asks_for_little(plan, monkeypatch):
    run = max(plan.runs(), key=lambda run: steps.requests.training_minutes(plan, run.id))
    assert steps.requests.training_minutes(plan, run.id) > 120
    monkeypatch.setenv("SDFT_SLURM_MAX_MINUTES", "120")
    assert steps.requests.training_minutes(plan, run.id) == 120
    mini = Plan(plan.config, "mini")
    first = mini.runs()[0].id
    assert steps.requests.training_minutes(mini, first, 2) == 120
    assert steps.requests.training_memory(mini, first) == steps.requests.memory(mini, run=first) == 6000


def test_the_base_models_are_scored_before_candidates_are_trained_on_gpus(plan):
    run = plan.candidates("science", "sdft")[0]
    assert steps.runs.proof(plan, run=run.id) == [plan.path(paths.GATE, model="Qwen2.5-7B-Instruct")]
    assert steps.runs.proof(Plan(plan.config, "mini")) == []


@pytest.mark.parametrize("given", ["4h", "1-00:00:00", "-5", "0", "²", "1.5", "1 440", "9" * 40])
def test_a_bound_that_is_no_positive_whole_number_is_refused_by_its_name(plan, monkeypatch, given):
    run, mini = plan.runs()[0].id, Plan(plan.config, "mini")
    for variable, unit, ask in (
        ("SDFT_SLURM_MAX_MINUTES", "minutes", lambda: requests.minutes(mini, "any")),
        ("SDFT_SLURM_MAX_MEMORY", "MB", lambda: steps.requests.training_memory(plan, run)),
    ):
        monkeypatch.setenv(variable, given)
        with pytest.raises(SdftError, match=f"{variable} is .* whole number of {unit}"):
            ask()


@pytest.mark.parametrize(("given", "minutes"), [("30", 30), (" 30 ", 30), ("030", 30), ("", 60), (" ", 60)])
def test_blanks_around_a_bound_do_not_count(plan, monkeypatch, given, minutes):
    monkeypatch.setenv("SDFT_SLURM_MAX_MINUTES", given)
    assert requests.minutes(Plan(plan.config, "mini"), "any") == minutes
