"""`python -m sdft.evaluate`: new-task accuracy and prior capabilities of one model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import digest
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.common.stop import starts_again
from sdft.evaluate import cli, set_environment
from sdft.evaluate.prior import is_local, prior_config
from sdft.evaluate.questions import read_items
from sdft.evaluate.results import Result, State, write_results
from sdft.evaluate.store import stored
from sdft.models.devices import require_gpus
from sdft.records.record import Record
from sdft.study import rerun
from sdft.study.specs import EvaluateSpec
from sdft.tasks import define, find_task, results, task_names
from sdft.tasks.scorers import own_task

# Keeps the replies so far.
Note = Callable[[Any], None]
# Kept replies of the model, or None, and what keeps them, in; the result and the replies out.
Measure = Callable[[Any, Note], tuple[Result, Any]]

DESCRIPTION = """Evaluate one model: accuracy on new tasks (greedy decoding, the task's own scorer) and, if asked for,
the six prior-capability benchmarks through lm_eval. Writes OUT/{task}.json and OUT/{benchmark}.json, and
OUT/responses.jsonl.gz with one line an item. Repeating a command measures nothing again
that it has finished (kept in OUT/state); where only a scorer has changed, the kept replies are scored again. Note that
prior benchmarks which generate programs run them."""

EXAMPLES = """examples:
  python -m sdft.evaluate --model results/mini/base/m-s1 --task science --out /tmp/scores
  python -m sdft.evaluate --model results/mini/base/m-s1 --task tooluse medical --benchmarks all --out /tmp/scores
  python -m sdft.evaluate --model results/mini/base/m-s1 --task knowledge knowledge_ood --out /tmp/scores
  python -m sdft.evaluate --model results/mini/base/m-s1 --task tooluse --context shared --out /tmp/teacher
  python -m sdft.evaluate --model Qwen2.5-7B-Instruct/ --task tooluse --data eval_data/ --out /tmp/scores
  python -m sdft.evaluate --model DIR --task mine --data test.jsonl --scorer exact_match --out /tmp/scores
"""


def asked(names: list[str], split: str) -> dict[str, tuple[str, str]]:
    """Task and split by the name of their results. Raises SdftError for an unknown task."""
    found, known = {}, results()
    for name in names:
        if name in known and name not in task_names():
            found[name] = known[name]
        else:
            # Validation, which no task is tested on, is kept under the task's own name.
            further = split in find_task(name).tests[1:]
            found[f"{name}_{split}" if further else name] = name, split
    return found


def chosen_benchmarks(names: list[str], configured: dict[str, Any]) -> list[str]:
    if names == ["none"]:
        return []
    if names == ["all"]:
        return list(configured)
    for name in names:
        if name not in configured:
            raise SdftError(f"there is no prior benchmark {name!r}; {did_you_mean(name, [*configured, 'all', 'none'])}")
    return names


@starts_again()
def main(arguments: list[str] | None = None) -> None:
    options = parse_spec(EvaluateSpec, "sdft.evaluate", DESCRIPTION, arguments, EXAMPLES)
    if options.data and len(options.task) != 1:
        raise SdftError("--data gives one task's data, so name exactly one task; use --data-root for several.")
    if options.context and options.benchmarks != ["none"]:
        raise SdftError("the prior benchmarks take no context; leave out --benchmarks, or --context.")
    if options.scorer:
        if not options.data:
            raise SdftError("--scorer is for a task of your own: name it with --task, and its rows with --data.")
        define(options.task[0], own_task(options.scorer))
    publish_alone(options.out)
    chosen = asked(options.task, options.split)
    cards = require_gpus(options.gpus)
    root = Path(options.data_root)
    prior, names = {}, []
    if options.benchmarks != ["none"]:
        prior = prior_config(options.prior_config, root)
        names = chosen_benchmarks(options.benchmarks, prior["tasks"])
        if options.limit:
            prior["limit"] = options.limit
    if not options.task and not names:
        raise SdftError("nothing to evaluate: name a task with --task, or benchmarks with --benchmarks.")
    set_environment(local=not names or is_local(prior))

    from sdft.evaluate.preflight import check_model
    from sdft.models.files import find_model

    check_model(options.model)
    files = {name: Path(options.data or root / task / f"{split}.jsonl") for name, (task, split) in chosen.items()}
    records = {
        name: read_items(task, files[name], options.limit, options.context, options.template)
        for name, (task, _) in chosen.items()
    }
    found = find_model(options.model)
    model_input = {"path": str(found.folder), "sha256": found.sha256}

    from sdft.evaluate.answers import score
    from sdft.evaluate.preflight import check_benchmarks, check_card, check_prompts
    from sdft.evaluate.prior import PriorRunner
    from sdft.evaluate.responses import Decoding, Response, questions_digest, respond
    from sdft.models.files import load_model, load_tokenizer

    device = cli.chosen_device(options.device)
    decoding = Decoding(
        max_new_tokens=options.max_new_tokens,
        batch_size=options.batch_size,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
        max_prompt_tokens=options.max_prompt_tokens,
        overlong=options.overlong,
    )
    common = {"dtype": options.dtype, "tokenizer": options.tokenizer, "limit": options.limit}
    context = {"context": options.context, "template": options.template} if options.context else {}
    subject = [found.sha256, device, options.dtype, cli.tokenizer_digest(options.tokenizer)]
    state, finished = State(Path(options.out) / "state"), []

    @cache
    def loaded() -> tuple[Any, Any]:
        """Model and tokenizer, once something has to be asked of them, and all else that it needs is there."""
        tokenizer = load_tokenizer(options.tokenizer or found.folder)
        check_card(found.folder, options.dtype, cards)
        check_prompts(tokenizer, records)
        if runner:
            check_benchmarks(runner, names)
        return load_model(found.folder, device, options.dtype), tokenizer

    runner = PriorRunner(loaded, prior) if names else None

    def step(
        name: str,
        split: str,
        code: dict[str, str],
        config: dict[str, Any],
        data: Any,
        posed: Any,
        measure: Measure,
    ) -> None:
        """Measure one benchmark, or take what is kept of it; `posed` decides what the model is asked."""
        made = digest([code["responses"], posed, subject], 16)
        scored = digest([code["scores"], config, data], 16)
        saved = state.result(name, made, scored)
        if saved is None:
            clock = Clock(device)
            kept = state.replies(name, made) or {}
            try:
                result, replies = measure(kept, partial(state.keep_replies, name, made))
            except SdftError:
                # Such as programs that cannot be run here: what the model has answered it need not answer again.
                if kept:
                    state.keep_replies(name, made, kept)
                raise
            inputs = {"model": model_input, "data": data, "split": split, **context}
            record = manifest("evaluate", clock=clock, code=code, config=config, seeds=[options.seed], inputs=inputs)
            saved = result, record
            state.save(made, scored, *saved, replies)
        finished.append(saved)
        print(f"{name}: {saved[0].value:.4f} ({saved[0].metric}, n = {saved[0].n})", file=sys.stderr)

    for name, rows in records.items():
        task, split = chosen[name]

        def answer(
            replies: Any, note: Note, name: str = name, task: str = task, rows: list[Record] = rows
        ) -> tuple[Result, Any]:
            responses = [Response(**reply) for reply in replies or []] or respond(*loaded(), task, rows, decoding)
            result = replace(score(task, rows, responses), benchmark=name)
            return result, [asdict(response) for response in responses]

        data = {str(files[name]): cli.data_digest(files[name])}
        config = {**common, **asdict(decoding), **context, **({"scorer": options.scorer} if options.scorer else {})}
        step(name, split, rerun.task_code(task), config, data, [asdict(decoding), questions_digest(rows)], answer)
    for name in names:
        path = prior["data_dir"] and Path(prior["data_dir"]) / f"{name}.jsonl"
        data = {str(path): cli.data_digest(path)} if path and path.is_file() else stored(prior)

        def run(replies: Any, note: Note, name: str = name) -> tuple[Result, Any]:
            return runner.run(name, replies, lambda: note(replies)), replies

        config = {**common, **prior, "tasks": prior["tasks"][name]}
        step(name, options.split, rerun.prior_code(prior, name), config, data, [prior["batch_size"]], run)
    write_results(options.out, finished)


if __name__ == "__main__":
    run_main(main)
