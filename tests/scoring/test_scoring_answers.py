"""The scorers of science, medical and knowledge, and the dispatch by task."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sdft.common.errors import SdftError
from sdft.records.record import Record
from sdft.scoring import knowledge, medical, science
from sdft.tasks import score_record

QUESTION = [{"role": "user", "content": "?"}]


@pytest.mark.parametrize(
    ("response", "right"),
    [
        ("<reasoning>no</reasoning>\n<answer>\nB\n</answer>", True),
        ("<answer>B</answer> and more", True),
        ("<answer>A</answer> no: <answer>B</answer>", True),
        ("<answer>B</answer> no: <answer>A</answer>", False),
        ("<answer>B", True),
        ("B", True),
        (" B\n", True),
        ("b", False),
        ("B: ethanol", False),
        ("<answer>B: ethanol</answer>", False),
        ("The answer is B", False),
        ("<answer></answer>", False),
        ("", False),
    ],
)
def test_science_wants_exactly_the_letter(response, right):
    assert science.score(response, "B") is right


@pytest.mark.parametrize("scorer", [medical.score, knowledge.score])
@pytest.mark.parametrize(
    ("response", "answer", "right"),
    [
        ("It is most likely Crohn's disease.", "Crohn's disease", True),
        ("CROHN S DISEASE", "Crohn's disease", True),
        ("Ménière disease", "Meniere Disease", True),
        ("anaemia", "anaemia of chronic disease", False),
        ("hyperkalaemia", "kalaemia", False),
        ("the dose is 150 mg", "50 mg", False),
        ("", "gout", False),
    ],
)
def test_the_offline_judge_looks_for_whole_words(scorer, response, answer, right):
    assert scorer(response, answer) is right


def test_a_reference_without_words_is_refused():
    with pytest.raises(SdftError, match="holds no word"):
        medical.score("anything", " -- ")


def test_dispatch_by_task():
    assert score_record("science", "A", Record("a", QUESTION, answer="A")) == 1.0
    assert score_record("medical", "none", Record("a", QUESTION, answer="gout")) == 0.0
    calls = [{"Action": "go", "Action_Input": "{}"}]
    assert score_record("tooluse", "Action: go\nAction Input: {}", Record("a", QUESTION, answer=calls)) == 1.0
    with pytest.raises(SdftError, match="did you mean 'medical'"):
        score_record("medicine", "", Record("a", QUESTION, answer="gout"))
    with pytest.raises(SdftError, match="'a' has no gold answer"):
        score_record("science", "A", Record("a", QUESTION))


def test_scorers_need_neither_torch_nor_transformers():
    # In a process of its own, since other tests define tasks.
    check = (
        "import sys, sdft.scoring, sdft.records.record; from sdft.tasks import task_names; print(*task_names()); "
        "sys.exit(bool({'torch', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stdout.split() == ["knowledge", "medical", "science", "tooluse"]
