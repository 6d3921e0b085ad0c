"""The tool-use scorer: the official rule with its quirks, and the strict rule beside it."""

from __future__ import annotations

import json

import pytest

from sdft.common.errors import SdftError
from sdft.scoring.tooluse import failed_by_none, score

ONE = [{"Action": "findBus", "Action_Input": '{"line": 7, "stop": "Mill"}'}]
TWO = [
    {"Action": "findBus", "Action_Input": '{"line": 7}'},
    {"Action": "bookSeat", "Action_Input": '{"name": "Ada"}'},
]
# Names an argument twice, so that merging the steps forgets the first value.
REPEATED = [
    {"Action": "findBus", "Action_Input": '{"line": 7}'},
    {"Action": "findBus", "Action_Input": '{"line": 9}'},
]
NESTED = [{"Action": "setUser", "Action_Input": '{"user": {"name": "Ada"}}'}]
OPTIONAL = [{"Action": "[Optional]setUser", "Action_Input": '{"name": "Ada"}'}]


def say(golden: list[dict]) -> str:
    """The gold answer as a response in the format that the prompts ask for."""
    return "\n".join(
        f"Thought: next\nAction: {step['Action']}\nAction Input: {step['Action_Input']}" for step in golden
    )


@pytest.mark.parametrize("golden", [ONE, TWO, REPEATED])
@pytest.mark.parametrize("rule", ["official", "strict"])
def test_the_gold_answer_is_right(golden, rule):
    assert score(say(golden), golden, rule)


@pytest.mark.parametrize(
    ("response", "golden", "official", "strict"),
    [
        pytest.param(say(ONE) + "\nAction: None", ONE, False, True, id="a final Action: None"),
        pytest.param(say(ONE) + "\nAction: None\nAction Input: None", ONE, False, True, id="with its input"),
        pytest.param(say(ONE) + '\nOutput: {"bus": 1}', ONE, True, True, id="an invented output"),
        pytest.param("I use Action: findBus\n" + say(ONE), ONE, False, False, id="prose that names an action"),
        pytest.param(say(TWO[::-1]), TWO, True, False, id="the other order"),
        pytest.param(say(REPEATED[::-1]), REPEATED, False, False, id="another last value"),
        pytest.param(say([REPEATED[1], REPEATED[1]]), REPEATED, True, False, id="a value the merge forgets"),
        pytest.param(say(TWO).replace('{"line": 7}', "@", 1).replace("{", '{"line": 7, ', 1).replace("@", "{}"), TWO,
                     True, False, id="an argument of another action"),
        pytest.param(say(ONE).replace('"Mill"', '"mill"'), ONE, False, False, id="case of a value"),
        pytest.param(say(ONE).replace("7", '"7"'), ONE, False, False, id="a number as text"),
        pytest.param(say(ONE).replace("7", "7.0"), ONE, True, True, id="an equal number of another type"),
        pytest.param(say([*ONE, *ONE]), ONE, False, False, id="an action twice"),
        pytest.param(say(ONE).replace("{", "```json\n{"), ONE, False, False, id="JSON in a code fence"),
        pytest.param(say(ONE).replace("Action:", "**Action:**"), ONE, False, False, id="bold markers"),
        pytest.param(say(ONE).replace('"Mill"', "'Mill'"), ONE, False, False, id="JSON that does not parse"),
        pytest.param(say(ONE).replace(", ", ",\n  "), ONE, True, True, id="JSON over several lines"),
        pytest.param(say(NESTED), NESTED, False, True, id="a nested object"),
        pytest.param(say(OPTIONAL), OPTIONAL, False, True, id="a gold name outside the pattern"),
        pytest.param("", ONE, False, False, id="nothing"),
    ],
)  # fmt: skip
def test_behaviour(response, golden, official, strict):
    assert score(response, golden) is official
    assert score(response, golden, "strict") is strict


def test_everything_on_one_line_is_read_too():
    assert score(say(TWO).replace("\n", " "), TWO)
    assert score(say(TWO).replace("\n", " "), TWO, "strict")


def test_gold_arguments_may_be_objects():
    golden = [{**step, "Action_Input": json.loads(step["Action_Input"])} for step in TWO]
    assert score(say(TWO), golden)
    assert score(say(TWO), golden, "strict")


def test_only_failures_by_action_none_are_counted_as_such():
    assert failed_by_none(say(ONE) + "\nAction: None", ONE)
    assert not failed_by_none(say(ONE), ONE)
    assert not failed_by_none(say(TWO) + "\nAction: None", ONE)


@pytest.mark.parametrize("rule", ["official", "strict"])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_brackets_without_end_are_a_wrong_answer(rule, opening):
    response = "Action: findBus\nAction Input: " + opening * 100_000
    assert not score(response, ONE, rule)


def test_an_unknown_rule_is_refused():
    with pytest.raises(SdftError, match="did you mean 'strict'"):
        score(say(ONE), ONE, rule="strikt")


@pytest.mark.parametrize(("file", "rows", "right"), [("eval_97", 97, 95), ("eval_68.json", 68, 66)])
def test_the_official_sets_hold_two_items_that_no_response_can_get_right(real_data, file, rows, right):
    from sdft.tasks.tooluse import load

    records = load(real_data / "tooluse" / file)
    assert len(records) == rows
    wrong = [number for number, record in enumerate(records) if not score(say(record.answer), record.answer)]
    assert wrong == [26, 33]
    assert rows - len(wrong) == right
    assert all(score(say(record.answer), record.answer, "strict") for record in records)
    assert not any(score(say(record.answer) + "\nAction: None", record.answer) for record in records)
