"""Knowledge: does the response hold the fact that was asked for, and nothing against it?

The paper's judge gives three labels; "strict" counts CORRECT (every detail right), "lenient" also PARTIALLY_CORRECT
(some details missing, nothing wrong). The offline rule here serves both: a question of the miniature world asks for one
fact, which a response states or does not, so nothing can be partly right and the two are equal by construction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from sdft.records.record import Record
from sdft.scoring import medical


def score(response: str, answer: str, rivals: Iterable[str] = ()) -> bool:
    """Whether the reference stands in the response, by the medical task's offline judge, and none of `rivals` does.

    rivals: answers that would contradict the reference, such as the capitals of other lands; without them a response
    that names the right answer beside wrong ones counts as right. Raises SdftError for a reference without a word.
    """
    return medical.score(response, answer) and not any(medical.score(response, rival) for rival in rivals)


def with_rivals(records: list[Record]) -> list[Record]:
    """The records with meta["rivals"]: every other answer that the same file gives for the same relation.

    Only records whose meta["key"] is (subject, relation), as in the miniature world, get rivals.
    """
    values: dict[str, set[str]] = defaultdict(set)
    for record in records:
        if (relation := _relation(record)) is not None:
            values[relation].add(record.answer)
    return [
        record
        if (relation := _relation(record)) is None
        else replace(record, meta={**record.meta, "rivals": sorted(values[relation] - {record.answer})})
        for record in records
    ]


def _relation(record: Record) -> str | None:
    key = record.meta.get("key")
    return key[1] if isinstance(key, list) and len(key) == 2 else None
