"""The smoke target for real, in a copy of the repository: every rule of Table 5, interrupted, repeated and restyled."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from sdft.pages.archive import pack

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("smoke")]
TABLE = Path("results/smoke/tables/table5/table.csv")
REPORT = Path("results/smoke/reports/report.html")


def start(folder, *arguments):
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, status=0):
    text, _ = process.communicate(timeout=900)
    assert process.returncode == status, text[-6000:]
    return text


def rules_run(text):
    return set(re.findall(r"^(?:local)?rule (\w+):$", text, flags=re.M))


@pytest.fixture(scope="module")
def clone(tmp_path_factory, root):
    """The repository's own files, without any results."""
    folder = tmp_path_factory.mktemp("clone") / "repository"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() if listed.returncode == 0 else []
    if not names:
        pytest.skip("the tests run outside a git checkout, so the repository's files are not known")
    for name in names:
        if (root / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, folder / name)
    return folder


def test_killed_and_repeated_it_ends_with_the_report(clone):
    # Killed as by a lost terminal, while candidates train: no handler of Snakemake's runs.
    killed = start(clone, "smoke")
    for _ in range(1200):
        if any(clone.glob("results/smoke/sweep/*/*/*/run.json")):
            break
        assert killed.poll() is None, killed.stdout.read()
        time.sleep(0.25)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    text = finish(start(clone, "smoke"))
    assert "Missing" not in text.rsplit("Complete log", 1)[-1]
    assert (clone / REPORT).stat().st_size > 10_000
    assert {"candidate", "select", "train", "evaluate_science", "table", "figure", "render_report"} <= rules_run(text)


def test_a_second_call_does_nothing_even_after_a_comment_in_the_library(clone):
    path = clone / "sdft/divergence.py"
    path.write_text(path.read_text() + "\n# A remark.\n")
    assert "Nothing to be done" in finish(start(clone, "smoke"))


def test_a_change_of_style_redraws_and_nothing_else(clone):
    style = clone / "sdft/pages/figures.mplstyle"
    style.write_text(style.read_text() + "\naxes.linewidth: 1.3\n")
    text = finish(start(clone, "smoke"))
    assert rules_run(text) == {"figure", "render_report", "smoke"}


def test_a_killed_job_fails_the_run_and_the_next_one_ends_with_the_same_bits(clone):
    (killed,) = clone.glob("results/smoke/runs/table5/science-sft-*/model.json")
    (other,) = clone.glob("results/smoke/runs/table5/science-sdft-*/model.json")
    table = (clone / TABLE).read_bytes()
    weights = [next(model.parent.glob("weights/*.safetensors")) for model in (killed, other)]
    before = [path.read_bytes() for path in weights]
    for model in (killed, other):
        shutil.rmtree(model.parent)
    process = start(clone, str(killed.relative_to(clone)))
    victim = None
    for _ in range(1200):
        found = subprocess.run(
            ["pgrep", "-f", f"sdft.train .*--run {killed.parent.relative_to(clone)}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.stdout:
            victim = int(found.stdout.split()[-1])
            break
        assert process.poll() is None
        time.sleep(0.1)
    os.kill(victim, signal.SIGKILL)
    finish(process, status=1)
    assert not killed.exists()
    finish(start(clone, str(killed.relative_to(clone)), str(other.relative_to(clone))))
    assert [path.read_bytes() for path in weights] == before
    finish(start(clone, "smoke"))
    assert (clone / TABLE).read_bytes() == table


def test_pages_are_made_again_from_the_archive_of_what_was_measured(clone, tmp_path):
    table, results = (clone / TABLE).read_bytes(), clone / "results/smoke"
    archives = [tmp_path / "one.tar.xz", tmp_path / "two.tar.xz"]
    for archive in archives:
        assert pack(results, archive) > 10
    assert archives[0].read_bytes() == archives[1].read_bytes()
    results.rename(tmp_path / "whole")
    try:
        with tarfile.open(archives[0]) as archive:
            archive.extractall(clone / "results", filter="data")
        text = finish(start(clone, "smoke", "--config", "partial=true"))
        assert not {"train", "candidate", "evaluate_science"} & rules_run(text)
        assert (clone / TABLE).read_bytes() == table
        assert (clone / REPORT).is_file()
    finally:
        shutil.rmtree(results)
        (tmp_path / "whole").rename(results)


def test_a_sweep_by_halving_trains_the_better_candidates_to_the_end(clone):
    chosen = "results/smoke/selected/science/sdft.json"
    whole = {row["run"]: row for row in json.loads((clone / chosen).read_text())["ranking"]}
    text = finish(start(clone, "--config", "sweep=halving", "--", chosen))
    assert {"rung", "promote", "candidate", "select"} <= rules_run(text)
    first, second = json.loads((clone / chosen).read_text())["ranking"]
    assert first["validation"] == whole[first["run"]]["validation"]
    assert 0 < second["stopped"]["steps"] < second["stopped"]["of"]
