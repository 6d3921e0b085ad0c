"""Data and base models: which scales make them in which way, and what makes them is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sdft.common.files import digest, read_json
from sdft.data.fetch import local_path
from sdft.methods import find_method
from sdft.miniature.schema import DataSpec, PretrainSpec, size_and_seed
from sdft.models.schema import ORIGIN, BaseModelSource, ModelSpec
from sdft.study import paths
from sdft.study.plan import Plan
from sdft.study.schema import Config
from sdft.study.specs import BenchmarkDataSpec, LengthsSpec, as_text
from sdft.study.steps.measures import benchmark_files


def data_scales(config: Config, source: str) -> str:
    """A wildcard pattern of the scales whose data come from the source."""
    return _pattern(name for name, scale in config.scales.items() if scale.data.source == source)


def task_scales(config: Config, task: str, *origins: str) -> str:
    """A wildcard pattern of the scales in which a task's rows have one of these origins."""
    return _pattern(name for name, scale in config.scales.items() if scale.data.origin(task) in origins)


def model_scales(config: Config, *origins: str) -> str:
    """A wildcard pattern of the scales with base models of some origins, if the path goes on with one of these."""
    rest = paths.BASE.removeprefix(paths.ROOT)
    found = {
        name: [re.escape(model) for model in scale.every_model() if scale.models.origin(model) in origins]
        for name, scale in config.scales.items()
    }
    return _pattern(
        f"{name}(?={rest.format(model='(' + '|'.join(models) + ')')})" for name, models in found.items() if models
    )


def _pattern(names: Iterable[str]) -> str:
    return "|".join(names) or "none"


def miniature_spec(plan: Plan, task: str, draw: str = "", **_: str) -> str:
    """A part of the miniature world's data: a task in one of its draws, `general` or `benchmarks`."""
    data = plan.scale.data
    own: dict[str, Any] = {"draw": int(draw[1:])} if draw else {}
    if task in data.sizes:
        own |= data.sizes[task].model_dump(exclude_none=True)
    else:
        own["benchmark_items"] = data.benchmark_items
        if task == "general":
            own["general"] = data.general_prompts
    out = plan.path(paths.DATA_ROOT, draw=draw)
    return as_text(DataSpec(out=out, task=task, world_seed=data.world_seed, **own))


def data_spec(plan: Plan, task: str, **_: str) -> str:
    """The data block of a scale, of it what concerns one task, `general` or `benchmarks`."""
    return plan.scale.data.preparation(task, plan.scale.demonstration).model_dump_json(exclude_defaults=True)


def local_data_files(plan: Plan, task: str, **_: str) -> list[str]:
    """The files on this machine that a task's rows come from."""
    found = map(local_path, plan.scale.data.tasks[task].sources)
    return [str(path) for path in found if path and path.exists()]


def local_model_files(plan: Plan, model: str, **_: str) -> list[str]:
    """The files of a base model that lies in a local folder."""
    folder = local_path(plan.scale.models.sources[model])
    return [] if folder is None else sorted(map(str, [*folder.glob("config.json"), *folder.glob("*.safetensors")]))


def lengths_spec(plan: Plan, task: str, model: str, **_: str) -> str:
    """The prompts that are counted for a task and a base model."""
    run = plan.longest(task, model)
    return as_text(
        LengthsSpec(
            model=plan.base_path(model),
            data=plan.path(paths.DATA_FOLDER, task=task),
            demonstration=run.demonstration,
            settings=run.settings,
            evaluation=plan.scale.evaluation_of(model),
            out=plan.lengths_path(task, model),
        )
    )


def prior_data_scales(config: Config) -> str:
    """A wildcard pattern of the scales whose prior benchmarks read data sets of the hub."""
    return _pattern(name for name in config.scales if Plan(config, name).prior_config()["data_dir"] is None)


def prior_data_spec(plan: Plan, **_: str) -> str:
    """The data sets of the hub that a scale's prior benchmarks read, and the commits at which they are pinned."""
    config = {key: value for key, value in plan.prior_config().items() if key != "store"}
    out = plan.path(paths.PRIOR_DATA_FOLDER)
    return as_text(BenchmarkDataSpec(prior_config=config, revisions=plan.scale.prior.revisions, out=out))


def download_files(plan: Plan) -> list[str]:
    """What Table 5 needs of the outside: base models, rows of its tasks and benchmarks, and general prompts.

    A scale that makes its own data has these here too.
    """
    files = [plan.base_path(model) for model in plan.bases]
    files += dict.fromkeys(plan.data_path(task, "train", model) for task in plan.tasks for model in plan.bases)
    if any(find_method(plan.arm(arm).method).rows == "prompts" for arm in plan.arms):
        files.append(plan.data_path("general", "train"))
    return [*files, *benchmark_files(plan)]


def released_model_folder(plan: Plan, model: str, **_: str) -> str:
    """The folder of a base model that is released with this repository."""
    return f"{plan.scale.models.path}/{model}"


def released_digests(plan: Plan, **_: str) -> str:
    """The digests that are released with a scale's base models."""
    return f"{plan.scale.models.path}/sha256.json"


def released_digest(plan: Plan, model: str, **_: str) -> str:
    """A digest over the released files of a base model; that of null where there is none of that name."""
    return digest(read_json(released_digests(plan)).get(model))


def pretrain_spec(plan: Plan, model: str, **_: str) -> str:
    """A miniature base model, whose name says its size and seed, in the study's world."""
    size, seed = size_and_seed(model)
    own = {} if plan.scale.models.documents is None else {"documents": plan.scale.models.documents}
    folder = plan.path(paths.BASE_WEIGHTS, model=model)
    return as_text(PretrainSpec(out=folder, size=size, seed=seed, world_seed=plan.scale.data.world_seed, **own))


def requirements(plan: Plan, model: str, **_: str) -> list[str]:
    """The command that holds a trained miniature base model to its requirements, where it has to be fit for the study:
    size m, trained in full. Elsewhere one that does nothing."""
    if not model.startswith("m-") or plan.scale.models.documents:
        return ["true"]
    command = ["python", "-m", "sdft.evaluate.requirements", "--world-seed", str(plan.scale.data.world_seed)]
    command += ["--model", plan.path(paths.BASE_WEIGHTS, model=model)]
    return [*command, "--out", plan.path(paths.REQUIREMENTS, model=model)]


def source_spec(plan: Plan, model: str, **_: str) -> str:
    """Where a base model or a released checkpoint comes from. How it is used decides nothing about its files."""
    scale = plan.scale
    source = (scale.models.sources | scale.released)[model]
    folder = paths.RELEASED_FOLDER if model in scale.released else paths.BASE_FOLDER
    return as_text(
        ModelSpec(
            name=model,
            source=BaseModelSource(**source.model_dump(include=set(ORIGIN))),
            tokenizer=scale.models.tokenizer,
            out=plan.path(folder, model=model),
        )
    )
