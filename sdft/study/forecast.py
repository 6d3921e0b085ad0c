"""What the study will cost: its jobs, their seconds by a model fitted on measured ones, disk, and a GPU's memory.

Light on purpose: nothing here imports torch, and nothing is trained or read but small json files.
"""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.data.fetch import local_path
from sdft.methods import find_method
from sdft.methods.settings import VLLM_MEMORY_SHARE, TrainingSettings
from sdft.models.size import ModelSize, read_size
from sdft.study import exhibits, paths
from sdft.study.exhibits.build import exhibit, files
from sdft.study.plan import Plan, RunSpec
from sdft.study.rows import sequences

FILE = Path(__file__).with_name("forecast.yaml")
BYTES = {"float32": 4, "bfloat16": 2}
GIB = 2**30
# Memory of the GPU that the paper's models are planned for (H200), in GiB.
GPU_GIB = 141


@cache
def assumptions() -> dict[str, Any]:
    """`forecast.yaml` as it is written. Do not change the returned value."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def setting_of(plan: Plan) -> str:
    """Which assumptions hold for a scale: on GPUs, in the miniature world, or with models of random weights."""
    if plan.scale.gpus:
        return "gpu"
    return "random" if plan.scale.models.source == "random" else "miniature"


@dataclass(frozen=True)
class Job:
    """One job that needs a device, or several at a time.

    units: sequences that a device trains on, or evaluations, in those of the scale's first model; needs: outputs of
    other jobs; seconds: measured where the output exists and says so; model: the base model behind it.
    """

    output: str
    kind: str
    units: float
    needs: tuple[str, ...]
    done: bool = False
    seconds: float | None = None
    forecast: float = 0.0
    model: str = ""
    devices: int = 1


@dataclass(frozen=True)
class Fit:
    """seconds = start + per_unit * units for one kind of job, and how wrong it is.

    n: measured jobs behind it, 0 for an assumption; error: median relative error, each job forecast from the others.
    """

    start: float
    per_unit: float
    n: int
    error: float


def jobs(plan: Plan, target: str = "table5") -> list[Job]:
    """Every job of a target that needs a device, in an order in which each comes after what it needs.

    target: gate, released_checkpoints, all, or a table or figure, with everything behind it.
    """
    if target == "released_checkpoints":
        return [
            _job(f"{entry['scores']}{paths.RESPONSES}", "evaluation", 1, (), entry["name"])
            for entry in plan.released()["checkpoints"]
        ]
    responses = {
        model: plan.path(paths.BASE_SCORES + paths.RESPONSES, scored="scores", model=model) for model in plan.bases
    }
    found = [_job(path, "evaluation", len(plan.tasks), (), model) for model, path in responses.items()]
    if target == "gate":
        return found
    names = exhibits.names() if target == "all" else (target,)
    found += trainings(plan, "table5")
    for study in plan.scale.running:
        found += trainings(plan, study)
    for name in names:
        found += measures(plan, name)
    every = {job.output: job for job in found}
    # A gate itself needs no device; the scores that it looks at do.
    gates = {plan.path(paths.GATE, model=model): path for model, path in responses.items()}
    waiting = [gates.get(path) or _evaluated(plan, path) for name in names for path in files(plan, name)]
    needed: set[str] = set()
    while waiting:
        output = waiting.pop()
        if output in every and output not in needed:
            needed.add(output)
            waiting += every[output].needs
    return [job for job in every.values() if job.output in needed]


def trainings(plan: Plan, study: str) -> list[Job]:
    """The candidates, final runs and evaluations of Table 5's arms, or of those that only a study has."""
    found = {}
    runs = [run for run in plan.runs() if study in (run.study, plan.study_of(run.arm))]
    # An arm comes after the one whose final runs it starts from.
    for run in sorted(runs, key=lambda run: (len(plan.starts(run.arm)), run.study != "sweep")):
        needs = (run.parent,) if run.parent else ()
        devices = max(1, plan.scale.training_gpus(run.base))
        # As the time of a job on several devices is shared by them, so are its units.
        dearer = _dearer(plan, run) / devices
        if run.study == "sweep":
            units = sequences(plan, run, run.hyperparameters) * dearer
            output = plan.validation_path(run)
            found[run.id] = _job(output, f"candidate:{run.method}", units, needs, run.base, devices)
            continue
        sweep = plan.candidates(run.task, plan.arm(run.arm).like or run.arm)
        outputs = tuple(plan.validation_path(candidate) for candidate in sweep)
        # Which candidate wins is not known, so the dearest is counted.
        values = [candidate.hyperparameters.model_copy(update=run.replace) for candidate in sweep]
        units = max(sequences(plan, run, entry) for entry in values) * dearer
        model = plan.model_path(run)
        found[run.id] = _job(model, run.method, units, (*outputs, *needs), run.base, devices)
        scores = plan.path(paths.RUN_SCORES + paths.RESPONSES, scored="scores", study=run.study, run=run.id)
        found[f"{run.id} scored"] = _job(scores, "evaluation", _longer(plan, run.base), (model,), run.base)
    return list(found.values())


def _dearer(plan: Plan, run: RunSpec) -> float:
    """What a sequence costs a run, in sequences of the scale's first model: by parameters, and by the rollouts' limit.

    Models of unknown size count as equally large. A lower limit than that of Table 5's arms makes nothing cheaper,
    since rollouts seldom reach theirs.
    """
    ours, usual = (model_size(plan, name) for name in (run.base, plan.bases[0]))
    larger = ours.parameters / usual.parameters if ours and usual else 1.0
    if find_method(run.method).sampling is None:
        return larger
    return larger * max(1.0, run.settings.max_new_tokens / _usual_limit(plan, run.settings.max_new_tokens))


def _usual_limit(plan: Plan, own: int) -> int:
    """The longest rollout of Table 5's arms that sample; a run's own where none does."""
    arms = [name for name, arm in plan.scale.arms.items() if find_method(arm.method).sampling is not None]
    return max((plan.config.settings_of(plan.name, name).max_new_tokens for name in arms), default=own)


def rollout_engine(plan: Plan, model: str) -> str:
    """What samples for the trainings of a base model that need most memory: vllm, where an arm that samples has it."""
    runs = (run for run in plan.runs() if run.base == model and find_method(run.method).sampling is not None)
    return max(
        (run.settings.rollout_engine for run in runs), key=lambda engine: engine == "vllm", default="transformers"
    )


def _longer(plan: Plan, model: str) -> float:
    """How many evaluations of the scale's usual length of responses one of a model is worth."""
    return max(1.0, plan.scale.evaluation_of(model).max_new_tokens / plan.scale.evaluation.max_new_tokens)


def _evaluated(plan: Plan, path: str) -> str:
    """The scores that a judge looks at, which themselves need no device."""
    return path.replace(f"{plan.root}/judged/", f"{plan.root}/scores/")


def measures(plan: Plan, name: str) -> list[Job]:
    """What a table or figure measures beside scores: points along training, pass@k, divergence, FLOPs, contexts."""
    shown = exhibit(plan, name)
    if not shown.enabled:
        return []
    found = []

    def add(kind: str, path: str, model: str, *needs: str) -> None:
        found.append(_job(path, f"measure:{kind}", _longer(plan, model), needs, model))

    for run in (run for cell in shown.cells for run in cell.runs):
        for kind, path in run.files.items():
            add(kind, path, plan.find(run.run).base, run.model)
    in_context = [model for entry in shown.contexts for model in entry.runs]
    for model in (*(model for model in shown.base if model.task), *in_context):
        add("context", _evaluated(plan, f"{model.scores}{paths.RESPONSES}"), model.model)
    for model in (*shown.base, *in_context):
        for kind, path in model.files.items():
            add(kind, path, model.model)
    return found


def _job(output: str, kind: str, units: float, needs: tuple[str, ...], model: str, devices: int = 1) -> Job:
    path = Path(output)
    done = path.is_file()
    return Job(output, kind, units, needs, done, _measured(path) if done else None, model=model, devices=devices)


def _measured(path: Path) -> float | None:
    """Seconds that a finished job recorded; for responses, in the scores beside them."""
    if path.suffix == ".gz":
        files = [read_json(entry) for entry in path.parent.glob("*.json")]
        return sum(entry.get("manifest", {}).get("seconds") or 0 for entry in files) or None
    return read_json(path).get("manifest", {}).get("seconds")


def fit(kind: str, measured: Sequence[tuple[float, float]], setting: str) -> Fit:
    """The cost of a kind of job from (units, seconds) of measured ones; an assumption where there are fewer than three.

    Least squares with both coefficients at least zero.
    """
    if len(measured) < 3:
        assumed = assumptions()[setting]
        start = per_unit = 0.0
        name, _, method = kind.partition(":")
        if name == "candidate":
            parts = [_training(assumed, method), assumed["validation"]]
        elif name == "measure":
            # As many evaluations as the measure is worth.
            times = assumptions()["measures"][method]
            parts = [{"start": assumed["evaluation"]["start"], "per_unit": times * assumed["evaluation"]["per_unit"]}]
        else:
            parts = [assumed["evaluation"] if kind == "evaluation" else _training(assumed, kind)]
        start = sum(part["start"] for part in parts)
        per_unit = parts[0]["per_unit"]
        if name == "candidate":
            # The validation of a candidate is one unit, whatever it was trained on.
            start += parts[1]["per_unit"]
        return Fit(start, per_unit, 0, assumed["factor"] - 1)
    errors = []
    for number, (units, seconds) in enumerate(measured):
        others = [*measured[:number], *measured[number + 1 :]]
        start, per_unit = _line(others)
        errors.append(abs(start + per_unit * units - seconds) / seconds)
    return Fit(*_line(measured), len(measured), statistics.median(errors))


def _training(assumed: dict[str, Any], method: str) -> dict[str, float]:
    """What a method's training is assumed to cost: its own numbers, those of the class that it derives from, or those
    of SDFT or SFT, by whether it samples."""
    found = find_method(method)
    parents = [parent.__module__.rsplit(".", 1)[-1] for parent in found.__mro__]
    usual = "sft" if found.sampling is None else "sdft"
    return next(assumed["training"][name] for name in (*parents, usual) if name in assumed["training"])


def study_hours(plan: Plan, study: str) -> float:
    """Device-hours of what only a study trains and scores, whether it is switched on or off."""
    found = trainings(plan, study)
    fits = {kind: fit(kind, [], setting_of(plan)) for kind in {job.kind for job in found}}
    return sum((fits[job.kind].start + fits[job.kind].per_unit * job.units) * job.devices for job in found) / 3600


def _line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    xs, ys = zip(*points, strict=True)
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    spread = sum((x - mean_x) ** 2 for x in xs)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
    if slope <= 0:
        return mean_y, 0.0
    start = mean_y - slope * mean_x
    return (start, slope) if start >= 0 else (0.0, sum(x * y for x, y in points) / sum(x * x for x in xs))


def forecast(plan: Plan, target: str = "table5") -> tuple[list[Job], dict[str, Fit]]:
    """The target's jobs with their forecast seconds, and the fit of each kind."""
    found = jobs(plan, target)
    measured = defaultdict(list)
    every = {job.output: job for job in (*found, *(jobs(plan, "all") if target != "all" else ()))}
    for job in every.values():
        if job.seconds:
            measured[job.kind].append((job.units, job.seconds))
    for kind, points in measured_elsewhere(plan, set(every)).items():
        measured[kind] += points
    fits = {kind: fit(kind, measured[kind], setting_of(plan)) for kind in dict.fromkeys(job.kind for job in found)}
    return [replace(job, forecast=fits[job.kind].start + fits[job.kind].per_unit * job.units) for job in found], fits


def measured_elsewhere(plan: Plan, known: set[str]) -> dict[str, list[tuple[float, float]]]:
    """(units, seconds) by kind of finished runs under the scale's results that the target's plan does not name.

    Runs of another sweep, study or older configuration cost what they cost. A file that says too little is passed by.
    """
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    root = Path(plan.root)
    for path in sorted((*root.glob("sweep/*/*/*/validation.json"), *root.glob("runs/*/*/model.json"))):
        if str(path) in known:
            continue
        try:
            record = read_json(path)
            values = record.get("run", {}).get("hyperparameters") if path.name == "model.json" else None
            values = values or record["hyperparameters"]
            method = record["run"]["method"] if path.name == "model.json" else plan.arm(path.parts[-3]).method
            units, seconds = record["steps"] * values["batch_size"], record["manifest"]["seconds"]
        except (KeyError, TypeError, AttributeError, SdftError):
            continue
        if units and seconds:
            found[method if path.name == "model.json" else f"candidate:{method}"].append((units, seconds))
    return found


@dataclass(frozen=True)
class Comparison:
    """What finished jobs of one kind took, and what they were forecast at, each from the others alone, in seconds."""

    kind: str
    n: int
    actual: float
    forecast: float
    origin: str


def comparisons(found: Sequence[Job], setting: str) -> list[Comparison]:
    """Forecast against actual of the finished jobs, by kind.

    A job is forecast from the other measured ones of its kind, as it would have been just before it ran; from the
    declared assumption where there are fewer than three of those.
    """
    groups = defaultdict(list)
    for job in found:
        if job.seconds:
            groups[job.kind].append(job)
    result = []
    for kind, group in groups.items():
        points = [(job.units, job.seconds) for job in group]
        fits = [fit(kind, [*points[:place], *points[place + 1 :]], setting) for place in range(len(points))]
        expected = sum(one.start + one.per_unit * units for one, (units, _) in zip(fits, points, strict=True))
        origin = "the others" if fits[0].n else "the assumption"
        result.append(Comparison(kind, len(group), sum(job.seconds for job in group), expected, origin))
    return result


def device_hours(found: Sequence[Job]) -> float:
    """Forecast of what is still to be done."""
    return sum(job.forecast * job.devices for job in found if not job.done) / 3600


def hours_of(plan: Plan, outputs: Collection[str]) -> float:
    """Device-hours of the jobs that make these outputs, also of those that are there and are made again.

    None of them counts with `partial`, where no rule makes a result.
    """
    if plan.config.partial:
        return 0.0
    known = {job.output: job for job in forecast(plan, "all")[0]}
    if plan.scale.released:
        known |= {job.output: job for job in forecast(plan, "released_checkpoints")[0]}
    return device_hours([replace(job, done=False) for output, job in known.items() if output in outputs])


def check_budget(plan: Plan, hours: float) -> None:
    """Raise SdftError when a forecast exceeds the configured bound, with what can be done about it at this scale."""
    bound = plan.config.budget.device_hours
    if bound is None or hours <= bound:
        return
    grids = any(arm.grid and len(plan.hyperparameters(name)) > 1 for name, arm in plan.scale.every_arm())
    ways = {
        "sweep: published": plan.config.sweep == "full" and plan.scale.published_recipe is not None,
        "shorter grids": grids,
        "fewer seeds": len(plan.seeds) > 1,
        "fewer tasks": len(plan.tasks) > 1,
    }
    less = ", ".join(way for way, possible in ways.items() if possible)
    raise SdftError(
        f"the forecast of {hours:.1f} device-hours at scale {plan.name} exceeds budget.device_hours: {bound:g}; raise "
        f"that key in config.yaml{f', or do less ({less})' if less else ''}."
    )


def devices(plan: Plan) -> int:
    """Jobs that work at a time: as many as the budget has GPUs, or processors where the scale uses no GPU."""
    return plan.config.budget.gpus if plan.scale.gpus else plan.config.budget.cores


def job_start(plan: Plan) -> float:
    """Seconds of a job before its own clock starts: scheduling, the process, the first imports."""
    return assumptions()[setting_of(plan)]["job"]


def makespan(found: Sequence[Job], devices: int, start: float = 0.0) -> float:
    """Seconds until the last job ends with so many devices: free ones take the next job whose needs are met.

    start: seconds that every job takes beside its forecast (`job_start`). A job that needs more devices than there are
    is counted as if these sufficed.
    """
    ends = {job.output: 0.0 for job in found if job.done}
    waiting = [job for job in found if not job.done]
    free = [0.0] * devices
    heapq.heapify(free)
    while waiting:
        ready = [
            (max((ends.get(need, 0.0) for need in job.needs), default=0.0), number)
            for number, job in enumerate(waiting)
            if all(need in ends for need in job.needs)
        ]
        at, number = min(ready)
        job = waiting.pop(number)
        taken = [heapq.heappop(free) for _ in range(min(job.devices, devices))]
        ends[job.output] = max(*taken, at) + start + job.forecast
        for _ in taken:
            heapq.heappush(free, ends[job.output])
    return max(ends.values(), default=0.0)


def disk(plan: Plan, devices: int, target: str = "table5") -> dict[str, float] | None:
    """GiB of base models, final weights with those kept along the way, and the checkpoints of runs under way.

    None for models of unknown size.
    """
    found = jobs(plan, target)
    sizes = {name: model_size(plan, name) for name in dict.fromkeys(job.model for job in found)}
    if not sizes or None in sizes.values():
        return None
    room = {
        "base models": sum(2 * size.parameters for size in sizes.values()) / GIB,
        "final weights": 0.0,
        "checkpoints under way": 0.0,
    }
    outputs = {job.output: job for job in found}
    for run in plan.runs():
        job = outputs.get(plan.model_path(run))
        if job is None:
            continue
        kept = max(1, run.settings.snapshots)
        room["final weights"] += kept * sizes[run.base].parameters * BYTES[run.settings.weights_dtype] / GIB
        state = memory(sizes[run.base], run.settings)
        checkpoint = state["weights"] + state["optimizer"] + state["teacher"]
        under_way = max(1, devices // job.devices)
        room["checkpoints under way"] = max(room["checkpoints under way"], under_way * checkpoint)
    return room


def model_size(plan: Plan, model: str) -> ModelSize | None:
    """The size of a base model: read where its files are here, else as forecast.yaml lists it; None where neither is.

    The miniature world's models and random ones count as models of unknown size.
    """
    models = plan.scale.models
    folder = local_path(models.sources[model]) if model in models.sources else None
    if models.origin(model) == "hub" and (size := read_size(folder or Path(plan.base_path(model)).parent)):
        return size
    listed = assumptions()["models"].get(model)
    return ModelSize(**listed) if listed else None


def memory(size: ModelSize, settings: TrainingSettings, tokens: int = 4096, gpus: int = 1) -> dict[str, float]:
    """GiB that training a model of that size takes on each of `gpus`, by arithmetic, a sequence at a time.

    tokens: of that sequence. Activations are those of gradient checkpointing: a layer's input each, and one layer in
    full; a vLLM beside it takes its share of the card. The GPUs share everything else. The teacher is a copy in the
    weights' dtype, and the average beside it where that has another dtype.
    """
    parameters, weights = size.parameters, BYTES[settings.weights_dtype]
    teacher = 0
    if settings.teacher != "student":
        teacher = weights
        if settings.teacher == "ema" and settings.ema_dtype != settings.weights_dtype:
            teacher += BYTES[settings.ema_dtype]
    layer = tokens * (8 * size.hidden + 3 * size.intermediate) * 2
    # Two models' logits of a chunk, five tensors of a block, and the head's gradient in float32 (sdft.fused).
    logits = (512 + 5 * 64) * 2**20 + size.vocabulary * size.hidden * 4
    found = {
        "weights": parameters * weights,
        "gradients": parameters * weights,
        "optimizer": 2 * parameters * BYTES[settings.optimizer_dtype],
        "teacher": parameters * teacher,
        "activations": size.layers * tokens * size.hidden * 2 + layer + logits,
    }
    found = {name: value / GIB / (1 if name == "activations" else gpus) for name, value in found.items()}
    if settings.rollout_engine == "vllm":
        found["vLLM"] = VLLM_MEMORY_SHARE * GPU_GIB
    return found | {"total": sum(found.values())}
