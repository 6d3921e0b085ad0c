"""A base row that is off names the likely mistake; one that is right passes."""

from __future__ import annotations

import json

import pytest

from sdft.evidence.published import lookup
from sdft.study.gate import check, gates, main

MODEL = "Qwen2.5-7B-Instruct"


@pytest.mark.parametrize(
    ("benchmark", "percent", "n"),
    [
        ("science", 100 * 163 / 507, 507),
        ("science", 100 * 169 / 507, 507),
        ("tooluse", 100 * 41 / 97, 97),
        ("humaneval", 100 * 108 / 164, 164),
        ("humaneval", 100 * 102 / 164, 164),
        ("hellaswag", 62.0, None),
        ("ifeval", 74.3, None),
        ("mmlu", 71.73, None),
        ("truthfulqa", 47.86, None),
        ("winogrande", 70.96, None),
    ],
)
def test_independent_readings_under_the_authors_protocol_pass(benchmark, percent, n):
    assert check(MODEL, benchmark, percent, n).passed


@pytest.mark.parametrize(
    ("benchmark", "percent", "n", "words"),
    [
        ("hellaswag", 80.47, None, ["acc_norm", "80.5"]),
        ("ifeval", 56.2, None, ["prompt_level_strict"]),
        ("truthfulqa", 64.8, None, ["mc2"]),
        ("winogrande", 60.3, None, ["chat template"]),
        ("tooluse", 41.5, 68, ["68 items", "97"]),
        ("tooluse", 53.0, 97, ["68 rows"]),
        ("humaneval", 0.0, 164, ["programs"]),
        ("mmlu", 20.0, None, ["no known mistake"]),
    ],
)
def test_a_wrong_key_or_version_is_recognised(benchmark, percent, n, words):
    found = check(MODEL, benchmark, percent, n)
    assert not found.passed
    assert found.key
    for word in words:
        assert word in found.cause


def test_the_paper_s_own_base_row_passes_where_it_is_gated():
    for benchmark in gates()[MODEL]["benchmarks"]:
        row, column = (benchmark, "new_task") if benchmark in ("science", "tooluse") else ("science", benchmark)
        printed = lookup("table5", row, "base", column).value
        if benchmark == "tooluse":
            # The paper's 42.9 is no count out of 97, which is why the set is in question.
            assert not check(MODEL, benchmark, printed).passed
        else:
            assert check(MODEL, benchmark, printed).passed


def test_a_benchmark_without_a_band_is_not_gated():
    assert check(MODEL, "medical", 30.1) is None
    assert check("another model", "mmlu", 71.7) is None


def test_the_command_records_every_check_and_leaves_other_models_alone(tmp_path):
    scores = tmp_path / "Qwen2.5-7B-Instruct"
    scores.mkdir()
    for name, value in (("mmlu", 0.717), ("hellaswag", 0.805)):
        (scores / f"{name}.json").write_text(json.dumps({"value": value, "n": 10}))
    main(["--scores", str(scores), "--out", str(tmp_path / "gate.json")])
    found = json.loads((tmp_path / "gate.json").read_text())
    assert not found["passed"]
    assert {entry["benchmark"]: entry["passed"] for entry in found["checks"]} == {"mmlu": True, "hellaswag": False}
    main(["--scores", str(scores), "--model", "random-qwen2", "--out", str(tmp_path / "other.json")])
    other = json.loads((tmp_path / "other.json").read_text())
    assert (other["gated"], other["passed"], other["checks"]) == (False, True, [])
