"""What a target costs before it runs: jobs, device-hours, disk and wall-clock, from what was measured so far.

    python workflow_scripts/budget.py table5 --scale paper --gpus 8

Exits with status 2 when what is still to be done exceeds budget.device_hours of the configuration.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sdft.common.errors import SdftError, run_main
from sdft.config import load_config
from sdft.methods.settings import TrainingSettings
from sdft.models.memory import GPU_GIB, memory
from sdft.models.size import ModelSize
from sdft.study.cards import CARDS, verdict
from sdft.study.exhibits import names
from sdft.study.forecast import (
    assumptions,
    check_budget,
    comparisons,
    device_hours,
    devices,
    disk,
    forecast,
    job_start,
    makespan,
    model_size,
    rollout_engine,
    setting_of,
)
from sdft.study.forecast.phases import ENOUGH, rollout_hours
from sdft.study.plan import Plan

LEAN = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16"}
NUMERICS = {
    "official code: all bfloat16": {**LEAN, "ema_dtype": "bfloat16"},
    "all bfloat16, stochastic rounding": {**LEAN, "ema_dtype": "bfloat16", "rounding": "stochastic"},
    "float32 EMA": {**LEAN, "ema_dtype": "float32"},
    "float32 EMA, stochastic rounding": {**LEAN, "ema_dtype": "float32", "rounding": "stochastic"},
    "float32 optimizer and EMA": {**LEAN, "optimizer_dtype": "float32", "ema_dtype": "float32"},
    "all float32": {"weights_dtype": "float32", "optimizer_dtype": "float32", "ema_dtype": "float32"},
}


def hours(seconds: float) -> str:
    """Seconds as a length of time that is easy to read."""
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def kinds(found: list, fits: dict) -> list[str]:
    """A line for each kind of job: how many, how many are done, and its hours."""
    groups = defaultdict(list)
    for job in found:
        groups[job.kind].append(job)
    lines = [f"{'job':24} {'all':>5} {'done':>5} {'device-hours left':>18}   from"]
    for kind, group in groups.items():
        fit = fits[kind]
        origin = (
            f"{fit.n} measured, {100 * fit.error:.0f} % off (median, left out)"
            if fit.n
            else f"an assumption, good to a factor of {1 + fit.error:g}"
        )
        done = sum(job.done for job in group)
        lines.append(f"{kind:24} {len(group):5} {done:5} {device_hours(group):18.2f}   {origin}")
    return lines


def phase_lines(plan: Plan, found: list) -> list[str]:
    """Device-hours of the trainings by phase, what they rest on, and the rollouts with the other engine."""
    trained = [job for job in found if job.phases]
    if not trained:
        return []
    sums = Counter()
    for job in trained:
        for name, seconds in job.phases.items():
            sums[name] += seconds * job.devices / 3600
    listed = ", ".join(f"{name} {hours:.0f} h" for name, hours in sums.items())
    measured = sum(bool(job.measured) for job in trained)
    constants = assumptions()["gpu"]["phases"]
    origin = (
        f"{measured} finished runs"
        if measured >= ENOUGH
        else f"assumptions: {constants['token_ms']['transformers']} ms a token of the longest completion of a batch, "
        f"{constants['teraflops']} TFLOP/s, tokens by task (sdft/study/forecast/assumptions.yaml)"
    )
    lines = [f"phases of the {len(trained)} trainings, done or not: {listed}", f"  from {origin}"]
    engines = rollout_hours(plan, {job.output for job in trained})
    lines.append("  rollouts by engine: " + ", ".join(f"{name} {hours:.0f} h" for name, hours in engines.items()))
    return lines


def comparison(found: list, setting: str) -> list[str]:
    """Forecast against actual of what is done, a line a kind; nothing where nothing is."""
    done = comparisons(found, setting)
    if not done:
        return []
    lines = ["", f"{'forecast against actual':24} {'done':>5} {'forecast h':>10} {'actual h':>9} {'actual':>8}   from"]
    for one in done:
        change = f"{100 * (one.actual / one.forecast - 1):+.0f} %"
        hours = f"{one.forecast / 3600:10.3f} {one.actual / 3600:9.3f}"
        lines.append(f"{one.kind:24} {one.n:5} {hours} {change:>8}   {one.origin}")
    actual, expected = sum(one.actual for one in done), sum(one.forecast for one in done)
    lines.append(
        f"done so far: {actual / 3600:.2f} device-hours, forecast {expected / 3600:.2f} "
        f"({100 * (actual / expected - 1):+.0f} %)"
    )
    return lines


def cards(plan: Plan, model: str, size: ModelSize, gpus: int) -> list[str]:
    """A line for each common card: whether the trainings of a model, as they are configured, fit it, or what would."""
    settings = {run.method: run.settings for run in plan.runs() if run.base == model}
    lines = ["", f"trainings of {model} as configured, on {gpus} GPU{'s' * (gpus > 1)}:"]
    for card in CARDS:
        groups = defaultdict(list)
        for method, values in settings.items():
            groups[verdict(method, values, size, card, gpus)].append(method)
        said = "; ".join(f"{', '.join(methods)}: {text}" for text, methods in groups.items())
        lines.append(f"  {card:4} GiB  {said}")
    return lines


def report(plan: Plan, target: str, at_a_time: int) -> tuple[str, float]:
    """The forecast as text, and the device-hours that are left."""
    found, fits = forecast(plan, target)
    left = device_hours(found)
    lines = [f"{target} at scale {plan.name}, sweep {plan.config.sweep}", "", *kinds(found, fits), ""]
    lines.append(f"left: {sum(not job.done for job in found)} of {len(found)} jobs, {left:.1f} device-hours")
    lines += phase_lines(plan, found)
    wall = makespan(found, at_a_time, job_start(plan))
    lines.append(f"wall-clock with {at_a_time} {'GPUs' if plan.scale.gpus else 'cores'} at a time: {hours(wall)}")
    room = disk(plan, at_a_time, target)
    if room:
        parts = ", ".join(f"{name} {value:.0f} GiB" for name, value in room.items())
        lines.append(f"disk: {sum(room.values()):.0f} GiB ({parts})")
    lines += comparison(found, setting_of(plan))
    for name in dict.fromkeys(job.model for job in found):
        size = model_size(plan, name)
        if size is None:
            continue
        shared = max(1, plan.scale.training_gpus(name))
        place = "one GPU that trains" if shared == 1 else f"each of {shared} GPUs that train"
        lines += ["", f"memory of {place} {name} with SDFT, by arithmetic (weights, optimizer, EMA):"]
        engine, again = rollout_engine(plan, name), plan.settings_of().gradient_checkpointing
        for label, dtypes in NUMERICS.items():
            settings = TrainingSettings(**dtypes, rollout_engine=engine, gradient_checkpointing=again)
            total = memory(size, settings, gpus=shared)["total"]
            fits_on = f"{'fits' if total < 0.95 * GPU_GIB else 'does not fit'} {GPU_GIB} GiB"
            lines.append(f"  {label:34} {total:6.0f} GiB  {fits_on}")
        lines += cards(plan, name, size, shared)
    return "\n".join(lines), left


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "target",
        nargs="?",
        default="table5",
        choices=("gate", "released_checkpoints", "all", *names()),
        help="default: table5",
    )
    add("--config", default="config.yaml", metavar="PATH", help="default: config.yaml")
    add("--scale", help="default: the configuration's")
    add("--sweep", choices=("full", "published", "halving"), help="default: the configuration's")
    add("--gpus", type=int, help="devices at a time (default: budget.gpus, or budget.cores)")
    options = parser.parse_args()
    config = load_config(options.config)
    if options.sweep:
        config = config.model_copy(update={"sweep": options.sweep})
    if options.scale and options.scale not in config.scales:
        raise SdftError(f"there is no scale {options.scale!r}; the configuration has {', '.join(config.scales)}.")
    plan = Plan(config, options.scale)
    text, left = report(plan, options.target, options.gpus or devices(plan))
    print(text)
    check_budget(plan, left)
    return 0


if __name__ == "__main__":
    run_main(main)
