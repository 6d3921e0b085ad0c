"""The study's runs: which models are trained, from what, under which name and path.

A run's name is a readable slug and eight hex digits of a digest over the fields that define its result. Resources,
labels and paths are not hashed, so moving or speeding up a study renames nothing.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict

from sdft.config import BENCHMARKS, SPEED_SETTINGS, Arm, Config, OfficialData, Scale, TrainingSettings
from sdft.errors import SdftError
from sdft.provenance import digest

# Tasks whose answers no rule can score.
JUDGED = ("medical", "knowledge")


class Hyperparameters(BaseModel):
    """What a sweep varies (PAPER Tables 3 and 4)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float
    batch_size: int
    epochs: int
    ema_rate: float | None = None


class RunSpec(BaseModel):
    """Everything that `python -m sdft.train --run RUN.json` needs to know.

    `hyperparameters` is null for a final run, which takes the winner from the file `selected`. `parent` is the
    model.json of the run it starts from (SFT + re-invoke), null for one that starts from the base model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    scale: str
    study: str
    task: str
    arm: str
    method: str
    seed: int
    base: str
    base_ready: str
    parent: str | None = None
    demonstration: str
    hyperparameters: Hyperparameters | None = None
    selected: str | None = None
    settings: TrainingSettings
    data: dict[str, str | None]


def _number(value: float) -> str:
    """A short spelling for slugs: 0.0002 -> 2e-4, 0.02 -> 0.02."""
    if value < 1e-2:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"


def _slug(values: Hyperparameters) -> str:
    parts = [f"lr{_number(values.learning_rate)}", f"b{values.batch_size}", f"e{values.epochs}"]
    if values.ema_rate is not None:
        parts.append(f"ema{_number(values.ema_rate)}")
    return "-".join(parts)


class Plan:
    """The runs of one scale of a configuration, and where their files lie."""

    def __init__(self, config: Config, scale: str | None = None) -> None:
        self.config = config
        self.name = scale or config.scale
        self.root = f"results/{self.name}"

    @property
    def scale(self) -> Scale:
        return self.config.scales[self.name]

    @property
    def seeds(self) -> list[int]:
        return self.config.seeds_of(self.name)

    @property
    def tasks(self) -> list[str]:
        return list(self.scale.tasks)

    @property
    def arms(self) -> list[str]:
        return list(self.scale.arms)

    @property
    def bases(self) -> list[str]:
        """The base models that the seeds use, each once."""
        return list(dict.fromkeys(self.base_of(seed) for seed in self.seeds))

    def arm(self, name: str) -> Arm:
        return self.scale.arms[name]

    def base_of(self, seed: int) -> str:
        """The base model of a seed. Seeds in the study's order take the scale's base models in turn."""
        names = self.scale.models.names
        return names[self.seeds.index(seed) % len(names)] if seed in self.seeds else names[seed % len(names)]

    def hyperparameters(self, arm: str) -> list[Hyperparameters]:
        """The candidates of an arm: the whole grid, or the official recipe alone (`sweep: published`)."""
        grid = self.arm(arm).grid
        if self.config.sweep == "published":
            recipe = self.scale.published_recipe
            if not recipe:
                raise SdftError(
                    f"sweep is 'published' but scales.{self.name}.published_recipe is empty; "
                    "give the recipe there or set sweep: full."
                )
            values = dict(recipe)
            if grid.ema_rate is None:
                values.pop("ema_rate", None)
            return [Hyperparameters.model_validate(values)]
        return [
            Hyperparameters(learning_rate=rate, batch_size=batch, epochs=epochs, ema_rate=ema)
            for rate, batch, epochs, ema in product(
                grid.learning_rate, grid.batch_size, grid.epochs, grid.ema_rate or [None]
            )
        ]

    def candidates(self, task: str, arm: str) -> list[RunSpec]:
        """The sweep of one arm on one task, all with the sweep's seed."""
        return [self._run("sweep", task, arm, self.config.sweep_seed, values) for values in self.hyperparameters(arm)]

    def finals(self, study: str, task: str, arm: str) -> list[RunSpec]:
        """The final runs of one arm on one task: the sweep's winner with every seed."""
        return [self._run(study, task, arm, seed, None) for seed in self.seeds]

    def _run(self, study: str, task: str, arm: str, seed: int, values: Hyperparameters | None) -> RunSpec:
        method = self.arm(arm).method
        demonstration = self.arm(arm).demonstration or self.scale.demonstration
        settings = self.config.settings_of(self.name, arm)
        parent = self._run("table5", task, "sft", seed, None) if method == "sft_reinvoke" else None
        defining = {
            "scale": self.name,
            "task": task,
            "arm": arm,
            "method": method,
            "seed": seed,
            "base": [self.base_of(seed), self.scale.models.revision(self.base_of(seed))],
            "parent": parent.id if parent else None,
            "demonstration": demonstration,
            "candidates": [entry.model_dump() for entry in self.hyperparameters(arm)] if values is None else None,
            "hyperparameters": values.model_dump() if values else None,
            "settings": settings.model_dump(mode="json", exclude=set(SPEED_SETTINGS)),
            "data": self._data_fields(task),
        }
        parts = [task, arm, *([_slug(values)] if values else []), f"s{seed}", digest(defining)]
        return RunSpec(
            id="-".join(parts),
            scale=self.name,
            study=study,
            task=task,
            arm=arm,
            method=method,
            seed=seed,
            base=self.base_of(seed),
            base_ready=self.base_path(self.base_of(seed)),
            parent=f"{self.run_folder(parent)}/model.json" if parent else None,
            demonstration=demonstration,
            hyperparameters=values,
            selected=None if values else self.selected_path(task, arm),
            settings=settings,
            data={
                "train": self.data_path(task, "train"),
                "prompts": self.data_path("general", "train") if method == "sft_reinvoke" else None,
            },
        )

    def _data_fields(self, task: str) -> dict[str, Any]:
        """What defines a task's data; a local copy's place does not, its declared content does."""
        parts = {"sizes", "tasks", "general", "benchmark_items", "knowledge"}
        fields = self.scale.data.model_dump(mode="json", exclude=parts)
        sizes = getattr(self.scale.data, "sizes", {})
        if task in sizes:
            fields["size"] = sizes[task].model_dump()
        if isinstance(self.scale.data, OfficialData):
            if task == "knowledge":
                places = {"articles": {"__all__": {"path"}}}
                fields["files"] = self.scale.data.knowledge.model_dump(mode="json", exclude=places)
            else:
                places = {"train": {"path"}, "test": {"path"}}
                fields["files"] = self.scale.data.tasks[task].model_dump(mode="json", exclude=places)
            fields.pop("absent")
        return fields

    def data_path(self, task: str, split: str) -> str:
        return f"{self.root}/data/{task}/{split}.jsonl"

    def lengths_path(self, task: str, model: str) -> str:
        return f"{self.root}/data/{task}/lengths-{model}.json"

    def base_path(self, model: str) -> str:
        return f"{self.root}/base/{model}/ready.json"

    def selected_path(self, task: str, arm: str) -> str:
        return f"{self.root}/selected/{task}/{arm}.json"

    def run_folder(self, run: RunSpec) -> str:
        """Folder of a run: sweep/{task}/{arm}/{run} for a candidate, runs/{study}/{run} for a final run."""
        if run.study == "sweep":
            return f"{self.root}/sweep/{run.task}/{run.arm}/{run.id}"
        return f"{self.root}/runs/{run.study}/{run.id}"

    def validation_path(self, run: RunSpec) -> str:
        return f"{self.run_folder(run)}/validation.json"

    def scores_folder(self, run: RunSpec) -> str:
        """Scores of a run: what its evaluation wrote, or the same with a judge's verdicts in it."""
        return f"{self.root}/{self._scored(run.task)}/{run.study}/{run.id}"

    def base_scores_folder(self, model: str) -> str:
        return f"{self.root}/{self._scored(*self.tasks)}/base/{model}"

    def _scored(self, *tasks: str) -> str:
        return "judged" if self.scale.judge and set(tasks) & set(JUDGED) else "scores"

    def score_files(self, folder: str, tasks: list[str]) -> list[str]:
        """The files that scoring one model makes: each task, the six prior benchmarks, and the outcomes by item."""
        return [f"{folder}/{name}.json" for name in (*tasks, *BENCHMARKS)] + [f"{folder}/responses.jsonl.gz"]

    def prior_config(self, *, sweep: bool = False) -> dict[str, Any]:
        """The prior-capability protocol as `sdft.evaluate` takes it; a sweep may look at fewer items."""
        prior = self.scale.prior
        values = prior.model_dump(mode="json", exclude={"sweep_limit"})
        for task in values["tasks"].values():
            # A sweep looks at what is compared only.
            if sweep or not task["siblings"]:
                task.pop("siblings")
        local = values.pop("local_data") or self.scale.data.source == "miniature"
        values["data_dir"] = f"{self.root}/data/benchmarks" if local else None
        if sweep and prior.sweep_limit is not None:
            values["limit"] = prior.sweep_limit
        return values

    def table5(self) -> dict[str, Any]:
        """What `sdft.tables` and `sdft.figures` read: every cell of Table 5 with its runs, and all candidates."""
        return {
            "table": "table5",
            "scale": self.name,
            "tolerance": self.config.tolerance.model_dump(),
            "base": [
                {"seed": seed, "model": self.base_of(seed), "scores": self.base_scores_folder(self.base_of(seed))}
                for seed in self.seeds
            ],
            "cells": [
                {
                    "task": task,
                    "arm": arm,
                    "method": self.arm(arm).method,
                    "selected": self.selected_path(task, arm),
                    "runs": [
                        {
                            "run": run.id,
                            "seed": run.seed,
                            "scores": self.scores_folder(run),
                            "model": f"{self.run_folder(run)}/model.json",
                        }
                        for run in self.finals("table5", task, arm)
                    ],
                }
                for task, arm in product(self.tasks, self.arms)
            ],
            "candidates": [
                {"task": task, "arm": arm, "path": self.validation_path(run)}
                for task, arm in product(self.tasks, self.arms)
                for run in self.candidates(task, arm)
            ],
        }

    def released(self) -> dict[str, Any]:
        """What `sdft.released` reads: the released checkpoints and where their scores lie."""
        tasks = getattr(self.scale.data, "tasks", {})
        return {
            "scale": self.name,
            "checkpoints": [
                {
                    "name": name,
                    "task": entry.task,
                    "method": entry.method,
                    "from": entry.path or entry.architecture or f"{entry.repository}@{entry.revision}",
                    "scores": f"{self.root}/released/{name}/{entry.task}",
                    "data": self.data_path(entry.task, "test"),
                    "versions": tasks[entry.task].test_versions if entry.task in tasks else [],
                }
                for name, entry in self.scale.released.items()
            ],
        }

    def released_scores(self) -> list[str]:
        """The files that scoring the released checkpoints makes."""
        return [
            path
            for entry in self.released()["checkpoints"]
            for path in self.score_files(entry["scores"], [entry["task"]])
        ]

    def find(self, run: str) -> RunSpec:
        """The run of that name. Raises KeyError when the plan has none."""
        return self._index()[run]

    def _index(self) -> dict[str, RunSpec]:
        if not hasattr(self, "_runs"):
            runs = [
                run
                for task, arm in product(self.tasks, self.arms)
                for run in (*self.candidates(task, arm), *self.finals("table5", task, arm))
            ]
            self._runs = {run.id: run for run in runs}
        return self._runs
