"""Which rows validate and which test: drawn by a hash, so that no library or platform can change the draw."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from sdft.common.errors import SdftError
from sdft.data.schema import TaskFiles
from sdft.records.record import Record


def ranked(ids: list[str], seed: int) -> list[str]:
    """The ids in the order of the SHA-256 of `{seed}/{id}`: a shuffle that anybody can repeat."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).hexdigest())


def validation_ids(ids: list[str], fraction: float, seed: int) -> set[str]:
    """About `fraction` of the ids, at least one."""
    return set(ranked(ids, seed)[: max(1, round(fraction * len(ids)))])


def prompt_key(record: Record) -> str:
    """Equal for two records exactly when their prompts are, white space at the ends apart."""
    return json.dumps([[message["role"], message["content"].strip()] for message in record.prompt])


def _label(record: Record) -> str:
    return json.dumps(record.answer, sort_keys=True)


@dataclass(frozen=True)
class Splits:
    """A task's splits, and what the checks found: lists of ids by kind."""

    splits: dict[str, list[Record]]
    found: dict[str, Any]


def make_splits(
    task: str,
    rules: TaskFiles,
    train: list[Record],
    test: list[Record],
    fraction: float,
    seed: int,
    validation: list[Record] | None = None,
) -> Splits:
    """The test set chosen, validation drawn from train where it is not given, and both checked against train.

    A training row whose prompt is also a validation row's leaves training, so that the two never overlap. Raises
    SdftError where the task's rules make duplicates, conflicts or overlap an error.
    """
    found: dict[str, Any] = {}
    if rules.test_sample:
        train, test = _short_references(train, test)
        known = {prompt_key(record) for record in train}
        new = [record for record in test if prompt_key(record) not in known]
        kept = set(ranked([record.id for record in new], seed)[: rules.test_sample])
        if len(kept) < rules.test_sample:
            raise SdftError(
                f"{task}: only {len(kept)} test problems are not in train, fewer than the {rules.test_sample} to "
                "sample; lower test_sample in config.yaml, or check the files."
            )
        found["test_candidates"] = len(new)
        test = [record for record in new if record.id in kept]
    train = _duplicates(task, rules, train, found)
    train = _overlap(task, rules, train, test, found)

    if validation is not None:
        validation = _overlap(task, rules, validation, test, {})
    # Only a row with a gold answer can validate.
    eligible = [record.id for record in train if record.answer is not None and not record.meta.get("no_reference")]
    found["without_gold_answer"] = len(train) - len(eligible)
    drawn: set[str] = set()
    if validation is None:
        if len(eligible) < 2:
            raise SdftError(
                f"{task}: {len(eligible)} training rows have a gold answer, too few to validate on; give more of them "
                f"an answer, or data.tasks.{task}.validation a file of its own."
            )
        drawn = validation_ids(eligible, fraction, seed)
        validation = [record for record in train if record.id in drawn]
    keys = {prompt_key(record) for record in validation}
    found["in_validation_too"] = [
        record.id for record in train if record.id not in drawn and prompt_key(record) in keys
    ]
    rest = [record for record in train if prompt_key(record) not in keys]
    splits = {"train": rest, "validation": validation, "test": test[: rules.test_rows]}
    for count in rules.test_versions:
        splits[f"test_{count}"] = test[:count]
    return Splits(splits, found)


def _short_references(train: list[Record], test: list[Record]) -> tuple[list[Record], list[Record]]:
    """Train rows with the short reference of the same question among the test problems, so that they can validate.

    A row of train whose question is not there keeps its long answer, which no offline judge can look for.
    """
    answers = {prompt_key(record): record.answer for record in test}
    joined = []
    for record in train:
        answer = answers.get(prompt_key(record))
        if answer is None:
            joined.append(replace(record, meta=record.meta | {"no_reference": True}))
        else:
            joined.append(replace(record, answer=answer))
    # Without any common question (invented rows) the long answers have to do.
    if all(record.meta.get("no_reference") for record in joined):
        return train, test
    return joined, test


def _duplicates(task: str, rules: TaskFiles, train: list[Record], found: dict[str, Any]) -> list[Record]:
    first: dict[str, Record] = {}
    repeated, conflicting = [], []
    for record in train:
        earlier = first.setdefault(prompt_key(record), record)
        if earlier is not record:
            (repeated if _label(earlier) == _label(record) else conflicting).append(record.id)
    found |= {"duplicates": repeated, "conflicts": conflicting}
    _refuse(task, rules.duplicates, "duplicates", "repeat an earlier prompt with the same answer", repeated)
    _refuse(task, rules.conflicts, "conflicts", "repeat an earlier prompt with another answer", conflicting)
    gone = set()
    if rules.duplicates == "drop":
        gone |= set(repeated)
    if rules.conflicts == "drop":
        gone |= set(conflicting)
    return [record for record in train if record.id not in gone]


def _overlap(
    task: str, rules: TaskFiles, train: list[Record], test: list[Record], found: dict[str, Any]
) -> list[Record]:
    keys = {prompt_key(record) for record in test}
    common = {record.id for record in train if prompt_key(record) in keys}
    found["overlap"] = sorted(common)
    _refuse(task, rules.overlap, "overlap", "have a prompt that is in the test set too", sorted(common))
    return [record for record in train if record.id not in common] if rules.overlap == "drop" else train


def _refuse(task: str, rule: str, key: str, what: str, ids: list[str]) -> None:
    if ids and rule == "error":
        raise SdftError(
            f"{task}: {len(ids)} training rows {what} (the first: {', '.join(ids[:3])}). Check that the files are the "
            f"official ones; if they are, set data.tasks.{task}.{key} to report or drop in config.yaml."
        )


def limited(splits: dict[str, list[Record]], limit: int | None) -> dict[str, list[Record]]:
    """The first `limit` records of every split."""
    return {name: records[:limit] for name, records in splits.items()}
