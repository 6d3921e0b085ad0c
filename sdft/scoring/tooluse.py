"""Tool use: does a ReAct response make the gold calls?

`official` is the rule of the authors' evaluation script, kept with all its quirks because the published numbers carry
them. `strict` is ours, for the question the official rule only approximates; it is reported beside it, never instead.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from sdft.common.errors import SdftError, did_you_mean

ACTION = re.compile(r"Action:\s*(\w+)")
ACTION_INPUT = re.compile(r"Action Input:\s*(\{.*?\})", re.DOTALL)
CALL = re.compile(r"Action:\s*(\S+)(?:\s+Action Input:\s*)?")
NO_CALL = re.compile(r"Action:\s*None\b")
# A degenerate response can nest brackets deeper than the parser goes.
UNREADABLE = (ValueError, RecursionError)


def score(response: str, golden_answer: list[dict[str, Any]], rule: str = "official") -> bool:
    """Whether `response` makes the calls of `golden_answer`, a list of {"Action", "Action_Input": JSON text or dict}.

    official: the multiset of all words after `Action:` equals that of the gold actions, and the merge of every JSON
    object after `Action Input:` (up to its first closing brace, unreadable ones skipped, the last value of a key wins)
    equals the merge of the gold arguments. So order and pairing do not count, a nested object never parses, prose
    or a final `Action: None` makes an extra action, and 1 == 1.0 == True.

    strict: the ordered list of (action, arguments) pairs equals the gold one. An action's arguments are the whole JSON
    object that directly follows it in `Action Input:`; `Action: None` is no call.

    Raises SdftError for an unknown rule.
    """
    if rule == "official":
        return _official(response, golden_answer)
    if rule == "strict":
        return _calls(response) == [(step["Action"], _gold_arguments(step)) for step in golden_answer]
    raise SdftError(f"unknown tool-use rule {rule!r}; {did_you_mean(rule, ('official', 'strict'))}")


def failed_by_none(response: str, golden_answer: list[dict[str, Any]]) -> bool:
    """Whether the official rule fails the response for nothing but its `Action: None`."""
    return not _official(response, golden_answer) and _official(NO_CALL.sub("", response), golden_answer)


def _official(response: str, golden_answer: list[dict[str, Any]]) -> bool:
    if Counter(ACTION.findall(response)) != Counter(step["Action"] for step in golden_answer):
        return False
    predicted, gold = {}, {}
    for text in ACTION_INPUT.findall(response):
        predicted.update(_parse(text) or {})
    for step in golden_answer:
        gold.update(_gold_arguments(step) or {})
    return predicted == gold


def _gold_arguments(step: dict[str, Any]) -> dict[str, Any] | None:
    arguments = step["Action_Input"]
    return arguments if isinstance(arguments, dict) else _parse(arguments)


def _parse(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except UNREADABLE:
        return None
    return value if isinstance(value, dict) else None


def _calls(response: str) -> list[tuple[str, dict[str, Any] | None]]:
    calls = []
    for match in CALL.finditer(response):
        try:
            arguments, _ = json.JSONDecoder().raw_decode(response, match.end())
        except UNREADABLE:
            arguments = None
        if not isinstance(arguments, dict):
            arguments = None
        if match[1] != "None":
            calls.append((match[1], arguments))
    return calls
