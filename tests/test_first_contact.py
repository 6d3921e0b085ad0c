"""The script for the first GPU works on a CPU, without the packages that GPU machines lack, and outlives its checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.contact import CHECKS, Check  # noqa: E402
from benchmarks.first_contact import Record, supervise  # noqa: E402

BLOCKER = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pydantic", "datasets", "lm_eval", "snakemake"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.slow
def test_every_check_passes_at_tiny_size_without_the_packages_that_gpu_machines_lack(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER)
    out = tmp_path / "contact.json"
    command = [sys.executable, "benchmarks/first_contact.py", "--tiny", "--out", str(out)]
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    text = out.read_text()
    found = {entry["name"]: entry for entry in json.loads(text)["verdicts"]}
    assert all(set(entry) == {"name", "expected", "measured", "verdict", "seconds"} for entry in found.values())
    assert {name.partition(".")[0] for name in found} == {check.name for check in CHECKS}
    assert {name for name, entry in found.items() if entry["verdict"] == "SKIPPED"} >= {"loop"}
    assert "pydantic" in found["loop"]["expected"]
    assert all(entry["verdict"] in ("PASS", "RECORDED", "SKIPPED") for entry in found.values())
    # A verdict is a line, so that a record can be read and compared by eye.
    assert sum(line.startswith('{"name"') for line in text.splitlines()) == len(found)


@pytest.mark.slow
def test_the_loop_trains_and_continues_after_a_signal(tmp_path):
    from benchmarks.contact.bench import PAPER, Bench
    from benchmarks.contact.files import loop
    from sdft.config import load_config
    from sdft.study.plan import Plan

    assert all(verdict.good is not False for verdict in loop(Bench(True, tmp_path)))
    # The arithmetic of the script is that of Table 5.
    plan = Plan(load_config(ROOT / "config.yaml"), "paper")
    settings = plan.config.settings_of("paper", "sdft").model_dump()
    assert {name: settings[name] for name in PAPER} == PAPER


@pytest.mark.parametrize(("gives", "good"), [("raise SdftError('promised 1 GPU')", True), ("return None", False)])
def test_a_job_that_works_on_without_its_gpu_is_found(tmp_path, monkeypatch, gives, good):
    from benchmarks.contact import hardware

    # The step in the child process, with the refusal and without it.
    code = f"from sdft.common.errors import SdftError, run_main\ndef require():\n    {gives}\nrun_main(require)\n"
    monkeypatch.setattr(hardware, "PROMISED", code)
    (verdict,) = hardware.refusal(SimpleNamespace(tiny=True))
    assert verdict.good == good


def act(sender, names, tiny, folder):
    """Checks that end, crash, hang or say nothing, by their names."""
    for name in names:
        sender.send(("begin", name))
        if name == "crashes":
            os._exit(3)
        if name == "hangs":
            time.sleep(60)
        sender.send(("verdict", (f"{name}.one", "to be sent", 1, "PASS", 0.0)))
        sender.send(("end", name))


@pytest.mark.slow
def test_a_check_that_crashes_or_hangs_costs_only_itself(tmp_path):
    record = Record(tmp_path / "record.json", {})
    # Without a share of the time of its own, a check that is silent is too late at once.
    checks = [Check(name, "none", 0 if name == "hangs" else 9) for name in ("first", "hangs", "crashes", "last")]
    supervise(checks, record, True, 5, act)
    found = {entry["name"]: entry["verdict"] for entry in json.loads(record.path.read_text())["verdicts"]}
    assert found == {"first.one": "PASS", "hangs": "TIMEOUT", "crashes": "CRASHED", "last.one": "PASS"}


def test_the_record_names_what_was_not_run_when_the_time_is_over(tmp_path):
    record = Record(tmp_path / "record.json", {})
    supervise([Check(name, "none", 9) for name in ("first", "last")], record, True, 0, act)
    found = {entry["name"]: entry["verdict"] for entry in json.loads(record.path.read_text())["verdicts"]}
    assert found == {"first": "TIMEOUT", "last": "NOT RUN"}
