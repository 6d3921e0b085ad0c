"""Where a number came from: the manifest that every result carries."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import resource
import subprocess
import sys
import time
from functools import cache
from importlib import metadata
from typing import Any

from sdft.common.files import PACKAGE, ROOT, digest

LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "lm_eval", "numpy", "scipy", "pandas", "snakemake")

# What measures share: accuracy on new tasks, prior benchmarks, samples.
ACCURACY = (
    *("records/record.py", "records/prompts.py", "records/readers.py", "records/jsonl.py", "tasks", "scoring"),
    *("evaluate/cli.py", "evaluate/generate.py", "evaluate/questions.py"),
    *("models/files.py", "evaluate/results.py", "evaluate/answers.py", "records/thinking.py"),
)
PRIOR = (
    *("evaluate/prior.py", "evaluate/sandbox.py", "evaluate/sandbox_runner.py"),
    *("miniature/benchmarks", "miniature/sandbox.py", "miniature/priors/instructions.py"),
)
SAMPLES = ("evaluate/partial.py", "evaluate/sampling.py")
# What turns scores into evidence: outcomes, statistics, claims and the studies.
EVIDENCE = (
    *(
        "evidence/names.py",
        "evidence/published.py",
        "evidence/published.yaml",
        "statistics.py",
        "evidence/outcomes.py",
        "evidence/quantities.py",
    ),
    *("evidence/claims.py", "evidence/comparable.py", "study/gate.py", "study/gate.yaml", "evidence/exhibits"),
)

# The modules whose logic decides a step's result. A test compares each list with the step's real import closure.
TRAIN = (
    "records/record.py",
    "records/prompts.py",
    "divergence.py",
    "losses/encoding.py",
    "models/files.py",
    "methods",
    "learning/optimization.py",
    "learning/processes.py",
    "learning/spec.py",
    "learning/engines.py",
    "learning/fixed_samples.py",
    "learning/sharding.py",
    "learning/snapshots.py",
    "losses/estimators.py",
    "teacher.py",
    "records/thinking.py",
    "learning/loop.py",
    "learning/vllm.py",
)
STEPS: dict[str, tuple[str, ...]] = {
    "data": ("miniature", "records/prompts.py", "records/record.py"),
    "official": (
        *("data/prepare.py", "data/fetch.py", "records/readers.py", "records/record.py", "data/splits.py"),
        *("records/jsonl.py", "tasks", "scoring", "data/general.py", "data/invented.py"),
    ),
    "knowledge": (
        *("data/knowledge/make.py", "data/knowledge/articles.py", "data/knowledge/questions.py", "common/endpoint.py"),
        *("data/fetch.py", "records/record.py", "data/splits.py", "data/invented.py"),
    ),
    "base": ("miniature", "records/prompts.py", "records/record.py"),
    "train": TRAIN,
    "sweep": (*TRAIN, *ACCURACY, *PRIOR, "learning/candidate.py"),
    "flops": (*TRAIN, "learning/flops.py"),
    "estimators": ("divergence.py", "losses/enumerated.py", "losses/estimators.py"),
    "evaluate": (*ACCURACY, *PRIOR, "evaluate/__main__.py"),
    "passk": (*ACCURACY, *SAMPLES, "evaluate/passk.py", "statistics.py"),
    "divergence": (*ACCURACY, *SAMPLES, "evaluate/distance.py", "divergence.py", "losses/encoding.py"),
    "trajectory": (*ACCURACY, *PRIOR, "evaluate/partial.py", "evaluate/trajectory.py"),
    "judge": ("evaluate/judge.py", "common/endpoint.py", "records/thinking.py", "records/record.py"),
    "gate": ("study/gate.py", "study/gate.yaml"),
    "released": (
        *(
            "pages/released.py",
            "pages/layout.py",
            "evidence/names.py",
            "evidence/published.py",
            "evidence/published.yaml",
            "statistics.py",
            "evidence/outcomes.py",
        ),
        "records/record.py",
    ),
    "select": ("learning/select.py",),
    "tables": (*EVIDENCE, "records/record.py", "pages/layout.py", "pages/tables"),
    "figures": (*EVIDENCE, "records/record.py", "pages/layout.py", "pages/tables", "pages/figures"),
    "ledger": (*EVIDENCE, "records/record.py", "pages/tables", "pages/layout.py", "pages/ledger.py"),
    "report": (
        "pages/table5_page.py",
        "pages/results_page.py",
        "pages/layout.py",
        "evidence/names.py",
        "evidence/published.py",
        "evidence/published.yaml",
    ),
}


@cache
def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and body
            and isinstance(body[0], ast.Expr)
            and isinstance(body[0].value, ast.Constant)
            and isinstance(body[0].value.value, str)
        ):
            node.body = body[1:]
    return ast.dump(tree)


@cache
def code_digest(step: str) -> str:
    """Twelve hex digits over the code that decides a step's result, blind to comments, docstrings and layout.

    Rules put it in `params`, so that an edit of the library reruns exactly the steps it can change.
    """
    hasher = hashlib.sha256()
    for entry in STEPS[step]:
        path = PACKAGE / entry
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.suffix in (".py", ".yaml"))
        for file in files:
            text = file.read_text(encoding="utf-8")
            hasher.update(file.relative_to(PACKAGE).as_posix().encode())
            hasher.update((_without_docstrings(text) if file.suffix == ".py" else text).encode())
    return hasher.hexdigest()[:12]


@cache
def _commit() -> tuple[str | None, bool | None]:
    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=20)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    changes = git("status", "--porcelain", "--untracked-files=no") if commit else None
    return commit, None if changes is None else bool(changes)


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


class Clock:
    """Wall-clock of a step, started when it is made; gives the cost fields of a manifest."""

    def __init__(self, device: str = "cpu", devices: int = 1) -> None:
        self.start = time.time()
        self.device = device
        self.devices = devices

    def cost(self) -> dict[str, Any]:
        """Seconds of wall-clock, device-hours (wall-clock times devices) and peak memory in MiB."""
        seconds = time.time() - self.start
        kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cost = {
            "device": self.device,
            "seconds": round(seconds, 3),
            "device_hours": round(seconds * self.devices / 3600, 6),
            "peak_memory_mib": round(kilobytes / 1024, 1),
        }
        torch = sys.modules.get("torch")
        if self.device.startswith("cuda") and torch is not None:
            cost["peak_device_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        return cost


def manifest(step: str, *, clock: Clock, config: Any = None, seeds: Any = None, inputs: Any = None) -> dict[str, Any]:
    """The record of how a result was made: code, configuration, inputs, software, device and cost.

    `config` is digested, `inputs` (paths with sha256, data and model revisions) and `seeds` are kept as given.
    """
    commit, dirty = _commit()
    return {
        "step": step,
        "code": code_digest(step) if step in STEPS else None,
        "config": None if config is None else digest(config, 12),
        "commit": commit,
        "dirty": dirty,
        "inputs": inputs,
        "seeds": seeds,
        "versions": _versions(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        **clock.cost(),
    }
