"""`python -m sdft.learning.select`: the winner of a sweep by its validation score on the target task, and the ranking.

A candidate may be trained with several seeds, from several base models (sweep_seeds). Its score is then the mean over
these runs, so that the winner is not the one that a single base model happens to like.

Where the scorers are other ones than those that scored a candidate, what it replied is scored again; its training is
not repeated.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sdft.common.command import parse_spec
from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.common.schema import read_checked
from sdft.evaluate import set_environment
from sdft.evaluate.prior import prior_config
from sdft.evaluate.questions import read_items
from sdft.learning.files import ANEW, Candidate
from sdft.learning.validation import REPLIES, score_again
from sdft.learning.waiting import WAITING, let_go
from sdft.methods.hyperparameters import tie_key, tie_rules
from sdft.records.record import Record
from sdft.study.schema import Judge
from sdft.study.specs import SelectSpec
from sdft.tasks import find_task, task_names

RULE = (
    "The candidate with the best validation score on the target task wins, as in the paper; the score is the mean over "
    f"the seeds of the sweep, and the test set is not looked at. Ties go to {', then '.join(tie_rules())}, then the "
    "name of the run. A candidate of which a training diverged comes last and cannot win."
)
HALVED = " Candidates that were not trained to the end, since others were better on the way, cannot win."
EXAMPLES = """examples:
  python -m sdft.learning.select --candidates results/mini/sweep/tooluse/sdft/*/validation.json \\
    --out /tmp/selected/tooluse/sdft.json
"""


def read_candidate(
    path: str | Path, again: Callable[[dict[str, Any], Path], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """One row of the ranking from a validation.json. Raises SdftError naming the file and the field that is wrong.

    again: gives the record with the values of the scorers of now, from the record and the file of the replies.
    """
    record = read_checked(path, Candidate, ANEW.format(what="it"))
    if again is not None and "stopped" not in record:
        record = again(record, Path(path).with_name(REPLIES))
    row = {
        "run": record["run"],
        "hyperparameters": record["hyperparameters"],
        "validation": record["validation"]["value"],
        "n": record["validation"]["n"],
        "prior": record.get("prior"),
        "prior_average": record.get("prior_average"),
        "diverged": record.get("diverged"),
        "seed": record.get("seed"),
        "base": record.get("base"),
    }
    # offline: the validation by the offline scorer, where a judge's counts. stale: prior benchmarks whose values are of
    # scorers that have changed since. stopped: after how many steps of how many, where others went on (halving).
    return row | {name: record[name] for name in ("offline", "stale", "stopped") if name in record}


def _key(row: dict[str, Any]) -> tuple[Any, ...]:
    # Values are k / n; rounding keeps equal fractions equal whatever the order of their division.
    return (
        row.get("diverged") is not None,
        "stopped" in row,
        -round(row["validation"], 12),
        *tie_key(row["hyperparameters"]),
        row["run"],
    )


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else math.fsum(values) / len(values)


def pool(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a candidate: the mean over its runs, which are listed with the score of each.

    "run" is the first of them. Raises SdftError where a candidate has fewer runs than another.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault(json.dumps(row["hyperparameters"], sort_keys=True), []).append(row)
    if len({len(own) for own in found.values()}) > 1:
        counts = ", ".join(f"{own[0]['run']} has {len(own)}" for own in found.values())
        raise SdftError(
            f"Candidates were trained with different numbers of seeds ({counts}); give the validation.json of every "
            "seed of the sweep (sweep_seeds)."
        )
    return [_pooled(own) for own in found.values()]


def _pooled(own: list[dict[str, Any]]) -> dict[str, Any]:
    first = own[0]
    priors = [row["prior"] for row in own]
    shared = None if None in priors else {name: _mean([one.get(name) for one in priors]) for name in priors[0]}
    stale = sorted({name for row in own for name in row.get("stale", ())})
    return {
        "run": first["run"],
        "runs": [row["run"] for row in own],
        "hyperparameters": first["hyperparameters"],
        "validation": _mean([row["validation"] for row in own]),
        "by_run": [row["validation"] for row in own],
        "prior_by_run": [row["prior_average"] for row in own],
        "seeds": [row["seed"] for row in own],
        "bases": [row["base"] for row in own],
        "n": first["n"],
        "prior": shared,
        "prior_average": _mean([row["prior_average"] for row in own]),
        "diverged": next((row["diverged"] for row in own if row["diverged"] is not None), None),
        **({"offline": _mean([row.get("offline") for row in own])} if any("offline" in row for row in own) else {}),
        **({"stale": stale} if any("stale" in row for row in own) else {}),
        **({"stopped": first["stopped"]} if "stopped" in first else {}),
    }


def rank(candidates: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Candidates, best first, by RULE, from a row a run. Raises SdftError when there are none, when they cannot be
    compared, or when every training diverged."""
    if not candidates:
        raise SdftError("There are no candidates to select from; give the arm's grid at least one value a key.")
    if len({row["n"] for row in candidates}) > 1:
        sizes = ", ".join(f"{row['run']} on {row['n']}" for row in candidates)
        raise SdftError(f"Candidates were validated on different numbers of items ({sizes}); delete the older ones.")
    names = [row["run"] for row in candidates]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise SdftError(f"The candidate {twice} is listed twice; name each validation.json once.")
    ranking = sorted(pool(candidates), key=_key)
    if ranking[0].get("diverged") is not None:
        raise SdftError(
            f"Every candidate's training diverged, {ranking[0]['run']} too; give the arm's grid lower learning rates."
        )
    return ranking


def _answered(options: SelectSpec, task: str) -> dict[Path, list[Record]]:
    """The records that the candidate in each folder answered."""
    given = [options.validation] if isinstance(options.validation, str) else options.validation
    if len(given) not in (1, len(options.candidates)):
        raise SdftError(
            f"--validation names {len(given)} files for {len(options.candidates)} candidates; name one file that all "
            "answered, or one for each candidate in the same order."
        )
    read = {path: read_items(task, path, options.limit) for path in dict.fromkeys(given)}
    own = given * len(options.candidates) if len(given) == 1 else given
    return {Path(path).parent: read[file] for path, file in zip(options.candidates, own, strict=True)}


def scorer(task: str, judge: Judge | None) -> str:
    """Who decided the validation answers of a task, in words: for tables and verdict.json."""
    if task not in task_names() or not find_task(task).judged:
        return "rule"
    return "offline judge" if judge is None else f"judge {judge.model}"


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_spec(SelectSpec, "sdft.learning.select", __doc__, arguments, EXAMPLES)
    publish_alone(options.out)
    clock, out, again = Clock(), Path(options.out), None
    task = options.task or out.parent.name
    if options.validation is not None:
        prior = prior_config(options.prior_config, Path("."))
        set_environment(local=True)
        answered = _answered(options, task)

        def again(record: dict[str, Any], replies: Path) -> dict[str, Any]:
            records = answered[replies.parent]
            found = score_again(record, replies, task, records, prior)
            if options.judge is None:
                return found
            from sdft.learning.judged import judged

            return judged(found, replies, task, records, options.judge)

    rows = [read_candidate(path, again) for path in options.candidates]
    ranking = rank(rows)
    methods = {read_json(path).get("method") for path in options.candidates} - {None}
    arm = options.arm or out.stem
    winner = ranking[0]
    write_json(
        out,
        {
            "task": task,
            "arm": arm,
            "method": options.method or (methods.pop() if len(methods) == 1 else arm),
            "rule": RULE + (HALVED if any("stopped" in row for row in ranking) else ""),
            "scorer": scorer(task, options.judge),
            "winner": winner["hyperparameters"],
            "winner_run": winner["run"],
            "ranking": ranking,
            "manifest": manifest(
                "select", clock=clock, inputs={str(path): sha256_file(path) for path in options.candidates}
            ),
        },
    )
    for row, path in zip(rows, options.candidates, strict=True):
        folder = Path(path).parent
        if row["hyperparameters"] != winner["hyperparameters"] and (folder / WAITING).is_file():
            let_go(folder)


if __name__ == "__main__":
    run_main(main)
