"""A page for each final run: command, settings, scores, curves, samples, answers, and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from sdft.evidence.answers import CHANGES, Answer, changes, compare
from sdft.evidence.files import Divergence, Model, Score, Trajectory
from sdft.evidence.names import METRIC_NAMES, PRIOR
from sdft.methods.hyperparameters import in_words
from sdft.pages.drawings import curves
from sdft.pages.html import code, command, facts, folded, link, listed, table
from sdft.pages.site.found import Page, Study, arm_name, lines, task_name, title
from sdft.pages.site.samples import samples
from sdft.study.exhibits.schema import BaseEntry, CellEntry, RunEntry

# What metrics.jsonl holds, as a panel: title, unit, and the curves in it.
PANELS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("Loss", "nats a token", {"as trained": "loss"}),
    ("Entropy of the model's next token", "nats", {"entropy": "entropy"}),
    ("Gradient norm", "", {"norm": "gradient_norm"}),
    ("Length of the completions", "tokens", {"length": "completion_tokens"}),
    ("Distance from the start", "L2 norm", {"student": "student_distance", "teacher": "teacher_distance"}),
    ("Right on rows that it trains on", "share", {"student": "student_accuracy", "teacher": "teacher_accuracy"}),
)
# How many answers of each kind a page shows; hundreds of pages have to stay small.
SHOWN = {"learnt": 2, "lost": 2, "kept": 1, "missed": 1}
# The kinds that the table of scores counts beside the scores.
MOVED = ("learnt", "lost")


def run_page(study: Study, cell: CellEntry, run: RunEntry) -> Page:
    """Everything about one run; what was not made yet is said to be missing."""
    folder = Path(run.model).parent if run.model else None
    model = study.file(run.model, Model) if run.model else None
    told = (model or {}).get("run") or (study.file(folder / "run.json") if folder else None) or {}
    name = f"{arm_name(cell)} on {task_name(cell.task)}, seed {run.seed}"
    score = f"{run.scores}/{cell.task}.json"
    parts = [
        f"<h1>{escape(name)}</h1>",
        f"<p>Run {code(run.run)}, scale {escape(study.spec.scale)}. Shown in {_users(study, run)}.</p>",
        "<h2>To repeat</h2>" + command(study.to_repeat(score)),
        "<p>The command trains and scores what is missing for this run and nothing else. Where its scores are there "
        "already, as after unpacking shipped ones, it has nothing to do: type it in a clone without them.</p>",
        _alone(study, folder, told),
        _settings(study, cell, told, model),
        _scores(study, cell, run, told),
        _distance(study, cell, run, told),
        _curves(study, folder, run) + _collapse(model),
        _said(study, folder, cell, model),
        _answers(study, cell, run, told),
        _provenance(study, run, model),
    ]
    return Page(f"run-{run.run}", f"{name} ({run.run})", "".join(parts))


def base_page(study: Study, base: BaseEntry) -> Page:
    """A base model: how its scores are repeated, what they are, and which bytes it consists of."""
    folder = f"{study.spec.root}/base/{base.model}"
    ready = study.file(f"{folder}/ready.json") or {}
    found = {path.stem: study.file(path) for path in sorted(Path(base.scores).glob("*.json"))}
    body = [
        [escape(METRIC_NAMES.get(name, task_name(name))), f"{100 * score['value']:.1f}", str(score["n"])]
        for name, score in found.items()
    ]
    made = next((score.get("manifest") or {} for score in found.values()), {})
    files = listed(f"{code(name)} {code(value)}" for name, value in (ready.get("sha256") or {}).items())
    parts = [
        f"<h1>Base model {escape(base.model)}</h1><p>Nothing was trained: these are the scores before training.</p>",
        "<h2>To repeat</h2>" + command(study.to_repeat(f"{base.scores}/hellaswag.json")),
        "<h2>Scores</h2>",
        table("Scores of the base model", ["Test", "Score (%)", "Items"], body, numbers=(1, 2))
        if body
        else "<p>NOT RUN</p>",
        "<h2>Provenance</h2>",
        facts(
            [
                ("Record", code(f"{folder}/ready.json")),
                ("Scores", code(base.scores)),
                ("Commit of the scores", code(made.get("commit"))),
                ("Finished", escape(str(made.get("finished") or "not recorded"))),
                ("Machine", escape(machine(made))),
            ]
        ),
        folded("SHA-256 of its files", files) if files else "",
    ]
    return Page(f"base-{base.model}", f"Base model {base.model}", "".join(parts))


def _users(study: Study, run: RunEntry) -> str:
    names = dict.fromkeys(name for name, _, used in study.uses() if used.run == run.run)
    return ", ".join(link(study.to(name), title(name).split(":")[0]) for name in names)


def _alone(study: Study, folder: Path | None, told: dict[str, Any]) -> str:
    """How to train the run without the workflow, and what makes the files that it reads."""
    if folder is None:
        return ""
    trains = command(f"python -m sdft.train --run {folder}/run.json --out DIR --threads 1")
    alone = f"<p>Training alone, without the workflow, with one thread as there:</p>{trains}"
    read = [path for path in (*(told.get("data") or {}).values(), told.get("base_ready")) if path]
    if not read:
        return alone
    return f"{alone}<p>It reads rows and a base model, which this makes:</p>{command(study.to_repeat(' '.join(read)))}"


def _settings(study: Study, cell: CellEntry, told: dict[str, Any], model: dict[str, Any] | None) -> str:
    base = told.get("base", "unknown")
    shown = link(study.to(f"base-{base}"), base) if base in study.bases else code(base)
    pairs = [("Method", escape(arm_name(cell))), ("Base model", shown)]
    if values := told.get("hyperparameters"):
        page = f"sweep-{cell.task}-{cell.arm}"
        chosen = cell.selected and study.file(cell.selected) is not None
        how = f" ({link(study.to(page), 'how they were selected')})" if chosen else ""
        pairs.append(("Hyper-parameters", escape(in_words(values)) + how))
    if candidate := (model or {}).get("candidate"):
        pairs.append(
            (
                "Trained",
                f"by the sweep, as {code(Path(candidate).name)}: the winner has this run's seed and base model, so the "
                "weights and curves are the candidate's",
            )
        )
    if parent := told.get("parent"):
        before = Path(parent).parent.name
        shown = link(study.to(f"run-{before}"), before) if before in study.runs else code(before)
        pairs.append(("Starts from", shown))
    pairs.append(("Demonstrations", escape(str(told.get("demonstration", "")))))
    if model:
        pairs.append(("Steps", str(model.get("steps", ""))))
        pairs.append(("Rows trained on", str(model.get("rows", ""))))
    settings = told.get("settings") or {}
    all_settings = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    more = folded("All training settings", f"<p>{escape(all_settings)}</p>") if settings else ""
    return "<h2>Configuration</h2>" + facts(pairs) + more


def _scores(study: Study, cell: CellEntry, run: RunEntry, told: dict[str, Any]) -> str:
    body = []
    for benchmark in (cell.task, *PRIOR):
        base = _base_folder(study, told, run.draw if benchmark == cell.task else "")
        after = study.file(f"{run.scores}/{benchmark}.json", Score)
        before = study.file(f"{base}/{benchmark}.json", Score) if base else None
        if after is None and before is None:
            continue
        shown = ["" if found is None else f"{100 * found['value']:.1f}" for found in (before, after)]
        moved = compare(Path(base), Path(run.scores), benchmark) if before and after and base else []
        counts = changes(moved)
        name = task_name(benchmark) if benchmark == cell.task else METRIC_NAMES[benchmark]
        body.append([escape(name), *shown, *(str(counts[kind]) if moved else "" for kind in MOVED)])
    if not body:
        return "<h2>Scores</h2><p>NOT RUN: this run has no scores yet.</p>"
    header = ["Test", "Base model (%)", "This run (%)", *(CHANGES[kind] for kind in MOVED)]
    return "<h2>Scores</h2>" + table("Before and after training", header, body, range(1, 5), stacked=False)


def _distance(study: Study, cell: CellEntry, run: RunEntry, told: dict[str, Any]) -> str:
    """KL to the base model on the task's prompts and on prompts of no task, and how the latter is measured."""
    prompts, general = study.root / "data/general/train.jsonl", study.root / f"divergence/general/{run.run}.json"
    found = {
        f"prompts of {task_name(cell.task)}": study.file(run.divergence, Divergence) if run.divergence else None,
        "prompts of no task": study.file(general, Divergence),
    }
    said = [f"{_nats(measured)} on {where}" for where, measured in found.items() if measured]
    parts = [f"<p>KL(model ‖ base) along the model's own answers: {escape('; '.join(said))}.</p>"] if said else []
    if not general.is_file() and prompts.is_file() and run.model and told.get("base_ready"):
        asked = (
            f"python -m sdft.evaluate.distance --model {run.model} --base {Path(told['base_ready']).parent} "
            f"--task {cell.task} --data {prompts} --limit 32 "
            f"--max-new-tokens {told['settings']['max_new_tokens']} --out {general}"
        )
        parts.append(f"<p>On prompts of no task this command measures it:</p>{command(asked)}")
    return f"<h2>Distance from the base model</h2>{''.join(parts)}" if parts else ""


def _nats(found: dict[str, Any]) -> str:
    """A distance as text, with how many prompts it was measured on."""
    token = f"{found['nats_per_token']['mean']:.3g} nats a token, " if found.get("nats_per_token") else ""
    return f"{token}{found['nats_per_sequence']['mean']:.3g} nats a sequence ({found['n_prompts']} prompts)"


def _base_folder(study: Study, told: dict[str, Any], draw: str) -> str | None:
    """The scores of a run's base model that was asked about a draw of facts (its own, where none is named)."""
    wanted = (told.get("base"), draw)
    bases = (entry for plan in study.plans.values() for entry in plan.base)
    return next((entry.scores for entry in bases if (entry.model, entry.draw) == wanted), None)


def _curves(study: Study, folder: Path | None, run: RunEntry) -> str:
    steps = lines(folder / "metrics.jsonl") if folder else []
    drawn = [
        curves(
            label,
            unit,
            {name: [(row["step"], row[key]) for row in steps if row.get(key) is not None] for name, key in own.items()},
        )
        for label, unit, own in PANELS
    ]
    along = study.file(run.trajectory, Trajectory) if run.trajectory else None
    if along:
        points = along["points"]
        tasks = {task_name(task): task for task in points[0]["tasks"]} if points else {}
        shown = {name: [(p["step"], 100 * p["tasks"][task]["value"]) for p in points] for name, task in tasks.items()}
        drawn.append(curves("Accuracy along training", "%", shown))
        prior = [(p["step"], 100 * p["prior_average"]) for p in points if p.get("prior_average") is not None]
        drawn.append(curves("Prior average along training", "%", {"average": prior}))
    drawn = list(filter(None, drawn))
    if not drawn:
        return "<h2>Curves</h2><p>NOT RUN: this run has not been trained yet.</p>"
    return f'<h2>Curves</h2><div class="curves">{"".join(drawn)}</div>'


def _collapse(model: dict[str, Any] | None) -> str:
    """What the monitor of the training warned of; empty where it did not."""
    seen = (model or {}).get("collapse")
    if not isinstance(seen, dict):
        return ""
    return (
        f"<p>Step {seen['step']}: teacher and student have collapsed onto each other, which where the task is not "
        f"learnt is a failure: divergence {seen['divergence']:.2g} nats a token, {seen['divergence_at_start']:.2g} at "
        f"the start; entropy {seen['entropy']:.2g} nats.</p>"
    )


def _said(study: Study, folder: Path | None, cell: CellEntry, model: dict[str, Any] | None) -> str:
    """Samples of student and teacher; of a run that a sweep has trained, how they are had where there are none."""
    shown = samples(study.file(folder / "rollouts.json") if folder else None)
    if shown or folder is None or not model or not model.get("candidate"):
        return shown
    others = [run.run for run in cell.runs if run.model and Path(run.model).with_name("rollouts.json").is_file()]
    elsewhere = f" Other seeds have them, such as {link(study.to(f'run-{others[0]}'), others[0])}." if others else ""
    again = command(f"python -m sdft.train --run {folder}/run.json --out {folder} --threads 1")
    return (
        f"<h2>What student and teacher say</h2><p>A sweep keeps no samples.{elsewhere} Where the weights still are, "
        f"this command draws them and trains nothing:</p>{again}"
    )


def _answers(study: Study, cell: CellEntry, run: RunEntry, told: dict[str, Any]) -> str:
    base = _base_folder(study, told, run.draw)
    if base is None or study.file(f"{run.scores}/{cell.task}.json") is None:
        return ""
    moved = compare(Path(base), Path(run.scores), cell.task)
    if not moved:
        return ""
    questions = _questions(told, cell.task, [answer.id for kind in CHANGES for answer in _first(moved, kind)])
    parts = ["<h2>Answers before and after training</h2>"]
    for kind, words in CHANGES.items():
        own = _first(moved, kind)
        total = changes(moved)[kind]
        if own:
            content = "".join(_answer(answer, questions.get(answer.id)) for answer in own)
            parts.append(folded(f"{words}: {len(own)} of {total} {task_name(cell.task)} answers", content))
    return "".join(parts)


def _first(moved: Sequence[Answer], kind: str) -> list[Answer]:
    return [answer for answer in moved if answer.kind == kind][: SHOWN[kind]]


def _questions(told: dict[str, Any], task: str, wanted: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The test records that are shown, from the file beside the one that the run was trained on."""
    train = (told.get("data") or {}).get("train")
    ids = set(wanted)
    records = lines(Path(train).with_name("test.jsonl")) if train else []
    return {record["id"]: record for record in records if record.get("id") in ids}


def _answer(answer: Answer, record: dict[str, Any] | None) -> str:
    asked = "" if record is None else record["prompt"][-1]["content"]
    right = "" if record is None or record.get("answer") is None else record["answer"]
    right = right if isinstance(right, str) else json.dumps(right, ensure_ascii=False)
    return (
        f"<h3>{escape(answer.id)}</h3>"
        + (f'<p class="said">{escape(asked, quote=False)}</p>' if asked else "")
        + (f"<p>Right answer: {escape(right, quote=False)}</p>" if right else "")
        + '<div class="pair">'
        + "".join(
            f'<div>{who}: {"right" if correct else "wrong"}<p class="said">{escape(text, quote=False)}</p></div>'
            for who, correct, text in (
                ("Base model", answer.before, answer.said_before),
                ("This run", answer.after, answer.said_after),
            )
        )
        + "</div>"
    )


def _provenance(study: Study, run: RunEntry, model: dict[str, Any] | None) -> str:
    if model is None:
        return ""
    made = model.get("manifest") or {}
    weights = (model.get("weights") or {}).get("sha256") or {}
    pairs = [
        ("Record", code(run.model)),
        ("Scores", code(run.scores)),
        ("Commit", code(made.get("commit")) + (" with uncommitted changes" if made.get("dirty") else "")),
        ("Digest of the code that decides it", code(made.get("code"))),
        ("Digest of its configuration", code(made.get("config"))),
        ("Finished", escape(str(made.get("finished") or "not recorded"))),
        ("Machine", escape(machine(made))),
        ("Cost", f"{made.get('seconds', 0):.0f} s, {made.get('device_hours', 0):.3g} device-hours"),
        ("Software", escape(", ".join(f"{name} {value}" for name, value in (made.get("versions") or {}).items()))),
    ]
    if job := made.get("slurm_job"):
        pairs.append(("SLURM job", escape(str(job))))
    inputs = made.get("inputs")
    inputs = inputs if isinstance(inputs, dict) else {}
    # The tokenizer is the base model's, whose page has the digests of its files.
    before = _digests(inputs.get("base"))
    files = listed(f"{code(name)} {code(value)}" for name, value in weights.items() if before.get(name) != value)
    more = folded("SHA-256 of its weights, but for files that are the base model's", files) if files else ""
    if inputs:
        more += folded("What it was made from, with SHA-256", listed(map(_input, inputs, inputs.values())))
    return "<h2>Provenance</h2>" + facts(pairs) + more


def _digests(entry: Any) -> dict[str, str]:
    """SHA-256 of an input of several files, by name; nothing of another one."""
    found = entry.get("sha256") if isinstance(entry, dict) else None
    return found if isinstance(found, dict) else {}


def _input(name: str, entry: Any) -> str:
    """A line on what a run was made from: its path, and the digest of the file, or of a model's weights."""
    if not isinstance(entry, dict) or "path" not in entry:
        return f"{escape(str(name))}: {code(entry)}"
    sha256 = _digests(entry) or {"": entry.get("sha256")}
    digests = (code(f"{file} {value}".strip()) for file, value in sha256.items() if not file or "safetensors" in file)
    return f"{escape(str(name))}: {code(entry['path'])} {' '.join(digests)}"


def machine(made: dict[str, Any]) -> str:
    """On what something was computed, as its manifest says."""
    return ", ".join(str(value) for value in (made.get("hardware"), made.get("device")) if value) or "not recorded"
