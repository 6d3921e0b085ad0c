"""A task from a scorer's name alone: one of sdft/scoring/named.py, a judge, or a Python function of one's own."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.records.record import Record
from sdft.scoring import named
from sdft.tasks.base import Rubric, Task

NAMED: dict[str, Callable[[str, Record], float]] = {
    "exact_match": named.exact_match,
    "contains": named.contains,
    "choice": named.choice,
    "react": named.react,
}
JUDGE = "judge"
RUBRIC = Rubric(
    labels=("CORRECT", "INCORRECT"),
    instructions="""You check answers against a reference answer.

Give the label CORRECT when the answer to check says what the reference says, in whatever words. More detail is fine as
long as it is right. Give the label INCORRECT when the essential point is missing, is left open between several
possibilities, or is contradicted. Only the content counts; style, length and language do not.""",
)


def own_task(scorer: str) -> Task:
    """A task whose responses `scorer` scores.

    scorer: a name (exact_match, contains, choice, react), "judge" (a language model decides; until it has, the rule
    "contains"), or "module:function" of a function that takes the response and the Record and returns a number from 0
    (wrong) to 1 (right). Raises SdftError where there is no such scorer.
    """
    if scorer == JUDGE:
        return _task(named.contains, RUBRIC)
    if ":" in scorer:
        return _task(_function(scorer))
    if scorer not in NAMED:
        raise SdftError(
            f"there is no scorer {scorer!r}; {did_you_mean(scorer, [*NAMED, JUDGE])} A Python function of your own is "
            "given as module:function."
        )
    return _task(NAMED[scorer])


def _task(score: Callable[[str, Record], float], rubric: Rubric | None = None) -> Task:
    return Task(title="Own task", look=("#332288", "v", "-"), score=score, rubric=rubric)


def _function(scorer: str) -> Callable[[str, Record], float]:
    """The user's function, checked before anything is trained."""
    module, _, name = scorer.partition(":")
    # A module beside the caller's files, as `python -m` would find it.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(import_module(module.removesuffix(".py").replace("/", ".")), name)
    except (ImportError, AttributeError, ValueError, SyntaxError) as error:
        raise SdftError(
            f"the scorer {scorer!r} cannot be imported ({error}); write module:function, of a module that Python finds "
            "from this folder or in PYTHONPATH."
        ) from None
    if not callable(found):
        raise SdftError(f"the scorer {scorer!r} is no function; write module:function.")
    try:
        inspect.signature(found).bind("response", "record")
    except TypeError:
        raise SdftError(f"the scorer {scorer!r} must take two arguments: the response, and its Record.") from None

    def score(response: str, record: Record) -> float:
        value = found(response, record)
        if not isinstance(value, int | float) or not 0 <= value <= 1:
            raise SdftError(
                f"the scorer {scorer!r} returned {value!r} for record {record.id!r}; it must return a number from 0 "
                "(wrong) to 1 (right)."
            )
        return float(value)

    # Where the code is that decides (`sdft.tasks.sources`).
    score.__wrapped__ = found
    score.__module__ = found.__module__
    return score
