"""What rests on Snakemake's internals: a start after a kill, the scheduler's pauses, and the cost of what will run."""

from __future__ import annotations

import gc
import subprocess
import sys
from types import SimpleNamespace

import pytest
from snakemake.output_index import OutputIndex

from workflow_scripts import internals


@pytest.mark.slow
def test_marks_of_a_killed_run_go_and_those_of_a_running_one_stay(tmp_path):
    def mark():
        for name in ("locks/0.input.lock", "incomplete/x"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()

    mark()
    running = internals.recover(tmp_path)
    assert not any(tmp_path.glob("locks/*"))
    assert not any(tmp_path.glob("incomplete/*"))
    mark()
    start(tmp_path)
    assert any(tmp_path.glob("locks/*"))
    assert any(tmp_path.glob("incomplete/*"))
    running.close()
    start(tmp_path)
    assert not any(tmp_path.glob("locks/*"))


def start(state, dryrun=False):
    code = (
        "import sys, pathlib, workflow_scripts.internals as it\n"
        "it.recover(pathlib.Path(sys.argv[1]), len(sys.argv) > 2)"
    )
    return subprocess.run(
        [sys.executable, "-c", code, str(state), *["-n"] * dryrun], capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_marks_stay_while_any_of_several_runs_whoever_started_first(tmp_path):
    first, second = internals.recover(tmp_path), internals.recover(tmp_path)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0.input.lock").touch()
    first.close()
    assert start(tmp_path).returncode == 0
    assert any(tmp_path.glob("locks/*"))
    second.close()
    assert start(tmp_path).returncode == 0
    assert not any(tmp_path.glob("locks/*"))


SNAKEFILE = """import sys
sys.path.insert(0, "{root}")
include: "{root}/rules/recovery.smk"
rule made:
    output: "made.txt"
    shell: "touch {{output}}"
"""


@pytest.mark.slow
def test_snakemake_is_known_to_run_dry_while_it_reads_the_rules(root, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=root))
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    for name in ("locks/0.output.lock", "incomplete/x"):
        (tmp_path / ".snakemake" / name).parent.mkdir(parents=True)
        (tmp_path / ".snakemake" / name).write_text(str(tmp_path / "made.txt"))
    done = subprocess.run([*command, "-n", "made"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / ".snakemake/locks/0.output.lock").exists()
    assert not (tmp_path / ".snakemake/running").exists()


@pytest.mark.slow
def test_a_folder_that_snakemake_may_not_write_to_is_refused_in_a_paragraph(root, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=root))
    (tmp_path / ".snakemake").write_text("a file")
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "made"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert ".snakemake: File exists: a folder stands where a file belongs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_touches_nothing(tmp_path):
    for name in ("locks/0.input.lock", "incomplete/x"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    before = sorted(tmp_path.rglob("*"))
    assert start(tmp_path, dryrun=True).returncode == 0
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_marks_of_another_machine_are_not_cleared_and_the_remedy_works(tmp_path):
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/0.input.lock").touch()
    (tmp_path / "running").write_text("process 7 on host elsewhere since 2026-01-01T00:00:00Z\n")
    refused = start(tmp_path)
    assert f"delete {tmp_path}/running" in refused.stderr
    assert any(tmp_path.glob("locks/*"))
    (tmp_path / "running").unlink()
    assert start(tmp_path).returncode == 0
    assert not any(tmp_path.glob("locks/*"))
    # Who ended in order leaves no line that a later start on another machine would have to ask about.
    assert (tmp_path / "running").read_text() == ""


@pytest.mark.parametrize(("limit", "left"), [((100, 1), False), ((5, 60), True)])
def test_only_the_usual_limit_of_jobs_a_second_is_lifted(limit, left):
    scheduler = SimpleNamespace(job_rate_limiter=SimpleNamespace(max_jobs=limit[0], timespan=limit[1]))
    internals.ease_scheduling(scheduler)
    assert (scheduler.job_rate_limiter is not None) == left


class Copying:
    """A rule that makes results/{x}.txt, as far as Snakemake's index of outputs looks at it."""

    def __init__(self):
        self.asked = []

    def products(self):
        return [SimpleNamespace(constant_prefix=lambda: "results/", constant_suffix=lambda: ".txt")]

    def is_producer(self, file):
        self.asked.append(str(file))
        return True


def test_the_rules_that_make_a_file_are_looked_for_once(monkeypatch):
    monkeypatch.setattr(OutputIndex, "match_producers", OutputIndex.match_producers)
    before = gc.get_threshold()
    try:
        # A Snakefile may be read twice in a process.
        internals.build_quickly()
        internals.build_quickly()
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
    rule, other = Copying(), Copying()
    for _ in range(3):
        index = OutputIndex([rule])
        for _ in range(2):
            assert index.match_producers("results/a.txt") == {rule}
            assert index.match_producers("results/a.csv") == set()
    assert rule.asked == ["results/a.txt"] * 3
    assert OutputIndex([rule, other]).match_producers("results/a.txt") == {rule, other}


@pytest.mark.parametrize(("version", "said"), [("9.20.1", False), ("9.27.4", False), ("9.28.0", True), ("10.0", True)])
def test_a_version_that_was_not_tested_is_named(version, said, capsys):
    internals.say_untested(version)
    assert (version in capsys.readouterr().err) == said


def test_a_target_that_is_neither_a_rule_nor_a_path_is_answered_with_the_nearest_rule(capsys):
    rules = [SimpleNamespace(name=name, has_wildcards=lambda: False) for name in ("table5", "all")]
    asked = ["tabel5", "all", "results/x.json", "tests"]
    internals.say_nearest(SimpleNamespace(rules=rules, dag_settings=SimpleNamespace(targets=asked)))
    said = capsys.readouterr().err
    assert "no target 'tabel5'; did you mean 'table5'?" in said
    assert said.count("there is no target") == 1
    internals.say_nearest(SimpleNamespace(rules=rules))
