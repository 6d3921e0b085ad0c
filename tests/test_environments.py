"""The environments of the roles pin what the lock file pins, and every rule names one of them."""

from __future__ import annotations

import re

import pytest
import yaml


def pins(root):
    lines = (root / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("role", ["workflow", "train", "evaluate", "analysis"])
def test_a_role_pins_the_locked_versions(root, role):
    locked = pins(root)
    entries = yaml.safe_load((root / f"envs/{role}.yaml").read_text())["dependencies"]
    (wanted,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert wanted
    for line in wanted:
        name, version = line.split("==")
        assert locked.get(name) == version, name


def test_the_lock_has_exact_versions_only(root):
    assert all(re.fullmatch(r"[0-9][0-9a-zA-Z.]*", version) for version in pins(root).values())


def test_every_rule_that_runs_a_step_names_an_environment_and_a_log(root):
    for path in (root / "rules").glob("*.smk"):
        for rule in re.split(r"^(?:rule|checkpoint) ", path.read_text(), flags=re.M)[1:]:
            if "shell:" in rule:
                assert re.search(r'conda:\s+"\.\./envs/\w+\.yaml"', rule), rule.split(":")[0]
                assert "log:" in rule, rule.split(":")[0]
