"""The DAG as Snakemake sees it: complete, quick to build, and refusing a wrong configuration with a remedy."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from sdft.config import load_config
from sdft.study.plan import Plan

pytestmark = pytest.mark.slow


def snakemake(root, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "snakemake", "--nolock", *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def jobs(text):
    """Jobs by rule, from the table that a dry run prints."""
    return {name: int(count) for name, count in re.findall(r"^(\w+)\s+(\d+)$", text, flags=re.M)}


def test_a_dry_run_of_table_5_is_complete_and_quick(root, against_its_start):
    done, times = against_its_start("-n", "--nolock", "--forceall", "--cores", "2", "table5")
    assert done.returncode == 0, done.stderr
    counted = jobs(done.stdout + done.stderr)
    plan = Plan(load_config(root / "config.yaml"), "mini")
    candidates = len(plan.tasks) * sum(len(plan.hyperparameters(arm)) for arm in plan.arms)
    candidates *= len(plan.config.sweep_seeds_of("mini"))
    finals = len(plan.tasks) * len(plan.arms) * len(plan.seeds)
    assert counted["candidate"] == candidates
    assert counted["select"] == len(plan.tasks) * len(plan.arms)
    assert counted["train"] == sum(counted[f"evaluate_{task}"] for task in plan.tasks) == finals
    assert counted["evaluate_base"] == len(plan.bases)
    # About 500 jobs.
    assert times < 4.5


def test_building_the_dag_imports_nothing_heavy(root):
    code = (
        "import sys, runpy; sys.argv = ['snakemake', '-n', '--nolock', '--quiet', 'all', '--cores', '1', 'table5']\n"
        "try:\n    runpy.run_module('snakemake', run_name='__main__')\n"
        "except SystemExit as stop:\n"
        "    heavy = {'torch', 'transformers', 'datasets', 'lm_eval', 'scipy'} & set(sys.modules)\n"
        "    print('heavy:', sorted(heavy), 'status:', stop.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert "heavy: [] status: 0" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["sede=3", "seeds=[0,0]"], ["sede", "did you mean", "repeat"]),
        (["sweep=published"], ["scales.mini.published_recipe", "sweep: full"]),
    ],
)
def test_a_wrong_key_on_the_command_line_stops_before_the_dag(root, settings, words):
    done = snakemake(root, "-n", "--cores", "1", "table5", "--config", *settings)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_a_folder_without_the_released_models_stops_before_the_dag(root, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("scales: {mini: {models: {path: released/nowhere}}}")
    done = snakemake(root, "-n", "--cores", "1", "--configfile", str(study), "--", "table5")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert "scales.mini.models.path: released/nowhere" in said


def test_a_study_with_one_task_is_complete_and_without_a_target_all_of_it_is_forecast(root, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("scales: {mini: {tasks: [science]}}")
    done = snakemake(root, "-n", "--cores", "1", "--configfile", str(study))
    assert done.returncode == 0, done.stderr
    assert "device-hours for all" in done.stderr


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (["figure6", "table1"], "figure6, table1"),
        (["-R", "cost", "--", "table3"], "table3"),
    ],
)
def test_a_dry_run_says_what_its_own_targets_cost(root, targets, named):
    done = snakemake(root, "-n", "--quiet", "all", "--cores", "1", *targets)
    hours = float(re.search(rf"forecast: ([\d.]+) device-hours for {named} at scale mini", done.stderr)[1])
    assert hours > 0


@pytest.mark.parametrize(
    "targets",
    [
        [],
        ["claims"],
        ["results/smoke/tables/table5/table.md"],
    ],
)
def test_a_start_dearer_than_the_budget_is_refused_whatever_was_asked_for(root, tmp_path, targets):
    study = tmp_path / "study.yaml"
    study.write_text("scale: smoke\nbudget: {device_hours: 1.0e-6}\n")
    for name in ("config.yaml", "config", "notebooks", "released", "sdft", "workflow_scripts"):
        (tmp_path / name).symlink_to(root / name)
    command = [sys.executable, "-m", "snakemake", "-s", str(root / "Snakefile"), "--cores", "1"]
    command += ["--configfile", str(study), "--", *targets]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "budget.device_hours" in done.stdout + done.stderr
    assert not (tmp_path / "results/smoke/data").exists()


def test_every_target_of_the_paper_is_a_rule(root):
    done = snakemake(root, "--list-target-rules")
    assert {"all", "table5", "tables", "figure4", "figures", "report", "smoke"} <= set(done.stdout.split())
