"""The study's runs: which models are trained, from what, under which name and path.

A run's name is a readable slug and eight hex digits of a digest over the fields that define its result. Resources,
labels and paths are not hashed, so moving or speeding up a study renames nothing. Of the configuration's values only
those that differ from their defaults are hashed, so a new key renames nothing at its default; in turn a default never
changes, since runs of two meanings would have one name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict

from sdft.common.errors import SdftError
from sdft.common.files import digest
from sdft.methods import find_method
from sdft.methods.hyperparameters import SWEPT, Hyperparameters, combinations, differing_options
from sdft.methods.settings import SPEED_SETTINGS, TrainingSettings
from sdft.miniature.schema import size_and_seed
from sdft.study import paths
from sdft.study.schema import Arm, Config, Scale
from sdft.tasks import find_task
from sdft.tasks.benchmarks import BENCHMARKS

# Between a base model's draw of facts and the next of its seeds.
NEXT_DRAW = 1000

# With `sweep: halving` a candidate trains for 1/PARTS of its steps, and the best 1/PARTS of an arm's go on to the end.
PARTS = 3


class RunSpec(BaseModel):
    """Everything that `python -m sdft.train --run RUN.json` needs to know.

    `hyperparameters` is null for a final run, which takes the winner from the file `selected`, with `replace` in it.
    `options` holds the method's own settings that the arm fixes, where they differ from their defaults.
    `parent` is the model.json of the run it starts from (SFT + re-invoke, sequential learning), null for one that
    starts from the base model. `draw` says which facts it learns, where they are not its base model's own.
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
    replace: dict[str, Any] = {}
    options: dict[str, Any] = {}
    settings: TrainingSettings
    data: dict[str, str | None]
    draw: str = ""

    def text(self) -> str:
        """RUN.json: what differs from the defaults, so that a new key makes no run another one."""
        return self.model_dump_json(indent=1, exclude_defaults=True)


class Plan:
    """The runs of one scale of a configuration, and where their files lie."""

    def __init__(self, config: Config, scale: str | None = None) -> None:
        self.config = config
        self.name = scale or config.scale
        self.root = paths.ROOT.format(scale=self.name)
        # Every table and figure names its runs again, and the plan of a study has hundreds.
        self._made: dict[tuple[Any, ...], RunSpec] = {}
        self._grids: dict[tuple[str, str | None], list[Hyperparameters]] = {}
        self._sweeps: dict[tuple[str, str], list[RunSpec]] = {}
        self._settings: dict[str | None, TrainingSettings] = {}

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

    @cached_property
    def bases(self) -> list[str]:
        """The base models that the seeds use, each once."""
        return list(dict.fromkeys(self.base_of(seed) for seed in self.seeds))

    def arm(self, name: str) -> Arm:
        """An arm of Table 5 or of a study. Raises KeyError."""
        return self._arms[name]

    @cached_property
    def _arms(self) -> dict[str, Arm]:
        return dict(self.scale.every_arm())

    def settings_of(self, arm: str | None = None) -> TrainingSettings:
        """Training settings of the scale, or of one of its arms."""
        if arm not in self._settings:
            self._settings[arm] = self.config.settings_of(self.name, arm)
        return self._settings[arm]

    def study_of(self, arm: str) -> str:
        """The study that an arm belongs to."""
        return self._studies.get(arm, "table5")

    def made_for(self, run: RunSpec) -> list[str]:
        """The studies that a run is made for: its arm's, or, of Table 5's arms on later facts, those that share it."""
        study = self.study_of(run.arm)
        if study != "table5" or not run.draw:
            return [study]
        return [name for name, entry in self.scale.studies.items() if run.arm in entry.share and entry.own_facts]

    @cached_property
    def _studies(self) -> dict[str, str]:
        return {arm: name for name, study in self.scale.studies.items() for arm in study.arms}

    def not_run(self, study: str) -> str | None:
        """Why a study of the scale is not made; None where it is."""
        if study not in self.scale.studies:
            return f"scale {self.name} does not have it"
        if reason := self.scale.lacks(study):
            return reason
        return None if self.scale.studies[study].enabled else "switched off in the configuration"

    def study_seeds(self, study: str) -> list[int]:
        """The seeds of a study's own arms: its own, unless seeds stand above all scales, or the scale's."""
        entry = self.scale.studies.get(study)
        own = None if entry is None or self.config.seeds is not None else entry.seeds
        return self.seeds if own is None else own

    def base_of(self, seed: int, arm: str | None = None) -> str:
        """The base model of a seed: the scale's seeds take the scale's base models in turn, and a study's seeds those
        that its arm has in their place."""
        return self._turn(seed, arm)[0]

    def _turn(self, seed: int, arm: str | None) -> tuple[str, int]:
        """The base model of a seed, and how often it has been taken before."""
        names, seeds = self.scale.models.names, self.seeds
        if arm is not None and (own := self.arm(arm).models):
            names, seeds = own, self.study_seeds(self.study_of(arm))
        turn, place = divmod(seeds.index(seed) if seed in seeds else seed, len(names))
        return names[place], turn

    @cached_property
    def _draws(self) -> dict[str, int]:
        """The number of each base model: its seed, where its name says one (m-s4: 4), else its place in its list."""
        found: dict[str, int] = {}
        for models in (self.scale.models.names, *self.scale.arm_models()):
            for place, model in enumerate(models):
                named = size_and_seed(model)
                found.setdefault(model, named[1] if named else place)
        return found

    def draw_of(self, model: str) -> str:
        """The draw of what a base model has to learn, as it stands in paths: empty for the world's first, 0."""
        own = getattr(self.scale.data, "own_facts", False)
        return f"-{draw}" if own and (draw := self._draws[model]) else ""

    def later_draw(self, study: str, seed: int, arm: str | None = None) -> str:
        """The draw that a seed of a study learns instead of its base model's, as it stands in paths.

        Empty where it learns its base model's: in a study without facts of its own, and at the model's first turn.
        """
        entry = self.scale.studies.get(study)
        model, turn = self._turn(seed, arm)
        return f"-{self._draws[model] + turn * NEXT_DRAW}" if entry and entry.own_facts and turn else ""

    def epochs(self, arm: str, task: str | None) -> list[int]:
        """The epochs in an arm's grid on a task: `task_epochs` replace those of methods that train on its own rows."""
        own = self.arm(self.arm(arm).like or arm).grid.epochs
        rows = find_method(self.arm(arm).method).rows
        return self.scale.task_epochs.get(task, own) if rows == "train" else own

    def hyperparameters(self, arm: str, task: str | None = None) -> list[Hyperparameters]:
        """The candidates of an arm on a task: the whole grid, or the official recipe alone (`sweep: published`).

        The recipe holds no option of a method: these keep what the arm fixes, or their defaults.
        """
        if (arm, task) not in self._grids:
            self._grids[arm, task] = self._hyperparameters(arm, task)
        return self._grids[arm, task]

    def _hyperparameters(self, arm: str, task: str | None) -> list[Hyperparameters]:
        source = self.arm(self.arm(arm).like or arm)
        if self.config.sweep == "published":
            recipe = self.scale.published_recipe
            if recipe is None:
                raise SdftError(
                    f"sweep is 'published' but scales.{self.name}.published_recipe is empty; "
                    "give the recipe there or set sweep: full."
                )
            values = recipe.model_dump(exclude={"ema_rate"} if source.grid.ema_rate is None else None)
            return [Hyperparameters.model_validate(values)]
        lists = {name: getattr(source.grid, name) or [None] for name in SWEPT} | {"epochs": self.epochs(arm, task)}
        return [
            Hyperparameters.model_validate(dict(zip(lists, values, strict=True)) | options)
            for values in product(*lists.values())
            for options in combinations(source.method, source.options, source.grid)
        ]

    def candidates(self, task: str, arm: str) -> list[RunSpec]:
        """The sweep of one arm on one task, each candidate with every seed of the sweep; none for an arm that takes
        another's winner."""
        if (task, arm) not in self._sweeps:
            values = [] if self.arm(arm).grid is None else self.hyperparameters(arm, task)
            seeds = self.config.sweep_seeds_of(self.name)
            self._sweeps[task, arm] = [self._run("sweep", task, arm, seed, entry) for entry in values for seed in seeds]
        return self._sweeps[task, arm]

    def halves(self, run: RunSpec) -> bool:
        """Whether a candidate is compared after its first part, and goes on only if it is among the better ones.

        One that takes several GPUs is trained to its end in any case.
        """
        return self.config.sweep == "halving" and self.scale.training_gpus(run.base) <= 1

    def expected_share(self, run: RunSpec) -> float:
        """The expected part of a candidate's steps that is trained: all of them, but in a sweep by halving.

        There who goes on starts afresh, as a large model does (sdft/learning/rung.py).
        """
        if not self.halves(run):
            return 1.0
        count = len(self.hyperparameters(run.arm, run.task))
        return 1 / PARTS + math.ceil(count / PARTS) / count

    def finals(self, study: str, task: str, arm: str) -> list[RunSpec]:
        """The final runs of one arm on one task: the winner with every seed of the study that the arm belongs to."""
        return [
            self._run(study, task, arm, seed, None, draw=self.later_draw(study, seed, arm))
            for seed in self.study_seeds(study)
        ]

    def shared(self, study: str, task: str, arm: str) -> list[RunSpec]:
        """The final runs of an arm of Table 5 that a study shares: Table 5's own, or, in a study with facts of its own,
        the same arm's on these facts."""
        if not self.scale.studies[study].own_facts:
            return self.finals("table5", task, arm)
        return [
            self._run("table5", task, arm, seed, None, draw=self.later_draw(study, seed, arm))
            for seed in self.study_seeds(study)
        ]

    def stages(self, arm: str, order: list[str], seed: int) -> list[RunSpec]:
        """One model through the tasks in turn, each run starting from the one before. The first is a run of Table 5."""
        runs = [self._run("table5", order[0], self.arm(arm).like, seed, None)]
        for task in order[1:]:
            runs.append(self._run(self.study_of(arm), task, arm, seed, None, runs[-1]))
        return runs

    def starts(self, arm: str) -> list[str]:
        """The arms whose final runs come before an arm's, the one that it starts from first."""
        start = self.arm(arm).starts_from
        return [] if start is None else [start, *self.starts(start)]

    def teacher_template(self, task: str, demonstration: str) -> str:
        """The template in which a base model is shown a demonstration when it is measured: its teacher's in training.

        That is the template of the arms which show this demonstration on this task: of Table 5's, where it has one,
        else of the studies'. Where none does, it is the scale's. Raises SdftError where these arms differ.
        """
        table5 = self._templates(task, demonstration, ["table5"])
        found = table5 or self._templates(task, demonstration, self.scale.studies)
        if len(set(found.values())) > 1:
            listed = ", ".join(f"{arm} {template}" for arm, template in found.items())
            raise SdftError(
                f"scales.{self.name}: a base model is measured with the demonstration {demonstration!r} of {task}, as "
                f"its teacher sees it, and the arms that show it have different templates ({listed}); give them one "
                "teacher_template, or show the demonstration in an arm of Table 5, whose template then counts."
            )
        return next(iter(found.values()), self.settings_of().teacher_template)

    def _templates(self, task: str, demonstration: str, studies: Iterable[str]) -> dict[str, str]:
        """The template of every arm of these studies that shows a demonstration on a task."""
        found = {}
        for study in studies:
            tasks, arms = self._study_parts(study)
            for name, arm in arms.items():
                shown = arm.demonstration or self.scale.demonstration
                if find_method(arm.method).shows_demonstration and task in tasks and shown == demonstration:
                    found[name] = self.settings_of(name).teacher_template
        return found

    def _study_parts(self, study: str) -> tuple[list[str], dict[str, Arm]]:
        """The tasks and the own arms of a study, or of Table 5."""
        if study == "table5":
            return self.tasks, self.scale.arms
        entry = self.scale.studies[study]
        return entry.every_task(), entry.arms

    def _parent(self, task: str, arm: str, seed: int, draw: str) -> RunSpec | None:
        name = self.arm(arm).starts_from
        return None if name is None else self._run(self.study_of(name), task, name, seed, None, draw=draw)

    def _run(
        self,
        study: str,
        task: str,
        arm: str,
        seed: int,
        values: Hyperparameters | None,
        parent: RunSpec | None = None,
        draw: str = "",
    ) -> RunSpec:
        key = (study, task, arm, seed, values, parent and parent.id, draw)
        if key not in self._made:
            self._made[key] = self._make_run(study, task, arm, seed, values, parent, draw)
        return self._made[key]

    def _make_run(
        self,
        study: str,
        task: str,
        arm: str,
        seed: int,
        values: Hyperparameters | None,
        parent: RunSpec | None,
        draw: str,
    ) -> RunSpec:
        method = self.arm(arm).method
        rows = find_method(method).rows
        general = rows == "prompts" or find_method(method).replays
        options = differing_options(method, self.arm(arm).options)
        demonstration = self.arm(arm).demonstration or self.scale.demonstration
        settings = self.settings_of(arm)
        parent = parent or self._parent(task, arm, seed, draw)
        base = self.base_of(seed, arm)
        replace = {} if values else self.arm(arm).replace.model_dump(exclude_unset=True)
        candidates = self.hyperparameters(arm, task) if values is None else []
        defining = {
            "scale": self.name,
            "task": task,
            "arm": arm,
            "method": method,
            "seed": seed,
            "base": [base, self.scale.models.revision(base)],
            "parent": parent and parent.id,
            "demonstration": demonstration,
            "candidates": [entry.model_dump(exclude_defaults=True) for entry in candidates],
            "hyperparameters": values.model_dump(exclude_defaults=True) if values else replace,
            "options": options,
            "settings": settings.model_dump(mode="json", exclude=set(SPEED_SETTINGS), exclude_defaults=True),
            "data": self.scale.data.definition(task),
            "draw": (draw or self.draw_of(base)) if self.scale.data.origin(task) == "made" else None,
        }
        defining = {name: value for name, value in defining.items() if value not in (None, {}, [], "")}
        parts = [task, arm, *([values.slug] if values else []), f"s{seed}", digest(defining)]
        return RunSpec(
            id="-".join(parts),
            scale=self.name,
            study=study,
            task=task,
            arm=arm,
            method=method,
            seed=seed,
            base=base,
            base_ready=self.base_path(base),
            parent=self.model_path(parent) if parent else None,
            demonstration=demonstration,
            hyperparameters=values,
            selected=None if values else self.selected_path(task, self.arm(arm).like or arm),
            replace=replace,
            options=options,
            settings=settings,
            data={
                "train": self.data_path(task, "train", base, draw),
                "prompts": self.data_path("general", "train") if general else None,
                "corpus": self.data_path(task, "corpus", base, draw) if rows == "corpus" else None,
            },
            draw=draw,
        )

    def path(self, template: str, **wildcards: str) -> str:
        """A template of sdft/study/paths.py filled in for this scale; data without a draw are those of the first."""
        return template.format(**{"scale": self.name, "draw": "", **wildcards})

    def data_path(self, task: str, split: str, model: str | None = None, draw: str = "") -> str:
        """A split of a task as a base model learns and answers it, or as the world's first draw has it.

        draw: in the place of the base model's own. Rows that the world does not make are the same for all.
        """
        made = self.scale.data.origin(task) == "made"
        draw = draw or self.draw_of(model) if model is not None and made else ""
        return self.path(paths.DATA, task=task, split=split, draw=draw)

    def measured_path(self, task: str, split: str, model: str, draw: str = "") -> str:
        """The same in the folder that has every task of a base model, in its own draw or in another."""
        return self.path(paths.DATA, task=task, split=split, draw=draw or self.draw_of(model))

    def lengths_path(self, task: str, model: str) -> str:
        return self.path(paths.LENGTHS, task=task, model=model)

    def base_path(self, model: str) -> str:
        return self.path(paths.BASE, model=model)

    def selected_path(self, task: str, arm: str) -> str:
        return self.path(paths.SELECTED, task=task, arm=arm)

    def run_folder(self, run: RunSpec) -> str:
        """Folder of a candidate or of a final run."""
        template = paths.CANDIDATE_FOLDER if run.study == "sweep" else paths.RUN_FOLDER
        return self.path(template, task=run.task, arm=run.arm, study=run.study, run=run.id)

    def validation_path(self, run: RunSpec) -> str:
        return self.path(paths.VALIDATION, task=run.task, arm=run.arm, run=run.id)

    def model_path(self, run: RunSpec) -> str:
        """The model.json of a final run."""
        return self.path(paths.MODEL, study=run.study, run=run.id)

    def scores_folder(self, run: RunSpec) -> str:
        """Scores of a run: what its evaluation wrote, or the same with a judge's verdicts in it."""
        return self.path(paths.RUN_SCORES, scored=self.scored(run.task), study=run.study, run=run.id)

    def base_scores_folder(self, model: str) -> str:
        """Scores of a base model on the scale's tasks, whether Table 5 has it or a study alone."""
        return self.path(paths.BASE_SCORES, scored=self.scored(*self.tasks), model=model)

    def context_scores_folder(self, task: str, **where: str) -> str:
        """Scores of a base model on one task, alone or with a demonstration or an article in its context.

        where: context, split and model, and the draw of the facts it is asked about, where they are not its own.
        """
        return self.path(paths.CONTEXT_SCORES, scored=self.scored(task), task=task, **where)

    def scored(self, *tasks: str) -> str:
        """The kind of scores on these tasks: what evaluations write, or those with a judge's verdicts in them."""
        return "judged" if self.scale.judge and any(find_task(task).judged for task in tasks) else "scores"

    def score_files(self, folder: str, tasks: list[str]) -> list[str]:
        """The files that scoring one model makes: each task, the six prior benchmarks, and the outcomes by item."""
        return paths.scores(folder, *tasks, *BENCHMARKS)

    def base_score_files(self, model: str) -> list[str]:
        """The declared files of a base model's scores; those of the scale's tasks lie beside them, undeclared."""
        return self.score_files(self.base_scores_folder(model), [])

    def prior_config(self, *, sweep: bool = False) -> dict[str, Any]:
        """The prior-capability protocol as `sdft.evaluate` takes it; a sweep may look at fewer items."""
        prior = self.scale.prior
        values = prior.model_dump(mode="json", exclude={"sweep_limit", "sweep_batch_size", "revisions"})
        for task in values["tasks"].values():
            # A sweep looks at what is compared only.
            if sweep or not task["siblings"]:
                task.pop("siblings")
        local = values.pop("local_data") or self.scale.data.source == "miniature"
        values["data_dir"] = self.path(paths.BENCHMARKS_FOLDER) if local else None
        if not local:
            values["store"] = self.path(paths.PRIOR_DATA_FOLDER)
        if sweep and prior.sweep_limit is not None:
            values["limit"] = prior.sweep_limit
        if sweep and prior.sweep_batch_size is not None:
            values["batch_size"] = prior.sweep_batch_size
        return values

    def runs(self) -> list[RunSpec]:
        """Every run of Table 5 and of the studies, each once, with all that these runs start from."""
        return list(self._by_id.values())

    @cached_property
    def _by_id(self) -> dict[str, RunSpec]:
        found: dict[str, RunSpec] = {}
        for study, tasks, arms, shared, orders in [
            ("table5", self.tasks, self.scale.arms, (), ()),
            *((n, entry.tasks, entry.arms, entry.share, entry.orders) for n, entry in self.scale.possible.items()),
        ]:
            for task, arm in product(tasks, arms):
                chains = [self.stages(arm, order, seed) for order in orders for seed in self.study_seeds(study)]
                finals = [run for chain in chains for run in chain] if orders else self.finals(study, task, arm)
                self._add(found, (*self.candidates(task, arm), *finals))
            # A study may have tasks that Table 5 lacks, on which the shared arms are then trained for it alone.
            for task, arm in product(tasks, shared):
                self._add(found, self.shared(study, task, arm))
        return found

    def _add(self, found: dict[str, RunSpec], runs: Iterable[RunSpec]) -> None:
        """Add runs, the sweeps whose winners they take, and the runs they start from."""
        for run in runs:
            if run.id not in found:
                found[run.id] = run
                if run.selected:
                    self._add(found, self.candidates(run.task, self.arm(run.arm).like or run.arm))
                # A later stage of a sequence starts from the stage before it, which is among `runs` already.
                parent = self._parent(run.task, run.arm, run.seed, run.draw)
                self._add(found, [parent] if parent else [])

    def released(self) -> dict[str, Any]:
        """What `sdft.pages.released` reads: the released checkpoints and where their scores lie."""
        files = self.scale.data.files
        return {
            "scale": self.name,
            "evidence": self.scale.evidence,
            "checkpoints": [
                {
                    "name": name,
                    "task": entry.task,
                    "method": entry.method,
                    "from": entry.path or entry.architecture or f"{entry.repository}@{entry.revision}",
                    "scores": self.path(paths.RELEASED_SCORES, model=name, task=entry.task),
                    "data": self.data_path(entry.task, "test"),
                    "versions": rules.test_versions if (rules := files(entry.task)) else [],
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
        """The run of that name. Raises SdftError when the plan has none."""
        if run not in self._by_id:
            raise SdftError(
                f"the plan of scale {self.name} has no run named {run!r}; a run is renamed "
                "when the configuration of what defines it changes, so ask for a target instead."
            )
        return self._by_id[run]

    def longest(self, task: str, model: str) -> RunSpec:
        """The run whose prompts and completions on a task are counted for a base model before anything is trained.

        One that shows the demonstration beside the question, where there is one, since such a prompt is the longest.
        """
        own = [run for run in self._by_id.values() if (run.task, run.base) == (task, model)]
        return max(own, key=lambda run: (find_method(run.method).shows_demonstration, run.settings.max_new_tokens))
