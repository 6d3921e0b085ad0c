"""The paragraph that a failed step leaves in its log reaches whoever ran Snakemake."""

from __future__ import annotations

import subprocess
import sys

import pytest

STEP = """from sdft.common.errors import SdftError, run_main
def main():
    print("a step's own words")
    raise SdftError("rows.jsonl:7: the line is not valid JSON; restore the file.")
run_main(main)
"""
WORKFLOW = """import sys
sys.path.insert(0, "{root}")
from workflow_scripts.failures import read_failures
include: "{root}/rules/errors.smk"
rule all:
    input: "1.txt", "2.txt", "3.txt"
rule torn:
    output: "{{name,[12]}}.txt"
    log: "logs/{{name}}.log"
    shell: "PYTHONPATH={root} {python} step.py > {{log}} 2>&1"
rule silent:
    output: "3.txt"
    log: "logs/3.log"
    shell: "false 2> {{log}}"
"""


@pytest.mark.slow
def test_each_error_is_said_once_with_the_log_that_holds_it(root, tmp_path):
    (tmp_path / "step.py").write_text(STEP)
    (tmp_path / "Snakefile").write_text(WORKFLOW.format(root=root, python=sys.executable))
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    said = done.stderr.rsplit("Exiting because", 1)[1]
    assert said.count("error: rows.jsonl:7: the line is not valid JSON; restore the file.") == 1
    assert "(rule torn, logs/" in said
    assert "a step's own words" not in said
