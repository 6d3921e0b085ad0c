"""A finished study in a folder of its own, which the tests here add to: two methods, one task, one local model."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

OWN = ("Snakefile", "config.yaml", "config", "rules", "sdft", "notebooks", "workflow_scripts")
ITEMS = ("tables/table5/verdict.json", "figures/figure4.json", "claims/ledger.json")
GRID = {"learning_rate": [1e-3], "epochs": [1], "batch_size": [8]}
STUDY = {
    "evidence": "none",
    "notice": "A test of the wiring.",
    "incomparable": "a test of the wiring",
    "seeds": [0],
    "tasks": ["science"],
    "demonstration": "expert",
    "models": {"source": "hub", "names": ["first"], "sources": {"first": {"path": "models/first"}}},
    "data": {
        "source": "official",
        "tasks": {"science": {"train": {"path": "rows/science.jsonl"}, "test": {"path": "rows/science-test.jsonl"}}},
    },
    "training": {"max_new_tokens": 4, "compute_dtype": "float32", "warmup_steps": 1},
    "evaluation": {"max_new_tokens": 4, "batch_size": 8, "dtype": "float32"},
    "prior": {"like_scale": "rehearsal"},
    "arms": {"sft": {"method": "sft", "grid": GRID}, "sdft": {"method": "sdft", "grid": {**GRID, "ema_rate": [0.05]}}},
}


class House:
    """A copy of the repository's code with the study `house`, and what Snakemake says of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results/house"

    def snakemake(self, *arguments: str, status: int = 0) -> str:
        command = [sys.executable, "-m", "snakemake", "--nolock", "--cores", "2", "--config", "scale=house"]
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": ""}
        targets = [str(self.results.relative_to(self.folder) / item) for item in ITEMS]
        done = subprocess.run(
            [*command, *arguments, "--", *targets],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout[-6000:]
        return done.stdout

    def make(self) -> None:
        self.snakemake()

    def planned(self) -> list[str]:
        """The files that a call would make, by a dry run; each is named after what it belongs to."""
        return re.findall(r"^    output: (.*?)(?:,|$)", self.snakemake("-n"), flags=re.M)

    def planned_rules(self) -> set[str]:
        """Rules of which a call would run jobs."""
        return set(re.findall(r"^(?:local)?rule (\w+):$", self.snakemake("-n"), flags=re.M))

    def configure(self, change) -> None:
        """Let `change` alter the values of the study."""
        path = self.folder / "config/house.yaml"
        values = yaml.safe_load(path.read_text())
        change(values)
        path.write_text(yaml.safe_dump(values))

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace a text that stands once in a file of the code."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, (path, old, text.count(old))
        (self.folder / path).write_text(text.replace(old, new))

    def runs(self) -> set[str]:
        """Names of all trained runs and candidates."""
        return {path.parent.name for path in self.results.rglob("run.json")}


def write_rows(path: Path, count: int, offset: int) -> None:
    """Science questions in the form of sdft/records/jsonl.py."""
    import json

    rows = [
        {"prompt": f"Question w{n} ?", "demonstration": f"w{n} so <answer>A</answer>", "answer": "A"}
        for n in range(offset, offset + count)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, root):
    """The study, finished once for all tests, and not to be changed."""
    from sdft.models.hub import invent_tokenizer
    from sdft.models.random_weights import make

    folder = tmp_path_factory.mktemp("house") / "repository"
    for name in OWN:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(root / name, folder / name)
    (folder / "released").symlink_to(root / "released")
    write_rows(folder / "rows/science.jsonl", 24, 0)
    write_rows(folder / "rows/science-test.jsonl", 8, 100)
    invent_tokenizer(folder / "models/tokenizer")
    make("qwen2", folder / "models/tokenizer", folder / "models/first")
    (folder / "config/house.yaml").write_text(yaml.safe_dump(STUDY))
    house = House(folder)
    house.make()
    return house


@pytest.fixture
def house(finished, tmp_path):
    """A copy of the finished study, times included, which a test may change and continue."""
    folder = tmp_path / "repository"
    shutil.copytree(finished.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("log", "*.log"))
    return House(folder)
