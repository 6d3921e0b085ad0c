"""What a training on a GPU is made of: seconds of each phase from the work in it, by the constants of assumptions.yaml.

A rollout lasts until the longest completion of its batch ends, whatever the batch; forward and backward passes cost
operations, two a weight and token (with gradient checkpointing eight for the student); update and EMA cost bytes, so
they go by steps. Finished runs say what their phases took (`phases` of model.json); three replace the constants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import ceil
from typing import Any

from sdft.methods import find_method
from sdft.study.forecast.assumptions import assumptions
from sdft.study.forecast.sizes import model_size
from sdft.study.plan import Plan, RunSpec
from sdft.study.rows import rows, sequences

# Parameters that the constants are of.
USUAL = 7.62e9
# Sequences of a phase that three finished runs have measured.
ENOUGH = 3


def training_phases(plan: Plan, run: RunSpec, values: Any) -> dict[str, float]:
    """Device-seconds of a run's phases with these hyper-parameters: rollout, gradient, update, ema.

    All are of one device; several share the gradient, and each of them rolls out for as long as the longest completion
    of the step lasts, which counts once a device.
    """
    assumed, method = assumptions()["gpu"], find_method(run.method)
    tokens, parameters = run_tokens(run), model_parameters(plan, run.base)
    count = sequences(plan, run, values)
    steps = count / (values.batch_size * run.settings.rollouts_per_prompt)
    constants, larger = assumed["phases"], parameters / USUAL
    devices = max(1, plan.scale.training_gpus(run.base))
    found = {}
    if method.sampling is not None:
        engine = run.settings.rollout_engine
        decoded = tokens["longest"] * constants["token_ms"][engine] / 1000 * larger
        # Samples that are drawn once are drawn for each row, a batch at a time.
        times = steps / (values.epochs if method.sampling == "once" else 1)
        found["rollout"] = times * (decoded + constants["handover"][engine]) * devices
    samples = method.sampling is not None
    own = tokens["prompt"] + (tokens["completion"] if samples else tokens["demonstration"])
    shown = tokens["prompt"] + tokens["demonstration"] + tokens["completion"] if samples else 0
    operations = parameters * (8 * own + 2 * shown)
    found["gradient"] = count * (operations / (1e12 * constants["teraflops"]) + constants["sequence"])
    found["update"] = steps * constants["update"] * larger
    if method.averages:
        found["ema"] = steps * constants["ema"] * larger
    return found


def rollout_hours(plan: Plan, outputs: Collection[str]) -> dict[str, float]:
    """Device-hours of the rollouts of all runs of a plan that make these outputs, with each engine."""
    found = Counter()
    for run in plan.runs():
        sweep = run.study == "sweep"
        if (plan.validation_path(run) if sweep else plan.model_path(run)) not in outputs:
            continue
        values = [run.hyperparameters]
        if not sweep:
            tried = plan.candidates(run.task, plan.arm(run.arm).like or run.arm)
            values = [one.hyperparameters.model_copy(update=run.replace) for one in tried]
        for engine in assumptions()["gpu"]["phases"]["token_ms"]:
            own = run.model_copy(update={"settings": run.settings.model_copy(update={"rollout_engine": engine})})
            seconds = max(training_phases(plan, own, one).get("rollout", 0) for one in values)
            found[engine] += seconds / 3600
    return dict(found)


def scoring_phase(plan: Plan, run: RunSpec) -> float:
    """Device-seconds of a candidate's score: its validation answers, a batch at a time, and the prior benchmarks."""
    constants, evaluation = assumptions()["gpu"]["phases"], plan.scale.evaluation_of(run.base)
    count = max(1, round(rows(plan, run.task) * plan.scale.data.validation_fraction))
    larger = model_parameters(plan, run.base) / USUAL
    decoded = run_tokens(run)["longest"] * constants["token_ms"]["transformers"] / 1000
    return (ceil(count / evaluation.batch_size) * decoded + constants["priors"]) * larger


def run_tokens(run: RunSpec) -> dict[str, float]:
    """Tokens of a run's sequences. A limit above Table 5's is that of a model which thinks, and is what it uses."""
    listed = assumptions()["gpu"]["tokens"]
    tokens = dict(listed.get(run.task, listed["medical"]))
    limit = run.settings.max_new_tokens
    if limit > 2048:
        tokens |= {"completion": limit / 2, "longest": limit}
    return tokens | {"longest": min(tokens["longest"], limit)}


def model_parameters(plan: Plan, model: str) -> float:
    """Parameters of a base model; of unknown size, those of the usual one."""
    size = model_size(plan, model)
    return size.parameters if size else USUAL


def corrections(done: Iterable[tuple[Mapping[str, float], Mapping[str, float]]]) -> dict[str, float]:
    """By what to multiply each phase, from (forecast, measured) seconds of finished runs; nothing below three."""
    expected, measured, runs = Counter(), Counter(), Counter()
    for forecast, actual in done:
        for phase, seconds in actual.items():
            if phase in forecast and seconds > 0:
                expected[phase] += forecast[phase]
                measured[phase] += seconds
                runs[phase] += 1
    return {phase: measured[phase] / expected[phase] for phase in runs if runs[phase] >= ENOUGH}
