"""Invented scores with known effects: outcomes of stated probabilities, written like an evaluation writes them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

PRIOR = ("hellaswag", "humaneval", "ifeval", "mmlu", "truthfulqa", "winogrande")
METHODS = ("sft", "sft_reinvoke", "dft", "sdft")
# Chance of a right answer on the new task and, on average, on a prior benchmark.
PAPER_LIKE = {
    "base": (0.30, 0.85),
    "sft": (0.60, 0.60),
    "sft_reinvoke": (0.60, 0.74),
    "dft": (0.50, 0.75),
    "sdft": (0.80, 0.85),
}


# What the scales of config.yaml say of their numbers.
EVIDENCE = {"mini": "own", "rehearsal": "none", "smoke": "none", "paper": "paper"}


def standing(scale: str) -> dict[str, str]:
    """The fields of an exhibit that say what the numbers of a scale are worth."""
    evidence = EVIDENCE[scale]
    notice = f"{scale.capitalize()}: not evidence." if evidence == "none" else f"Numbers of scale {scale}."
    return {
        "scale": scale,
        "evidence": evidence,
        "notice": notice,
        "unlike": "" if scale == "paper" else "another world",
    }


def write_scores(folder: Path, outcomes: dict[str, np.ndarray], cost: float = 0.01) -> None:
    """One JSON a benchmark and one archive of items, as `sdft.evaluate` leaves them."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for benchmark, correct in outcomes.items():
        record = {
            "benchmark": benchmark,
            "n": len(correct),
            "metric": "acc",
            "value": float(np.mean(correct)),
            "metrics": {"acc": float(np.mean(correct))},
            "manifest": {"step": "evaluate", "what": benchmark, "device_hours": cost, "commit": "0" * 40},
        }
        (folder / f"{benchmark}.json").write_text(json.dumps(record))
        lines += [
            json.dumps({"benchmark": benchmark, "id": f"{benchmark}-{k}", "correct": float(value), "response": "x"})
            for k, value in enumerate(correct)
        ]
    with gzip.open(folder / "responses.jsonl.gz", "wt") as archive:
        archive.write("\n".join(lines) + "\n")


def make_world(
    root: Path,
    effects: dict[str, tuple[float, float]] = PAPER_LIKE,
    *,
    scale: str = "mini",
    tasks: tuple[str, ...] = ("science",),
    seeds: tuple[int, ...] = (0, 1, 2),
    items: int = 250,
    prior_items: int = 120,
    missing: tuple[str, ...] = (),
    table: str = "table5",
) -> Path:
    """Write a plan and its scores under `root`; return the plan's path. Runs of the arms in `missing` get no scores.

    An item has one threshold shared by all models and seeds, so that methods correlate by item; a model answers it
    right when its ability, moved a little by the seed, is above the threshold, moved a little by chance.
    """
    rng = np.random.default_rng(7)
    names = {**dict.fromkeys(tasks, items), **dict.fromkeys(PRIOR, prior_items)}
    thresholds = {name: (rng.permutation(count) + 0.5) / count for name, count in names.items()}

    def draw(method: str, benchmark: str) -> np.ndarray:
        ability = effects[method][0 if benchmark in tasks else 1] + 0.005 * rng.standard_normal()
        noisy = thresholds[benchmark] + 0.05 * rng.standard_normal(names[benchmark])
        return (noisy < ability).astype(float)

    plan = {"name": table, "study": "table5", **standing(scale), "base": [], "cells": [], "candidates": []}
    for seed in seeds:
        folder = root / "scores/base" / f"m-s{seed}"
        write_scores(folder, {name: draw("base", name) for name in names})
        plan["base"].append({"seed": seed, "model": f"m-s{seed}", "scores": str(folder)})
    for task in tasks:
        for method in METHODS:
            selected = root / "selected" / task / f"{method}.json"
            ranking = []
            for k, rate in enumerate((1e-4, 2e-4, 5e-4)):
                run = f"{task}-{method}-lr{rate:g}-s0-{k:08x}"
                row = {
                    "run": run,
                    "hyperparameters": {"learning_rate": rate, "batch_size": 32, "epochs": 8, "ema_rate": None},
                    "validation": {"value": round(effects[method][0] - 0.1 * k, 4), "n": 128},
                    "prior": {name: round(effects[method][1] - 0.05 * k, 4) for name in PRIOR},
                    "prior_average": round(effects[method][1] - 0.05 * k, 4),
                    "steps": 64,
                    "seconds": 10,
                    "manifest": {"device_hours": 0.002},
                }
                path = root / "sweep" / task / method / run / "validation.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(row))
                plan["candidates"].append({"task": task, "arm": method, "path": str(path)})
                ranking.append({**row, "validation": row["validation"]["value"], "n": row["validation"]["n"]})
            selected.parent.mkdir(parents=True, exist_ok=True)
            winner = {"winner": ranking[0]["hyperparameters"], "winner_run": ranking[0]["run"], "ranking": ranking}
            selected.write_text(json.dumps({"task": task, "arm": method, "method": method, "rule": "best", **winner}))
            runs = []
            for seed in seeds:
                run = f"{task}-{method}-s{seed}-00000000"
                folder = root / "scores/table5" / run
                if method not in missing:
                    write_scores(folder, {name: draw(method, name) for name in (task, *PRIOR)})
                runs.append({"run": run, "base": f"m-s{seed}", "seed": seed, "scores": str(folder)})
            plan["cells"].append(
                {"task": task, "arm": method, "method": method, "selected": str(selected), "runs": runs}
            )
    path = root / "plan.json"
    path.write_text(json.dumps(plan))
    return path
