"""The environments of the roles pin what the lock file pins, and every rule names one of them."""

from __future__ import annotations

import re

import pytest
import yaml


def pins(root, file="requirements.txt"):
    """Versions by package, without extras, systems and hashes; a package and its extras have one version."""
    pinned = r"^([\w.-]+)(?:\[[\w, -]+\])?==([^\s;\\]+)"
    return dict(re.findall(pinned, (root / file).read_text(), flags=re.M))


@pytest.mark.parametrize("role", ["workflow", "train", "evaluate", "analysis"])
def test_a_role_pins_the_locked_versions(root, role):
    locked = pins(root)
    entries = yaml.safe_load((root / f"envs/{role}.yaml").read_text())["dependencies"]
    (wanted,) = [entry["pip"] for entry in entries if isinstance(entry, dict)]
    assert wanted
    for line in wanted:
        name, version = line.split("==")
        assert locked.get(name) == version, name


def test_the_environment_with_vllm_is_that_of_a_training_but_for_the_numpy_that_it_accepts(root):
    def wanted(role):
        return dict(
            line.split("==")
            for line in yaml.safe_load((root / f"envs/{role}.yaml").read_text())["dependencies"][-1]["pip"]
        )

    ours, train = wanted("vllm"), wanted("train")
    assert ours.keys() - train.keys() == {"vllm"}
    assert {name for name in train if ours[name] != train[name]} == {"numpy"}


def test_the_lock_has_exact_versions_only(root):
    assert all(re.fullmatch(r"[0-9][0-9a-zA-Z.]*", version) for version in pins(root).values())


def test_the_hashed_lock_has_the_versions_of_the_plain_one(root):
    plain, packages = pins(root), pins(root, "locks/packages.lock")
    as_named = lambda names: {re.sub("[-_.]+", "-", name).lower(): version for name, version in names.items()}  # noqa: E731
    torch = plain.pop("torch")
    assert as_named(plain) == as_named(packages)
    text = (root / "locks/packages.lock").read_text()
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", text))
    for file in ("cpu.lock", "cuda.lock"):
        versions = set(re.findall(r"^torch==([^\s;]+)", (root / "locks" / file).read_text(), flags=re.M))
        assert versions <= {torch, f"{torch}+cpu"}
        assert versions
    assert as_named(pins(root, "locks/cuda.txt")) == as_named(pins(root, "locks/cuda.lock"))


def rules(root):
    """The text of every rule by its name, and of a `use rule` the name of the rule that it varies."""
    found = {}
    heads = r"^ *(?:rule|checkpoint) (\w+):|^ *use rule (\w+) as (\w+) with:"
    for path in (root / "rules").glob("*.smk"):
        text = path.read_text()
        starts = list(re.finditer(heads, text, flags=re.M))
        for start, following in zip(starts, [*starts, None][1:], strict=True):
            plain, varied, name = start.groups()
            found[plain or name] = (text[start.end() : following and following.start()], varied)
    return found


def test_every_rule_that_runs_a_step_names_an_environment_and_a_log_of_its_own(root):
    found = rules(root)
    assert sum(varied is not None for _, varied in found.values()) >= 2
    for name, (text, varied) in found.items():
        if varied:
            assert varied in found, name
            assert "output:" in text, name
            assert "log:" in text, name
        elif "shell:" in text:
            assert re.search(r'conda:\s+"\.\./envs/\w+\.yaml"', text), name
            assert "log:" in text, name
