"""`python -m sdft.learning.candidate`: train one candidate of a sweep, score it, and let its weights go."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import DivergedError, SdftError, run_main
from sdft.common.files import digest, read_json, read_packed, sha256_file, write_json, write_packed, write_text
from sdft.common.locks import only_writer
from sdft.common.progress import say
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import progressed, starts_again
from sdft.evaluate import set_environment
from sdft.evaluate.prior import PriorRunner, is_local, prior_config
from sdft.evaluate.questions import read_items
from sdft.evaluate.store import stored
from sdft.learning.fits import check_fits, size_of
from sdft.learning.launch import find_processes, launch
from sdft.learning.run import train
from sdft.learning.spec import Inputs, fingerprint, read_spec, resolve
from sdft.learning.validation import REPLIES, measure
from sdft.learning.waiting import WAITING, let_go
from sdft.models.devices import require_gpus
from sdft.models.files import WEIGHTS
from sdft.records.prompts import render
from sdft.records.record import Record
from sdft.study import rerun
from sdft.study.plan import RunSpec
from sdft.study.requests import stop_seconds
from sdft.study.specs import CandidateSpec, Validated

DESCRIPTION = """Train the candidate that RUN.json describes, measure its accuracy on the validation split of its task
(what the selection looks at) and on the prior benchmarks (what Figure 4 draws), and write both to OUT. A training that
diverges is a result too: accuracy 0, ranked below every other. Repeating an interrupted command continues the training.
The weights are deleted at the end unless they are asked for, or small: those wait for the selection, since a final run
with the winner's seed is the winner. What the model replied stays in replies.json.gz."""

# Weights and snapshots of at most this size wait for the selection.
SMALL_BYTES = 64 << 20

EXAMPLES = """examples:
  python -m sdft.learning.candidate --run run.json --validation results/mini/data/tooluse/validation.jsonl \\
    --prior-config mini --out /tmp/candidate/validation.json
"""


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(CandidateSpec, "sdft.learning.candidate", DESCRIPTION, arguments, EXAMPLES)
    spec = read_spec(options.run)
    out = Path(options.out)
    if options.promoted is not None and not goes_on(spec.id, options.promoted):
        leave_behind(spec, out, options.wait)
        return
    cards = require_gpus(options.gpus, growing=spec.settings.rollout_engine != "vllm")
    trained = out.with_name("model.json").is_file()
    if not trained:
        check_fits(spec, cards)
    launch("sdft.learning.candidate", options.processes, arguments, stop_seconds(spec, size_of(spec.base_ready)))
    if spec.hyperparameters is None:
        raise SdftError(f"{options.run} is a final run; a candidate has hyperparameters. Use python -m sdft.train.")

    prior = prior_config(options.prior_config, Path("."))
    set_environment(local=is_local(prior))
    records = read_items(spec.task, options.validation, options.limit)
    settings = options.model_dump(exclude={"run", "out", "wait", "keep_weights", "processes", "gpus", "promoted"})
    spec, files = resolve(spec), [options.validation]
    inputs = Inputs(spec)
    spec, waits = for_candidate(spec, inputs)
    if prior["data_dir"]:
        files += [str(Path(prior["data_dir"]) / f"{name}.jsonl") for name in prior["tasks"]]
    if (store := stored(prior)) is not None:
        settings["stored"] = store
    read = [sha256_file(path) for path in files if Path(path).is_file()]
    # How the replies are scored is not in it: they are kept, and the selection scores them again.
    key = digest([fingerprint(spec, inputs), settings, rerun.responses_code(), read], 16)
    # A twin that a killed workflow left behind may finish this candidate, and delete its weights, meanwhile.
    clock, processes, state = Clock(), find_processes(options.wait), out.parent / "candidate"
    with processes.held(lambda: only_writer(state, options.wait)):
        kept = (out.parent / "weights").is_dir() or not options.keep_weights
        if processes.first(lambda: kept and finished(out, state, key)):
            return
        scorer: list[PriorRunner] = []
        processes.first(lambda: scorer.append(ready_to_score(spec, records, prior, decoding(options))))
        try:
            record = train(spec, out.parent, wait_minutes=options.wait)
            if trained:
                # In an earlier job, or before this one was stopped: the time counts all the same.
                clock.start -= record["manifest"]["seconds"]
        except DivergedError as error:
            say(str(error))
            record, replies = None, {}
            content = outcome(spec, clock, validation={"value": 0.0, "n": len(records)}, diverged=str(error))
        if not trained:
            # A stop while it is scored need not train it again.
            progressed()
        # Several processes may train a model; the first one scores it.
        if not processes.main:
            return
        if record is not None:
            content, replies = score(spec, record, out.parent, records, scorer[0], options, clock)
        for folder in (state, out.parent):
            write_packed(folder / REPLIES, replies)
            write_json(folder / out.name, content | {"key": key})
        if waits and record is not None and not options.keep_weights:
            write_text(out.parent / WAITING, "")
        elif not options.keep_weights:
            let_go(out.parent)


def for_candidate(spec: RunSpec, inputs: Inputs) -> tuple[RunSpec, bool]:
    """The resolved run as a candidate trains it, and whether its weights and snapshots are small enough to wait for the
    selection."""
    weights = [path for pattern in WEIGHTS for path in inputs.start.folder.glob(pattern)]
    if sum(path.stat().st_size for path in weights) * (1 + spec.settings.snapshots) <= SMALL_BYTES:
        return spec, True
    # Nobody looks at the way of weights that are let go.
    return spec.model_copy(update={"settings": spec.settings.model_copy(update={"snapshots": 0})}), False


def goes_on(run: str, promoted: str) -> bool:
    """Whether a candidate is among those that go on. Raises SdftError where the file does not say."""
    found = read_json(promoted)
    if not isinstance(found.get("promoted"), list):
        raise SdftError(
            f"{promoted} does not list the candidates that go on; delete it and run the same command again."
        )
    return run in found["promoted"]


def leave_behind(spec: RunSpec, out: Path, wait: float) -> None:
    """Write what a candidate has shown that does not go on after its first part (sdft/learning/rung.py) to `out`, and
    let its checkpoint go."""
    clock, rung = Clock(), read_json(out.with_name("rung.json"))
    stopped = {name: rung.get(name) for name in ("steps", "of")}
    shown = {name: rung[name] for name in ("validation", "diverged") if name in rung}
    with only_writer(out.parent / "candidate", wait):
        write_packed(out.with_name(REPLIES), {})
        write_json(out, outcome(spec, clock, prior=None, prior_average=None, stopped=stopped, **shown))
        shutil.rmtree(out.parent / "state", ignore_errors=True)
        let_go(out.parent)


def finished(out: Path, state: Path, key: str) -> bool:
    """Whether this candidate has its result and its replies, also where Snakemake has deleted them: they are put back
    from `state`."""
    for folder in (out.parent, state):
        try:
            record, replies = read_json(folder / out.name), read_packed(folder / REPLIES)
        except SdftError:
            # Absent or damaged: made again.
            continue
        if record.get("key") == key:
            if folder == state:
                write_packed(out.parent / REPLIES, replies)
                write_json(out, record)
            return True
    return False


def ready_to_score(spec: RunSpec, records: list[Record], prior: dict[str, Any], drawn: Any) -> PriorRunner:
    """The prior benchmarks, set up. Raises SdftError for whatever scoring needs and is not there, before a step is
    trained. drawn: how validation responses are drawn (`decoding`)."""
    from sdft.evaluate.preflight import check_benchmarks, check_prompts
    from sdft.evaluate.responses import fit
    from sdft.models.files import load_tokenizer

    folder = Inputs(spec).base.folder
    tokenizer = load_tokenizer(folder)
    check_prompts(tokenizer, {spec.task: records})
    prompts = [render(tokenizer, record.prompt) for record in records] if drawn.overlong == "error" else []
    fit(spec.task, records, prompts, drawn, read_json(folder / "config.json").get("max_position_embeddings"))
    runner = PriorRunner(None, prior)
    check_benchmarks(runner, prior["tasks"])
    return runner


def decoding(options: Validated) -> Any:
    """How validation responses are drawn, as `sdft.evaluate.responses.respond` takes it."""
    from sdft.evaluate.responses import Decoding

    names = ("max_new_tokens", "batch_size", "max_prompt_tokens", "overlong")
    return Decoding(**{name: getattr(options, name) for name in names})


def score(
    spec: RunSpec,
    record: dict[str, Any],
    folder: Path,
    records: list[Record],
    runner: PriorRunner,
    options: CandidateSpec,
    clock: Clock,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The content of validation.json for `spec`, trained into `folder` with this record, and the model's replies."""
    import torch

    from sdft.models.files import load_model, load_tokenizer

    clock.device = "cuda" if torch.cuda.is_available() else "cpu"
    weights = folder / "weights"
    loaded = load_model(weights, clock.device, options.dtype), load_tokenizer(weights)
    values, replies = measure(spec.task, records, runner, decoding(options), lambda: loaded)
    content = outcome(
        spec,
        clock,
        record["manifest"]["inputs"],
        **values,
        rows_cut=record["rows_cut"],
        steps=record["steps"],
        seconds=record["seconds"],
        phases=record.get("phases", {}),
    )
    return content, replies


def outcome(spec: RunSpec, clock: Clock, inputs: dict[str, Any] | None = None, **measured: Any) -> dict[str, Any]:
    """A candidate's validation.json with what was measured of it."""
    config = spec.model_dump(mode="json")
    code = {"training": rerun.train_code(spec.method), "responses": rerun.responses_code()}
    code |= {"scores": measured["scored"]} if "scored" in measured else {}
    return {
        "run": spec.id,
        "seed": spec.seed,
        "base": spec.base,
        "hyperparameters": spec.hyperparameters.model_dump(),
        **measured,
        "manifest": manifest("train", clock=clock, code=code, config=config, seeds=[spec.seed], inputs=inputs),
    }


if __name__ == "__main__":
    run_main(main)
