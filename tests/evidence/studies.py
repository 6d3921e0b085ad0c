"""Invented plans of the other results: models of stated ability on every study, written as evaluations write them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
from world import PRIOR, standing

from sdft.study.exhibits.schema import Exhibit

SEEDS = (0, 1, 2)


class World:
    """Writes scores, trajectories, pass@k and divergences of models whose ability is given.

    An item has one threshold shared by all models, so that models correlate by item.
    """

    def __init__(self, root: Path, scale: str = "mini", items: int = 160, seeds: tuple[int, ...] = SEEDS) -> None:
        self.root, self.scale, self.items, self.seeds = root, scale, items, seeds
        self.metric = "judged_accuracy"
        self.judges: dict[str, Any] = {}
        self.rng = np.random.default_rng(3)
        self.thresholds: dict[str, np.ndarray] = {}
        self.made = 0

    def outcomes(self, benchmark: str, ability: float, items: int | None = None) -> np.ndarray:
        count = items or self.items
        if benchmark not in self.thresholds:
            self.thresholds[benchmark] = (self.rng.permutation(count) + 0.5) / count
        thresholds = self.thresholds[benchmark]
        ability += 0.01 * self.rng.standard_normal()
        return (thresholds + 0.05 * self.rng.standard_normal(len(thresholds)) < ability).astype(float)

    def scores(self, name: str, abilities: dict[str, float], *, tokens: float = 40, lenient: float = 0.0) -> str:
        folder = self.root / "scores" / name
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for benchmark, ability in abilities.items():
            correct = self.outcomes(benchmark, ability)
            record = {
                "benchmark": benchmark,
                "n": len(correct),
                "metric": self.metric,
                "value": float(correct.mean()),
                "metrics": {"accuracy": float(correct.mean()), **self.judges},
                "manifest": {"step": "evaluate", "device_hours": 0.01, "commit": "0" * 40},
            }
            (folder / f"{benchmark}.json").write_text(json.dumps(record))
            for k, value in enumerate(correct):
                item = {"benchmark": benchmark, "id": f"{benchmark}-{k}", "correct": float(value)}
                if benchmark not in PRIOR:
                    item["new_tokens"] = int(tokens + self.rng.integers(0, 9))
                    item["lenient"] = float(max(value, self.rng.random() < lenient))
                lines.append(json.dumps(item))
        with gzip.open(folder / "responses.jsonl.gz", "wt") as archive:
            archive.write("\n".join(lines) + "\n")
        return str(folder)

    def write(self, name: str, content: Any) -> str:
        path = self.root / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
        return str(path)

    def prior(self, ability: float) -> dict[str, float]:
        return dict.fromkeys(PRIOR, ability)

    def runs(self, arm: str, make: Any) -> list[dict[str, Any]]:
        """A run a seed; `make(name)` returns its further fields, `scores` among them."""
        found = []
        for seed in self.seeds:
            self.made += 1
            name = f"{arm}-s{seed}-{self.made:08x}"
            found.append({"run": name, "base": f"m-s{seed}", "seed": seed, **make(name)})
        return found

    def accuracies(self, abilities: dict[str, float]) -> dict[str, dict[str, Any]]:
        found = {task: self.outcomes(task, ability) for task, ability in abilities.items()}
        return {
            task: {"value": float(correct.mean()), "n": len(correct), "correct": correct.tolist()}
            for task, correct in found.items()
        }

    def trajectory(
        self,
        name: str,
        path: dict[str, list[float]],
        prior: list[float] | None = None,
        shown: dict[str, float] | None = None,
    ) -> str:
        """A point a value of `path`, by task; shown: abilities at the end with a demonstration in the prompt."""
        steps = len(next(iter(path.values())))
        points = []
        for k in range(steps):
            tasks = self.accuracies({task: abilities[k] for task, abilities in path.items()})
            point = {"step": 10 * (k + 1), "fraction": (k + 1) / steps, "tasks": tasks, "prior": {}}
            points.append({**point, "prior_average": prior[k] if prior else None})
        if shown:
            points[-1]["in_context"] = self.accuracies(shown)
        return self.write(f"trajectory/{name}", {"run": name, "points": points, "manifest": {}})

    def passk(self, name: str, ability: float, task: str, samples: int = 128) -> str:
        chance = np.clip(ability + 0.5 * (0.5 - self.threshold(task)), 0.001, 0.999)
        items = [
            {"id": f"{task}-{k}", "correct": int(self.rng.binomial(samples, p))} for k, p in enumerate(chance[:60])
        ]
        return self.write(f"passk/{name}", {"task": task, "n_samples": samples, "items": items, "pass_at_k": {}})

    def threshold(self, benchmark: str) -> np.ndarray:
        self.outcomes(benchmark, 0.5)
        return self.thresholds[benchmark]

    def divergence(self, name: str, nats: float) -> str:
        values = self.rng.gamma(2.0, nats / 2, 40)
        items = [{"id": f"tooluse-{k}", "nats_per_sequence": float(value)} for k, value in enumerate(values)]
        return self.write(
            f"divergence/{name}",
            {
                "task": "tooluse",
                "n_prompts": 40,
                "samples": 4,
                "nats_per_sequence": {"mean": float(values.mean()), "se": float(values.std() / 6)},
                "nats_per_token": {"mean": float(values.mean() / 30), "se": 0.01},
                "items": items,
                "definition": "KL(model || base), full vocabulary, along the model's own samples.",
            },
        )

    def plan(self, item: str, **fields: Any) -> Path:
        exhibit = Exhibit(**{"name": item, "study": "table5", **standing(self.scale), **fields})
        return Path(self.write(f"plans/{item}", exhibit.model_dump(mode="json")))

    def base(self, abilities: dict[str, float], size: str | None = None, **more: Any) -> list[dict[str, Any]]:
        found = []
        for seed in self.seeds:
            name = f"base-{size or 'm'}-s{seed}"
            entry = {"seed": seed, "model": name, "scores": self.scores(f"{name}-{self.rng.integers(1e9)}", abilities)}
            found.append({**entry, **({"size": size} if size else {}), **{k: v(name) for k, v in more.items()}})
        return found


def knowledge(world: World) -> list[Path]:
    def cell(arm: str, strict: float, ood: float) -> dict[str, Any]:
        abilities = {"knowledge": strict, "knowledge_ood": ood}
        runs = world.runs(arm, lambda name: {"scores": world.scores(name, abilities, lenient=0.4)})
        return {"task": "knowledge", "arm": arm, "method": arm.split(".")[0], "selected": None, "runs": runs}

    cells = [
        cell("cpt", 0.09, 0.07),
        cell("sft.knowledge", 0.80, 0.50),
        cell("sdft.knowledge", 0.89, 0.85),
        cell("sdft.text", 0.72, 0.6),
        cell("sdft.answer", 0.4, 0.3),
    ]
    teacher = world.scores("rag", {"knowledge": 0.9, "knowledge_ood": 0.97}, lenient=0.8)
    contexts = [
        {"task": "knowledge", "context": "article", "runs": [{"seed": s, "model": "m", "scores": teacher}]}
        for s in world.seeds[:1]
    ]
    base = world.base({"knowledge": 0.02, "knowledge_ood": 0.02})
    fields = {"base": base, "cells": cells, "contexts": contexts, "study": "knowledge"}
    return [world.plan("table1", **fields), world.plan("figure7", **fields)]


def reasoning(world: World) -> list[Path]:
    def cell(arm: str, ability: float, tokens: float) -> dict[str, Any]:
        runs = world.runs(arm, lambda name: {"scores": world.scores(name, {"medical": ability}, tokens=tokens)})
        return {"task": "medical", "arm": arm, "method": arm.split(".")[0], "selected": None, "runs": runs}

    cells = [cell("sft.answer_only", 0.24, 20), cell("sdft.answer_only", 0.44, 42)]
    return [world.plan("table2", base=world.base({"medical": 0.31}), cells=cells, study="reasoning")]


def teacher(world: World) -> list[Path]:
    def models(arm: str, nats: float, ability: float) -> list[dict[str, Any]]:
        return world.runs(
            arm,
            lambda name: {
                "scores": world.scores(name, {"tooluse": ability}),
                "divergence": world.divergence(name, nats),
                "model": name,
            },
        )

    cells = [{"task": "tooluse", "arm": "sft", "method": "sft", "selected": None, "runs": models("sft", 1.3, 0.63)}]
    runs = [
        {key: run[key] for key in ("seed", "model", "scores", "divergence")} for run in models("context", 0.7, 0.96)
    ]
    contexts = [{"task": "tooluse", "context": "shared", "runs": runs}]
    base = world.base({"tooluse": 0.42})
    return [world.plan("figure2", base=base, cells=cells, contexts=contexts, study="teacher")]


ORDERS = (("tooluse", "science", "medical"), ("medical", "science", "tooluse"))


def sequential(
    world: World, stages: int = 3, sdft: tuple[float, float] = (0.8, 0.77), taught: float | None = None
) -> list[Path]:
    """SDFT keeps what it learns; SFT falls below the base model. The last order has only `stages` stages of SFT.

    sdft: what it reaches on a task, and what is left of that after later ones. taught: accuracy of the base model with
    a demonstration in the prompt, of which every stage takes 0.2.
    """
    start, cells, points = 0.45, [], 4
    for order in ORDERS:
        for arm, learnt, lost in (("sft.seq", 0.75, 0.1), ("sdft.seq", *sdft)):
            for stage, own in enumerate(order):
                if arm == "sft.seq" and order == ORDERS[-1] and stage >= stages:
                    continue
                path = {}
                for task in order:
                    at = order.index(task)
                    ends = [start, learnt] if at == stage else [learnt, lost] if at == stage - 1 else None
                    if ends is None:
                        ends = [lost, lost] if at < stage else [start, start]
                    path[task] = list(np.linspace(*ends, points + 1)[1:])
                prior = list(np.linspace(0.8 - stage * 0.05, 0.75 - stage * 0.05, points))
                shown = dict.fromkeys(order, taught - 0.2 * (stage + 1)) if taught else None
                runs = world.runs(
                    f"{arm}-{'-'.join(order)}-{stage}",
                    lambda name, path=path, prior=prior, shown=shown: {
                        "scores": str(world.root / "absent"),
                        "trajectory": world.trajectory(name, path, prior, shown),
                    },
                )
                method = arm.split(".")[0]
                cells.append({"task": own, "arm": arm, "method": method, "order": order, "stage": stage, "runs": runs})
    base = world.base(dict.fromkeys(ORDERS[0], start))
    contexts = [
        {
            "task": task,
            "context": "shared",
            "runs": [
                {"seed": seed, "model": f"m-s{seed}", "scores": world.scores(f"shown-{task}-{seed}", {task: taught})}
                for seed in world.seeds
            ],
        }
        for task in (ORDERS[0] if taught else ())
    ]
    return [world.plan("figure3", base=base, cells=cells, contexts=contexts, study="sequential")]


def scaling(world: World, task: str = "science") -> list[Path]:
    base, cells, contexts = [], [], []
    for size, alone, shown, gain in (("xs", 0.2, 0.3, -0.1), ("s", 0.25, 0.5, 0.02), ("m", 0.3, 0.9, 0.12)):
        base += world.base(
            {task: alone}, size, **({"passk": lambda n: world.passk(n, 0.1, task)} if size == "m" else {})
        )
        runs = [
            {"seed": seed, "model": f"{size}-s{seed}", "scores": world.scores(f"icl-{size}-{seed}", {task: shown})}
            for seed in world.seeds
        ]
        contexts.append({"task": task, "context": "shared", "size": size, "runs": runs})
        for budget in ("", ".long") if size != "m" else ("",):
            for method, ability in (("sft", 0.6), ("sdft", 0.6 + gain)):
                arm = f"{method}.{size}{budget}" if size != "m" else method
                more = 0.05 if budget else 0.0
                runs = world.runs(
                    arm,
                    lambda name, ability=ability + more, method=method, size=size: {
                        "scores": world.scores(name, {task: ability}),
                        "passk": world.passk(name, {"sft": 0.3, "sdft": 0.5}[method], task) if size == "m" else None,
                    },
                )
                cells.append({"task": task, "arm": arm, "method": method, "size": size, "runs": runs})
    return [world.plan("figure5", base=base, cells=cells, contexts=contexts, study="scaling")]


def policies(world: World, task: str = "tooluse") -> list[Path]:
    def cell(arm: str, ability: float, falls: float = 0.0) -> dict[str, Any]:
        path = {task: list(np.linspace(0.45, ability, 6))}
        prior = list(np.linspace(0.8, 0.8 - falls, 6))
        runs = world.runs(
            arm,
            lambda name: {
                "scores": world.scores(name, {task: ability, **world.prior(0.8 - falls)}),
                "trajectory": world.trajectory(name, path, prior),
            },
        )
        return {"task": task, "arm": arm, "method": arm.split(".")[0], "selected": None, "runs": runs}

    base = world.base({task: 0.42, **world.prior(0.8)})
    shared = cell("sdft", 0.71)
    six = [shared, cell("offline_distillation", 0.63), cell("sft_from_teacher", 0.6), cell("off_policy_fresh", 0.7)]
    eight = [shared, cell("sdft.frozen", 0.65), cell("sdft.student", 0.33, 0.2), cell("sdft.bfloat16_ema", 0.66)]
    return [
        world.plan("figure6", base=base, cells=six, study="onpolicy"),
        world.plan("figure8", base=base, cells=eight, study="teachers"),
    ]


def ablations(world: World) -> list[Path]:
    abilities = {"sdft": 0.7, "sdft.reverse": 0.66, "sdft.jsd": 0.68, "sdft.token": 0.5, "sdft.rao_blackwell": 0.65}
    abilities |= {"sdft.rollouts2": 0.7, "sdft.rollouts4": 0.71, "sdft.rollouts8": 0.71, "sdft.skip0": 0.69}
    cells = []
    for arm, ability in abilities.items():
        runs = world.runs(
            f"a-{arm}",
            lambda name, ability=ability: {"scores": world.scores(name, {"tooluse": ability, **world.prior(0.8)})},
        )
        cells.append({"task": "tooluse", "arm": arm, "method": "sdft", "runs": runs})
    toy = [
        {"estimator": name, "bias_norm": 0.0, "error": {"8": v / 8}, "variance": v}
        for name, v in (("token", 4.0), ("rao_blackwell", 2.0))
    ]
    toy.append({"estimator": "analytic", "bias_norm": 0.12, "variance": 0.3})
    estimators = world.write("estimators", {"estimators": toy})
    return [world.plan("ablations", cells=cells, estimators=estimators, study="divergence")]


def cost(world: World) -> list[Path]:
    cells = []
    for method, flops, seconds in (("sft", 1.0e12, 0.5), ("sdft", 2.6e12, 1.9)):
        runs = world.runs(
            f"c-{method}",
            lambda name, flops=flops, seconds=seconds: {
                "scores": str(world.root / "absent"),
                "flops": world.write(f"flops/{name}", {"total": flops * world.rng.uniform(0.95, 1.05)}),
                "model": world.write(
                    f"models/{name}",
                    {"steps": 40, "manifest": {"seconds": 40 * seconds * world.rng.uniform(0.9, 1.1)}},
                ),
            },
        )
        cells.append({"task": "science", "arm": method, "method": method, "runs": runs})
    return [world.plan("cost", cells=cells, study="cost")]


def sweeps(world: World) -> list[Path]:
    settings = {"schedule": "cosine", "warmup_steps": 10, "max_grad_norm": 1.0, "weight_decay": 0.0}
    settings |= {"weights_dtype": "float32", "max_new_tokens": 40}
    grid = {"learning_rate": [5e-4, 1e-3], "epochs": [5], "batch_size": [32], "ema_rate": None}
    entries = [
        {"arm": method, "method": method, "grid": {**grid, "ema_rate": rates}, "settings": settings}
        for method, rates in (("sft", None), ("sft_reinvoke", None), ("sdft", [0.05, 0.02, 0.01]))
    ]
    entries[-1]["task_epochs"] = {"science": [10]}
    return [world.plan("table3", sweeps=entries), world.plan("table4")]


STUDIES = (knowledge, reasoning, teacher, sequential, scaling, policies, ablations, cost, sweeps)
