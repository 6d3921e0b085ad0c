"""What a candidate reached: its accuracy on validation and on the prior benchmarks, from replies that outlive it.

A candidate's weights are let go once it is scored. What it replied is kept, so a changed scorer needs no new training:
the selection scores the kept replies again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.common.files import read_packed
from sdft.common.schema import checked
from sdft.learning.files import ANEW, Replies
from sdft.records.record import Record
from sdft.study import rerun

# Beside validation.json.
REPLIES = "replies.json.gz"
Load = Callable[[], tuple[Any, Any]]


def scorers(task: str, prior: Mapping[str, Any]) -> dict[str, str]:
    """Digests of the code that turns replies into values: "validation", and each prior benchmark by its name."""
    priors = {name: rerun.prior_code(prior, name)["scores"] for name in prior["tasks"]}
    return {"validation": rerun.task_code(task)["scores"], **priors}


def measure(
    task: str, records: list[Record], runner: Any, decoding: Any, load: Load
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values of a model that is there, and what it replied.

    runner: sdft.evaluate.prior.PriorRunner, which has no model yet; decoding: sdft.evaluate.responses.Decoding.
    """
    from sdft.evaluate.answers import score
    from sdft.evaluate.responses import questions_digest, respond

    responses = respond(*load(), task, records, decoding)
    found = score(task, records, responses)
    prior, priors, kept = runner.config, {}, {}
    runner.take(load)
    for name in prior["tasks"]:
        kept[name] = {}
        priors[name] = runner.run(name, kept[name]).value
    values = {
        "validation": {"value": found.value, "n": found.n},
        "prompts_cut": found.metrics["prompt_tokens"]["cut"],
        "prior": priors,
        "prior_average": average(priors),
        "prior_limit": prior["limit"],
        "scored": scorers(task, prior),
    }
    validation = {"questions": questions_digest(records), "responses": [asdict(response) for response in responses]}
    return values, {"validation": validation, "prior": kept}


def average(priors: Mapping[str, float]) -> float | None:
    """Mean over the prior benchmarks; None where none was measured."""
    return sum(priors.values()) / len(priors) if priors else None


def read_replies(path: Path, records: list[Record]) -> dict[str, Any]:
    """What a candidate replied. Raises SdftError for a damaged file, and for one that is not of these records."""
    from sdft.evaluate.responses import questions_digest

    remedy = ANEW.format(what="the folder")
    kept = checked(read_packed(path), path, Replies, remedy)
    answers = kept["validation"]
    asked = [record.id for record in records]
    if answers["questions"] != questions_digest(records) or [row["id"] for row in answers["responses"]] != asked:
        raise SdftError(f"{path} answers other questions than the validation split asks now; {remedy}.")
    return kept


def score_again(
    record: Mapping[str, Any], replies: Path, task: str, records: list[Record], prior: Mapping[str, Any]
) -> dict[str, Any]:
    """`_scored_again`, which see. Raises SdftError for replies that are damaged, too."""
    try:
        return _scored_again(record, replies, task, records, prior)
    except (KeyError, TypeError, AttributeError) as error:
        raise SdftError(
            f"{replies}, or validation.json beside it, is damaged ({error!r}); {ANEW.format(what='the folder')}."
        ) from None


def _scored_again(
    record: Mapping[str, Any], replies: Path, task: str, records: list[Record], prior: Mapping[str, Any]
) -> dict[str, Any]:
    """The candidate `record` (its validation.json) with the values that the scorers of now give to its kept replies.

    Only what other code has scored is scored again. A prior benchmark whose value cannot be had from the replies keeps
    the old one and is named in "stale". Raises SdftError where the validation responses are gone or answer other
    questions.
    """
    now, before = scorers(task, prior), record.get("scored", {})
    if record.get("diverged") is not None or now == before:
        return dict(record)
    from sdft.evaluate.answers import score
    from sdft.evaluate.responses import Response

    kept, found = read_replies(replies, records), dict(record)
    if now["validation"] != before.get("validation"):
        result = score(task, records, [Response(**response) for response in kept["validation"]["responses"]])
        found["validation"] = {"value": result.value, "n": result.n}
    changed = [name for name in prior["tasks"] if now[name] != before.get(name)]
    priors, stale = _prior_again(changed, kept["prior"], prior)
    found["prior"] = {**record["prior"], **priors}
    found["prior_average"] = average(found["prior"])
    return found | {"scored": now} | ({"stale": stale} if stale else {})


def _prior_again(
    names: list[str], kept: Mapping[str, Any], prior: Mapping[str, Any]
) -> tuple[dict[str, float], list[str]]:
    """New values of prior benchmarks from kept replies, and the names of those that have none."""
    if not names:
        return {}, []
    from sdft.evaluate.prior import PriorRunner

    values, stale = {}, []
    for name in names:
        try:
            # Its libraries may be missing where candidates are compared, as may a sandbox.
            values[name] = PriorRunner(None, prior).run(name, dict(kept[name])).value
        except (SdftError, ImportError, KeyError):
            stale.append(name)
    return values, stale
