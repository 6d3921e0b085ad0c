"""Which prior capabilities a comparison measures: tasks of lm_eval, by default those whose data are on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError
from sdft.evaluate.prior import DEFAULTS, check_config, data_sets, shipped_protocol
from sdft.models.files import load_tokenizer
from sdft.study.checks import check_benchmark
from sdft.study.definitions import definition, own_folder
from sdft.study.schema import PriorTask


def protocol(asked: list[str], model: Path, items: int, data: Path) -> tuple[dict[str, Any], list[str]]:
    """What `sdft.evaluate` takes as prior_config, and what there is to say of it.

    asked: ["auto"], ["none"], or names of tasks, {task} or {task}:{metric}. data: folder for the items of the miniature
    world, whose models cannot read anything else. Raises SdftError for a task or metric that lm_eval does not have.
    """
    if asked == ["none"]:
        return {"tasks": {}}, ["what was forgotten is not measured (--forgetting none)"]
    small = is_miniature(model)
    known = shipped_protocol("mini" if small else "paper")
    if small:
        known["data_dir"] = str(data / "benchmarks")
        if asked == ["auto"] or all(name in known["tasks"] for name in asked):
            make_miniature(data, "benchmarks", items)
    if asked != ["auto"]:
        own = all(name in known["tasks"] for name in asked)
        shared = known if own else {key: known.get(key, DEFAULTS[key]) for key in ("batch_size", "apply_chat_template")}
        return check_config(
            {**shared, "tasks": dict(_named(name, known["tasks"]) for name in asked), "limit": items}
        ), []
    if small:
        return check_config({**known, "limit": items}), []
    there = {name: entry for name, entry in known["tasks"].items() if _cached({**known, "tasks": {name: entry}})}
    absent = sorted(known["tasks"].keys() - there)
    notes = []
    if absent:
        notes.append(
            f"not measured, since their data are not on this machine: {', '.join(absent)} (--forgetting NAME fetches "
            "them where there is a network)"
        )
    return ({"tasks": {}} if not there else check_config({**known, "tasks": there, "limit": items})), notes


def is_miniature(model: Path) -> bool:
    """Whether a model speaks the miniature world's language, and so can answer nothing else."""
    from sdft.miniature.tokenizer import vocabulary

    words = load_tokenizer(model).get_vocab()
    return words.keys() >= set(vocabulary())


def make_miniature(data: Path, part: str, items: int) -> None:
    """Write the items of the world's benchmarks, or its general prompts; the same call gives the same bytes."""
    from sdft.miniature.data import main

    size = "--benchmark-items" if part == "benchmarks" else "--general"
    main(["--task", part, "--out", str(data), size, str(items)])


def _named(name: str, known: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """A benchmark of the paper by its name, or a task of lm_eval with the metric that is asked for or comes first."""
    name, _, metric = name.partition(":")
    if name in known and not metric:
        return name, known[name]
    folder = own_folder()
    if folder is None:
        raise SdftError(
            "lm_eval, which measures prior capabilities, is not installed; install it (requirements.txt), or give "
            "--forgetting none."
        )
    found = definition(folder, name)
    if found and not (metric or found.metrics):
        raise SdftError(f"the task {name} names no metric in its file; give one, as in {name}:acc.")
    # A task that filters its replies has no metric without a filter.
    parts = [metric or found.metrics[0], *found.filters[:1]] if found else ["acc"]
    entry = {"task": name, "metric": ",".join(parts)}
    check_benchmark("--forgetting", folder, PriorTask(**entry))
    return name, entry


def _cached(config: dict[str, Any]) -> bool:
    """Whether every data set of a protocol is in the Hugging Face cache."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folders = [Path(HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}" for name in data_sets(config)]
    return bool(folders) and all(any(folder.glob("snapshots/*")) for folder in folders)
