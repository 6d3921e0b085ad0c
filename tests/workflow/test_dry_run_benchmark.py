"""The benchmark of dry runs reads a dry run, and its floor has the same jobs without any code of the project."""

from __future__ import annotations

import pytest

from sdft.common.files import read_json

LISTING = """Job stats:
total  2

[Sat Nov 28 21:53:06 2026]
rule evaluate:
    input: data/a.json, made/b.json
    output: scores/a.json, scores/b.json
    jobid: 1
    reason: Missing output files: scores/a.json
    resources: tmpdir=/tmp, gpu=1, runtime=60, disk_mb=<TBD>, slurm_extra=--signal=TERM@60
Shell command: python -m one
and more

[Sat Nov 28 21:53:06 2026]
localrule all:
    input: scores/a.json
    jobid: 0
    resources: tmpdir=/tmp
Shell command: None
Job stats:
total  2
"""


@pytest.fixture
def dry_run(root, monkeypatch):
    monkeypatch.syspath_prepend(root)
    from benchmarks import dry_run

    return dry_run


def test_jobs_are_read_with_all_that_snakemake_looks_at(dry_run):
    first, last = dry_run.read_jobs(LISTING)
    assert first["rule"] == "evaluate"
    assert first["input"] == ["data/a.json", "made/b.json"]
    assert first["output"] == ["scores/a.json", "scores/b.json"]
    assert first["resources"] == {"gpu": 1, "runtime": 60, "slurm_extra": "--signal=TERM@60"}
    assert first["told"] == len("python -m one\nand more\n\n")
    assert (last["rule"], last["input"], last["output"]) == ("all", ["scores/a.json"], [])


@pytest.mark.slow
def test_the_floor_has_the_same_jobs(dry_run, tmp_path):
    jobs = dry_run.read_jobs(LISTING)
    target = dry_run.write_floor(tmp_path, jobs, 5)
    taken, listing = dry_run.seconds(tmp_path, "--cores", "1", "-n", target, "--printshellcmds")
    assert taken > 0
    found = dry_run.read_jobs(listing)
    assert [[job["rule"], len(job["input"]), len(job["output"])] for job in found] == [
        ["evaluate", 2, 2],
        ["all", 1, 0],
    ]
    assert found[0]["resources"] == jobs[0]["resources"]
    text = (tmp_path / "Snakefile").read_text()
    assert text.count("\nrule ") == 5
    assert "sdft" not in text


@pytest.mark.slow
def test_the_record_has_both_commands_beside_their_floors(dry_run, tmp_path):
    dry_run.main(["--rounds", "1", "--target", "gate", "--out", str(tmp_path / "f.json")])
    record = read_json(tmp_path / "f.json")
    assert set(record["dry_runs"]) == {"--cores 2 -n gate", "--profile slurm -n gate"}
    for row in record["dry_runs"].values():
        assert row["jobs"] > 1
        assert row["seconds"] > 0
        assert row["floor"] > 0
    assert record["machine"]["processor"]["model name"]
    assert record["manifest"]["versions"]["snakemake"]
