"""Generated programs do no harm, and are judged as the benchmark's own metric judges them."""

from __future__ import annotations

import gzip
import json

import pytest

from sdft.common import cage
from sdft.common.cage import CageError
from sdft.common.errors import SdftError
from sdft.evaluate import sandbox
from sdft.evaluate.sandbox import CodeEval, install, run_program

MODES = [
    pytest.param(
        "sandbox", marks=pytest.mark.skipif(not sandbox.available(), reason="no user namespaces on this machine")
    ),
    "bare",
]


@pytest.mark.parametrize("mode", MODES)
def test_a_program_passes_exactly_when_it_runs_to_its_end(mode):
    assert run_program("assert 1 + 1 == 2", mode) == "passed"
    assert run_program("assert 1 + 1 == 3", mode).startswith("failed: AssertionError")
    assert run_program("def f(:", mode).startswith("failed: SyntaxError")
    for early in ("raise SystemExit(0)", "import os; os._exit(0)", "import sys; sys.exit()"):
        assert run_program(early, mode).startswith("failed")


def test_without_a_sandbox_programs_are_refused_unless_told(monkeypatch):
    why = cage.why_not
    monkeypatch.setattr(
        cage, "why_not", lambda mode="sandbox": f"none here. {cage.REMEDY}" if mode == "sandbox" else why(mode)
    )
    with pytest.raises(SdftError, match="generated_code: bare"):
        run_program("pass")
    assert run_program("pass", "bare") == "passed"
    with pytest.raises(SdftError, match="'sandbox'"):
        run_program("pass", "sandbx")


def test_a_cage_that_fails_stops_the_benchmark_and_gives_no_score(monkeypatch):
    def broken(*arguments, **options):
        raise CageError("no memory")

    monkeypatch.setattr(cage, "run", broken)
    with pytest.raises(CageError):
        CodeEval("bare").compute(["assert f() == 1"], [["def f(): return 1"]], k=[1])


def test_each_problem_s_programs_are_counted_and_a_k_with_too_few_of_them_is_left_out():
    good, bad = "def f(): return 1", "def f(): return 2"
    values, outcomes = CodeEval("bare").compute(["assert f() == 1"] * 2, [[good, bad], [bad, bad]], k=[1, 2, 3])
    assert values == {"pass@1": 0.25, "pass@2": 0.5}
    assert [result == "passed" for result in outcomes[0]] == [True, False]


def test_it_stands_in_for_the_metric_that_lm_eval_asks_for():
    import evaluate

    install("bare")
    install("bare")
    metric = evaluate.load("code_eval")
    assert metric.compute(references=["assert f(2) == 4"], predictions=[["def f(x): return 2 * x"]], k=[1])[0] == {
        "pass@1": 1.0
    }


@pytest.mark.slow
def test_every_reference_solution_of_humaneval_passes_and_no_empty_one(real_data):
    with gzip.open(real_data / "benchmarks/humaneval/HumanEval.jsonl.gz", "rt") as handle:
        problems = [json.loads(line) for line in handle]
    mode = "sandbox" if sandbox.available() else "bare"
    tests = [f"{problem['test']}\ncheck({problem['entry_point']})" for problem in problems]
    solutions = [[problem["prompt"] + problem["canonical_solution"], problem["prompt"]] for problem in problems]
    _, outcomes = CodeEval(mode).compute(tests, solutions, k=[1], timeout=10.0)
    assert [number for number, (full, _) in outcomes.items() if full != "passed"] == []
    assert all(empty != "passed" for _, empty in outcomes.values())
