"""`python -m sdft.evaluate.trajectory`: a run's accuracy along its training (Figures 3 and 6)."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import check_sha256, digest, read_json
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import starts_again
from sdft.evaluate import cli, set_environment
from sdft.evaluate.partial import measuring
from sdft.evaluate.prior import is_local, prior_config
from sdft.evaluate.questions import read_items
from sdft.evaluate.store import stored
from sdft.models.devices import require_gpus
from sdft.models.files import ModelFiles, find_model
from sdft.records.record import Record
from sdft.study import rerun
from sdft.study.specs import TrajectorySpec

DESCRIPTION = """Evaluate every snapshot of a run (settings.snapshots) and its end on the same questions: greedy
accuracy on new tasks and, with --prior-config, the prior benchmarks. With --context also accuracy at the end with a
demonstration in the prompt: what the model could teach as SDFT's teacher. Repeating an interrupted command continues
after the last finished point (kept in OUT.state), repeating a finished one does nothing."""

EXAMPLES = """example:
  python -m sdft.evaluate.trajectory --model results/mini/runs/sequential/RUN/model.json --task tooluse science \\
    --data-root results/mini/data --limit 64 --prior-config mini --prior-limit 50 --max-new-tokens 64 \\
    --batch-size 64 --out /tmp/trajectory.json
"""


def stations(path: str | Path) -> tuple[str | None, list[tuple[int, float, ModelFiles]]]:
    """The run's id; then step, share of the training and files of each snapshot in its model.json, and of its end.

    Raises SdftError when the file is no model.json, or a snapshot's files are missing or changed.
    """
    path = Path(path)
    path = path / "model.json" if path.is_dir() else path
    record, end = read_json(path), find_model(path)
    if not isinstance(record, dict) or not isinstance(record.get("steps"), int):
        raise SdftError(f"{path} has no number of 'steps', so it is not the model.json of a run; give a run's.")
    found = []
    for entry in record.get("snapshots", []):
        try:
            step, fraction, folder, sha256 = (entry[name] for name in ("step", "fraction", "path", "sha256"))
        except (KeyError, TypeError):
            raise SdftError(
                f"{path} lists a snapshot without step, fraction, path or sha256; train the run again."
            ) from None
        folder = Path(folder)
        if not folder.exists() and not folder.is_absolute():
            folder = path.parent / folder
        check_sha256(folder, sha256)
        if step < record["steps"]:
            found.append((step, fraction, ModelFiles(folder, sha256)))
    run = record.get("run")
    name = run.get("id") if isinstance(run, dict) else None
    return name, [*sorted(found, key=lambda station: station[0]), (record["steps"], 1.0, end)]


def measure(
    model: Any, tokenizer: Any, records: dict[str, list[Record]], decoding: Any, prior: dict[str, Any] | None
) -> dict[str, Any]:
    """{"tasks", "prior", "prior_average"} of one loaded model; prior None measures no prior benchmark."""
    from sdft.evaluate.prior import evaluate_prior

    values = {name: result.value for name, result in evaluate_prior(model, tokenizer, prior).items()} if prior else {}
    return {
        "tasks": accuracies(model, tokenizer, records, decoding),
        "prior": values,
        "prior_average": sum(values.values()) / len(values) if values else None,
    }


def accuracies(model: Any, tokenizer: Any, records: dict[str, list[Record]], decoding: Any) -> dict[str, Any]:
    """{task: {"value", "n", "correct", "cluster", "cut"}} of one loaded model."""
    from sdft.evaluate.answers import evaluate_tasks

    return {
        task: {
            "value": result.value,
            "n": result.n,
            "correct": [item["correct"] for item in result.items],
            "cluster": [item.get("cluster") for item in result.items],
            "cut": result.metrics["prompt_tokens"]["cut"],
        }
        for task, result in evaluate_tasks(model, tokenizer, records, decoding).items()
    }


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(TrajectorySpec, "sdft.evaluate.trajectory", DESCRIPTION, arguments, EXAMPLES)
    require_gpus(options.gpus)
    root = Path(options.data_root)
    files = {task: root / task / f"{options.split}.jsonl" for task in options.task}
    records = {task: read_items(task, path, options.limit) for task, path in files.items()}
    shown = {
        task: read_items(task, path, options.limit, options.context, options.template)
        for task, path in (files if options.context else {}).items()
    }
    prior = prior_config(options.prior_config, root) if options.prior_config else None
    if prior and options.prior_limit:
        prior["limit"] = options.prior_limit
    set_environment(local=not prior or is_local(prior))
    run, points = stations(options.model)

    from sdft.evaluate.preflight import check_benchmarks
    from sdft.evaluate.prior import PriorRunner
    from sdft.evaluate.responses import Decoding
    from sdft.models.files import load_model, load_tokenizer

    device = cli.chosen_device(options.device)
    clock = Clock(device)
    decoding = Decoding(
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        max_prompt_tokens=options.max_prompt_tokens,
        overlong=options.overlong,
    )
    tokenizer_files = cli.tokenizer_digest(options.tokenizer)
    names = ("task", "split", "limit", "dtype")
    config = {
        **{name: getattr(options, name) for name in names},
        **asdict(decoding),
        "tokenizer": tokenizer_files,
        "prior": prior,
        **({"context": options.context, "template": options.template} if options.context else {}),
    }
    data = {str(path): cli.data_digest(path) for path in files.values()}
    if prior and prior["data_dir"]:
        paths = [Path(prior["data_dir"]) / f"{name}.jsonl" for name in prior["tasks"]]
        data |= {str(path): cli.data_digest(path) for path in paths if path.is_file()}
    data |= (prior and stored(prior)) or {}
    models = [[step, found.sha256] for step, _, found in points]
    benchmarks = prior["tasks"] if prior else ()
    code = [rerun.measure_code("trajectory", *options.task), *(rerun.prior_code(prior, name) for name in benchmarks)]
    key = digest([code, config, models, data, device], 16)
    with measuring(options.out, key, "step", [step for step, _, _ in points], options.wait) as partial:
        if partial is None:
            return
        if prior and len(partial.rows) < len(points):
            check_benchmarks(PriorRunner(None, prior), prior["tasks"])
        for number, (step, fraction, found) in enumerate(points):
            if number < len(partial.rows):
                continue
            print(f"{options.model}: point {number + 1} of {len(points)}, step {step}", file=sys.stderr)
            tokenizer = load_tokenizer(options.tokenizer or found.folder)
            model = load_model(found.folder, device, options.dtype)
            point = {"step": step, "fraction": fraction, **measure(model, tokenizer, records, decoding, prior)}
            if shown and number == len(points) - 1:
                point["in_context"] = accuracies(model, tokenizer, shown, decoding)
            partial.add([point])
        content = {
            "run": run,
            "split": options.split,
            "limit": options.limit,
            "prior_limit": prior and prior["limit"],
            **({"context": options.context} if options.context else {}),
            "points": partial.rows,
            "manifest": manifest("trajectory", clock=clock, config=config, inputs={"models": models, "data": data}),
        }
        partial.finish(content)


if __name__ == "__main__":
    run_main(main)
