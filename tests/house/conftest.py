"""A finished study in a folder of its own, which the tests here add to and edit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

OWN = ("Snakefile", "config.yaml", "config", "rules", "sdft", "notebooks", "workflow_scripts", "envs")
ITEMS = ("tables/table5/verdict.json", "figures/figure4.json", "claims/ledger.json")
GRID = {"learning_rate": [1e-3], "epochs": [1], "batch_size": [16]}
STUDY = {
    "evidence": "none",
    "notice": "A test of the wiring.",
    "incomparable": "a test of the wiring",
    "seeds": [0],
    "tasks": ["science"],
    "demonstration": "shared",
    "models": {"source": "released", "path": "released/mini", "names": ["xs-s0"]},
    "data": {
        "source": "miniature",
        "sizes": {"science": {"train": 32, "validation": 16, "test": 16}},
        "benchmark_items": 12,
        "general_prompts": 32,
    },
    "training": {"max_new_tokens": 12, "compute_dtype": "float32", "warmup_steps": 1},
    "evaluation": {"max_new_tokens": 12, "batch_size": 16, "dtype": "float32"},
    "prior": {"like_scale": "mini"},
    "arms": {"sft": {"method": "sft", "grid": GRID}, "sdft": {"method": "sdft", "grid": {**GRID, "ema_rate": [0.05]}}},
}
# Where training and measuring leave what they made; tables, figures and the ledger are only drawn from it.
MADE = ("data", "base", "sweep", "selected", "runs", "scores")


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

    def planned(self) -> list[tuple[str, str]]:
        """What a call would do, by a dry run: (rule, first output) of each job."""
        found = re.findall(
            r"^(?:local)?rule (\w+):\n(?:    (?!output).*\n)*    output: ([^,\n]+)", self.snakemake("-n"), flags=re.M
        )
        return [(rule, path.removeprefix("results/house/")) for rule, path in found]

    def remade(self) -> list[tuple[str, str]]:
        """Of what is planned, the training and measuring."""
        return [(rule, path) for rule, path in self.planned() if path.startswith(MADE)]

    def times(self) -> dict[str, int]:
        """When each file of training and measuring was written."""
        return {
            str(path.relative_to(self.results)): path.stat().st_mtime_ns
            for part in MADE
            for path in (self.results / part).rglob("*")
            if path.is_file()
        }

    def text(self, item: str) -> str:
        return (self.results / item).read_text()

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


def build(folder: Path, root: Path, make: bool = True) -> House:
    """The study in a folder of its own, finished unless told otherwise."""
    folder.mkdir(parents=True)
    for name in OWN:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(root / name, folder / name)
    (folder / "released").symlink_to(root / "released")
    (folder / "config/house.yaml").write_text(yaml.safe_dump(STUDY))
    house = House(folder)
    if make:
        house.make()
    return house


@pytest.fixture(scope="session")
def finished(tmp_path_factory, root):
    """The study, finished once for all tests, and not to be changed."""
    return build(tmp_path_factory.mktemp("house") / "repository", root)


@pytest.fixture
def house(finished, tmp_path):
    """A copy of the finished study, times of its files included, which a test may change and continue."""
    folder = tmp_path / "repository"
    shutil.copytree(finished.folder, folder, symlinks=True)
    return House(folder)
