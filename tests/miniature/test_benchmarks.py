"""lm_eval loads the benchmarks, and tells right from wrong."""

from __future__ import annotations

import pytest

from sdft.common import cage
from sdft.common.cage import CageError
from sdft.miniature.benchmarks import mini_humaneval, mini_ifeval
from sdft.miniature.data import benchmark_rows
from sdft.miniature.priors import instructions
from sdft.miniature.sandbox import outputs
from sdft.miniature.world import make_world


@pytest.fixture(scope="module")
def programs():
    return benchmark_rows(make_world(), "humaneval", 150)


def test_reference_programs_pass_and_others_fail(programs):
    for row in programs:
        assert mini_humaneval.score(row, [row["reference"]]) == {"pass@1": 1.0}
    assert mini_humaneval.score(programs[0], ["return x x"]) == {"pass@1": 0.0}
    assert mini_humaneval.score(programs[0], [""]) == {"pass@1": 0.0}


@pytest.mark.parametrize(
    "body",
    [
        *(
            "while True: pass",
            "return open('/etc/passwd')",
            "import os",
            "return [0] * 10 ** 12",
            "return 9 ** 9 ** 9 ** 9",
        ),
        *(
            "return (x ,) * 9 * 9 * 9 * 9 * 9 * 9 * 9 * 9 * 9 * 9",
            "return x(x)",
            "return f(x)",
            "return x.real.y",
            "\xff",
        ),
        "return [c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0](['true'])",
    ],
)
def test_a_program_that_misbehaves_gives_nothing_and_the_next_one_runs(body):
    assert outputs(body, "x", [1]) is None
    assert outputs("return x + 1", "x", [1, 2]) == [2, 3]


def test_what_is_no_arithmetic_is_run_in_the_cage_with_the_same_result():
    for body in ("return x * 2 + 1", "return (x * 2 + 1)", "y : x\n    return x", "return x , x", "return { x }"):
        there = outputs(f"{body} # {'.' * 200}", "x", [1, 5])
        assert outputs(body, "x", [1, 5]) == there
    assert outputs("return [ x ][ 0 ]", "x", [1, 5]) == [1, 5]


def test_a_program_that_needs_the_cage_is_refused_where_there_is_none(monkeypatch):
    monkeypatch.setattr(cage, "NAMESPACES", ("--nonsense",))
    monkeypatch.setattr(cage, "_idle", [])
    assert outputs("return x + 1", "x", [1]) == [2]
    assert outputs("return x x", "x", [1]) is None
    with pytest.raises(CageError):
        outputs("return [ x ][ 0 ]", "x", [1])


def test_instructions_are_checked_strictly():
    row = {"check": {"kind": "reverse", "words": ["lamp", "stone", "river"]}}
    assert mini_ifeval.score(row, ["river stone lamp"]) == {"acc": 1.0}
    assert mini_ifeval.score(row, ["river stone lamp lamp"]) == {"acc": 0.0}
    assert instructions.obeys("lamp apple bird stone", {"kind": "ends", "words": ["lamp", "stone", "bird"]})
    assert not instructions.obeys("lamp stone", {"kind": "ends", "words": ["lamp", "stone", "bird"]})


@pytest.mark.slow
def test_lm_eval_runs_every_benchmark_on_local_rows(tmp_path):
    from sdft.evaluate.prior import evaluate_prior, shipped_protocol
    from sdft.miniature.data import write_part
    from sdft.miniature.pretrain import new_model
    from sdft.miniature.tokenizer import make_tokenizer

    write_part("benchmarks", tmp_path, 0, None, 8, 0)
    config = {**shipped_protocol("mini"), "data_dir": str(tmp_path / "benchmarks")}
    found = evaluate_prior(new_model("xs", 0), make_tokenizer(), config)
    assert {name: len(result.items) for name, result in found.items()} == dict.fromkeys(config["tasks"], 8)
    assert found["humaneval"].value == found["ifeval"].value == 0.0
