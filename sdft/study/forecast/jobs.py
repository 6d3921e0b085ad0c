"""The jobs of a target that need a device, in units of work, with what was measured of those that are done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.methods import find_method
from sdft.study import exhibits, paths
from sdft.study.exhibits.build import exhibit, made_from
from sdft.study.exhibits.schema import Exhibit
from sdft.study.forecast.assumptions import by_phases, setting_of
from sdft.study.forecast.phases import corrections, scoring_phase, training_phases
from sdft.study.forecast.sizes import model_size
from sdft.study.plan import Plan, RunSpec
from sdft.study.rows import sequences


@dataclass(frozen=True)
class Job:
    """One job that needs a device, or several at a time.

    units: of a training its seconds by phases where these are assumed, else the sequences that a device trains on, in
    those of the scale's first model; of a score, evaluations. needs: outputs of other jobs; seconds: measured where the
    output exists and says so; model: the base model behind it; phases: seconds that `units` are the sum of; measured:
    those of a finished job; share: the part of its work that is expected of it, where it may end early.
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
    phases: dict[str, float] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)
    share: float = 1.0


# The page of Table 5 and the forecast ask for the same trainings.
_TRAININGS: WeakKeyDictionary[Plan, dict[str, tuple[Job, ...]]] = WeakKeyDictionary()


def jobs(plan: Plan, target: str = "table5") -> list[Job]:
    """Every job of a target that needs a device, in an order in which each comes after what it needs.

    target: gate, released_checkpoints, all, or a table or figure, with everything behind it.
    """
    if target == "released_checkpoints":
        return [
            _as_it_stands(_job(f"{entry['scores']}{paths.RESPONSES}", "evaluation", 1, (), entry["name"]))
            for entry in plan.released()["checkpoints"]
        ]
    responses = {
        model: plan.path(paths.BASE_SCORES + paths.RESPONSES, scored="scores", model=model) for model in plan.bases
    }
    found = [_job(path, "evaluation", len(plan.tasks), (), model) for model, path in responses.items()]
    if target == "gate":
        return list(map(_as_it_stands, found))
    shown = [exhibit(plan, name) for name in (exhibits.names() if target == "all" else (target,))]
    found += trainings(plan, "table5")
    for study in plan.scale.running:
        found += trainings(plan, study)
    for entry in shown:
        found += measures(plan, entry)
    every = {output: _as_it_stands(job) for output, job in {job.output: job for job in found}.items()}
    # A gate itself needs no device; the scores that it looks at do.
    gates = {plan.path(paths.GATE, model=model): path for model, path in responses.items()}
    waiting = [gates.get(path) or _evaluated(plan, path) for entry in shown for path in made_from(plan, entry)]
    needed: set[str] = set()
    while waiting:
        output = waiting.pop()
        if output in every and output not in needed:
            needed.add(output)
            waiting += every[output].needs
    return _corrected([job for job in every.values() if job.output in needed], every.values())


def _corrected(found: list[Job], every: Iterable[Job]) -> list[Job]:
    """Phases and units by what finished runs, also those of other targets, say that the phases take."""
    factors = corrections((job.phases, job.measured) for job in every if job.done)
    if not factors:
        return found

    def corrected(job: Job) -> Job:
        phases = {name: seconds * factors.get(name, 1) for name, seconds in job.phases.items()}
        return replace(job, phases=phases, units=sum(phases.values())) if phases else job

    return [corrected(job) for job in found]


def trainings(plan: Plan, study: str) -> tuple[Job, ...]:
    """The candidates, final runs and evaluations of Table 5's arms, or of those that only a study has, as planned:
    whether they are done is not looked at."""
    known = _TRAININGS.setdefault(plan, {})
    if study not in known:
        known[study] = _trainings(plan, study)
    return known[study]


def _trainings(plan: Plan, study: str) -> tuple[Job, ...]:
    found = {}
    # By task, arm and base model: seeds cost alike.
    dearest: dict[tuple[str, str, str], float | dict[str, float]] = {}
    swept_outputs: dict[tuple[str, str], tuple[str, ...]] = {}
    runs = [run for run in plan.runs() if study in plan.made_for(run)]
    # An arm comes after the one whose final runs it starts from.
    for run in sorted(runs, key=lambda run: (len(plan.starts(run.arm)), run.study != "sweep")):
        needs = (run.parent,) if run.parent else ()
        devices = max(1, plan.scale.training_gpus(run.base))
        if run.study == "sweep":
            output, own = plan.validation_path(run), _training(plan, run, run.hyperparameters, devices)
            job = _job(output, f"candidate:{run.method}", own, needs, run.base, devices)
            found[run.id] = replace(job, share=plan.expected_share(run))
            continue
        sweep = plan.candidates(run.task, plan.arm(run.arm).like or run.arm)
        if (run.task, run.arm) not in swept_outputs:
            swept_outputs[run.task, run.arm] = tuple(map(plan.validation_path, sweep))
        outputs = swept_outputs[run.task, run.arm]
        place, model = (run.task, run.arm, run.base), plan.model_path(run)
        if place not in dearest:
            # Which candidate wins is not known, so the dearest is counted.
            swept = dict.fromkeys(candidate.hyperparameters for candidate in sweep)
            values = [entry.model_copy(update=run.replace) for entry in swept]
            dearest[place] = max((_training(plan, run, entry, devices) for entry in values), key=_units)
        found[run.id] = _job(model, run.method, dearest[place], (*outputs, *needs), run.base, devices)
        scores = plan.path(paths.RUN_SCORES + paths.RESPONSES, scored="scores", study=run.study, run=run.id)
        found[f"{run.id} scored"] = _job(scores, "evaluation", _longer(plan, run.base), (model,), run.base)
    return tuple(found.values())


def _training(plan: Plan, run: RunSpec, values: Any, devices: int) -> float | dict[str, float]:
    """What a run costs each of its devices: seconds by phases where these are assumed, else sequences."""
    if not by_phases(setting_of(plan)):
        return sequences(plan, run, values) * _dearer(plan, run) / devices
    phases = {name: seconds / devices for name, seconds in training_phases(plan, run, values).items()}
    # One device scores what several have trained.
    return phases | ({"scoring": scoring_phase(plan, run)} if run.study == "sweep" else {})


def units_of(plan: Plan, run: RunSpec, steps: int) -> float:
    """Units of a finished run with hyper-parameters, whether the plan names it or not. Raises as `find_arm` does."""
    values, devices = run.hyperparameters, max(1, plan.scale.training_gpus(run.base))
    if by_phases(setting_of(plan)):
        return _units(_training(plan, run, values, devices))
    return steps * values.batch_size * _dearer(plan, run) / devices


def _units(cost: float | dict[str, float]) -> float:
    return sum(cost.values()) if isinstance(cost, dict) else cost


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
    return max((plan.settings_of(name).max_new_tokens for name in arms), default=own)


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


def measures(plan: Plan, shown: Exhibit) -> list[Job]:
    """What a table or figure measures beside scores: points along training, pass@k, divergence, FLOPs, contexts."""
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


def _job(
    output: str, kind: str, cost: float | dict[str, float], needs: tuple[str, ...], model: str, devices: int = 1
) -> Job:
    phases = cost if isinstance(cost, dict) else {}
    return Job(output, kind, _units(cost), needs, model=model, devices=devices, phases=phases)


def _as_it_stands(job: Job) -> Job:
    """The job with what was measured of it, where its output is there."""
    path = Path(job.output)
    if not path.is_file():
        return job
    measured = _field(path, "phases") or {} if job.phases else {}
    return replace(job, done=True, seconds=_measured(path), measured=measured)


def _measured(path: Path) -> float | None:
    """Seconds that a finished job recorded, unless it ended early; for responses, in the scores beside them."""
    if path.suffix == ".gz":
        return sum(_seconds(entry) or 0 for entry in path.parent.glob("*.json")) or None
    return None if _field(path, "stopped") else _seconds(path)


def _seconds(path: Path) -> float | None:
    """What the manifest in a result says of its cost."""
    seconds = _field(path, "manifest", "seconds")
    return seconds if isinstance(seconds, int | float) else None


def _field(path: Path, *keys: str) -> Any:
    """What a result says under these keys; None where it is damaged, which its readers say."""
    try:
        found = read_json(path)
        for key in keys:
            found = found[key]
    except (SdftError, KeyError, TypeError):
        return None
    return found
