"""What a study asks of the miniature world and of files, which the grammar of config.yaml does not know.

Nothing here decides a result: a study is refused, or runs as it was read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import product
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.files import read_json
from sdft.data.schema import MiniatureData, OfficialData
from sdft.methods import find_method
from sdft.miniature.style import EXPERTS
from sdft.miniature.world import make_world, new_symbols
from sdft.study import definitions
from sdft.study.drawn import check_drawn
from sdft.study.plan import Plan
from sdft.study.prompt_lengths import check_lengths, context_of
from sdft.study.rows import method_rows, stated_rows
from sdft.study.schema import Config, PriorTask, Scale
from sdft.study.shots import check_shots
from sdft.tasks import find_task, task_names

# Sizes of base models that can be trained anew: the keys of sdft.miniature.pretrain.SIZES, which is not light.
TRAINED_SIZES = ("xs", "s", "m", "l")


def check_world(config: Config) -> None:
    """Raise SdftError for models, symbols or demonstrations that the miniature world does not have."""
    for name, scale in config.scales.items():
        _check_trained(f"scales.{name}", scale)
        if scale.data.source == "miniature":
            _check_symbols(f"scales.{name}.data.sizes", scale.data)
        for key, style, tasks in _demonstrations(scale):
            for task in tasks:
                known = _known_styles(scale, task)
                if known is not None and style not in known:
                    raise SdftError(
                        f"scales.{name}.{key}: no demonstration of {task} has the style {style!r}; "
                        f"{did_you_mean(style, known)}"
                    )
        _check_rows(name, scale)
        _check_templates(Plan(config, name))
        _check_families(Plan(config, name))
        _check_own_facts(Plan(config, name))


def check_files(config: Config) -> None:
    """Raise SdftError for released models and benchmarks that are not in the folders that a scale names, and for a
    model whose context is too short for what is sampled from it."""
    for name, scale in config.scales.items():
        _check_released(f"scales.{name}.models", scale)
        _check_benchmarks(f"scales.{name}.prior", scale)
        _check_contexts(config, name)


def check_sizes(plan: Plan) -> None:
    """Raise SdftError where files or the miniature world have too few rows for the sizes of a scale's tasks, benchmarks
    and general prompts, or benchmarks too few examples, or the world's prompts are too long for the scale's limits."""
    data, folder = plan.scale.data, _definitions(plan.scale)
    check_drawn(plan)
    if folder is not None:
        check_shots(f"scales.{plan.name}.prior.num_fewshot", plan.scale, folder)
    if not isinstance(data, MiniatureData):
        return
    # Not light.
    from sdft.miniature.data import BENCHMARKS, SIZES, benchmark_questions, general_questions, task_items

    world = make_world(data.world_seed)
    try:
        for name in BENCHMARKS:
            benchmark_questions(world, name, data.benchmark_items)
        general_questions(world, data.general_prompts, data.benchmark_items)
    except SdftError as error:
        raise SdftError(f"scales.{plan.name}.data: {error}") from None
    for task, size in data.sizes.items():
        try:
            task_items(world, task, replace(SIZES[task], **size.model_dump(exclude_none=True)))
        except SdftError as error:
            raise SdftError(f"scales.{plan.name}.data.sizes.{task}: {error}") from None
    check_lengths(plan, [pair for pair in _trained(plan.scale) if data.origin(pair[0]) == "made"])


def check_batches(plan: Plan) -> None:
    """Raise SdftError for an arm whose training rows fill no batch, or whose longest candidate ends in its warm-up.

    A batch is that of its largest candidate, where one that is not full is dropped. Rows are counted as the forecast
    counts them; a file whose number of rows nobody has stated is not judged.
    """
    for task, name in _trained(plan.scale):
        arm, settings = plan.arm(name), plan.config.settings_of(plan.name, name)
        if not _stated(plan.scale, task, arm.method):
            continue
        place, rows = f"scales.{plan.name}.{plan.scale.place_of(name)}", method_rows(plan, task, arm.method)
        replaced = arm.replace.model_dump(exclude_unset=True)
        runs = [values.model_dump() | replaced for values in plan.hyperparameters(name, task)]
        largest = max(run["batch_size"] for run in runs)
        if settings.drop_last and rows < largest:
            raise SdftError(
                f"{place}: on {task} it trains on about {rows} rows, which do not fill one batch of {largest}, and "
                "drop_last leaves out a batch that is not full; choose a smaller batch_size, or set drop_last: false "
                "in the arm's settings."
            )
        steps = max(run["epochs"] * -(-rows // run["batch_size"]) for run in runs)
        # The published recipe is not ours to refuse.
        if settings.warmup(steps) > steps and plan.config.sweep != "published":
            raise SdftError(
                f"{place}: on {task} its longest run has about {steps} steps, and the warm-up has "
                f"{settings.warmup_steps}, so the learning rate would never be reached; set warmup_steps in the "
                "arm's settings or in the scale's training, or train for more epochs."
            )


def _trained(scale: Scale) -> list[tuple[str, str]]:
    """Every task with every arm that is trained on it, each pair once.

    With an arm go the one whose winner it takes and the one from whose run it starts.
    """
    pairs = [*product(scale.tasks, scale.arms)]
    for study in scale.running.values():
        pairs += [*product(study.every_task(), study.arms), *product(study.tasks, study.share)]
    for task, name in pairs:
        arm = scale.find_arm(name)
        pairs += [(task, other) for other in (arm.like, arm.starts_from) if other and (task, other) not in pairs]
    return list(dict.fromkeys(pairs))


def _stated(scale: Scale, task: str, method: str) -> bool:
    """Whether the configuration itself says how many rows a method trains on, or at most."""
    limited = isinstance(scale.data, OfficialData) and scale.data.limit
    if limited or find_method(method).rows == "prompts" or scale.data.files(task) is None:
        return True
    return stated_rows(scale.data.files(task).train) is not None


def styles(task: str) -> list[str]:
    """The demonstrations that the miniature world writes with each record of a task."""
    articles = ("article", *(f"article_{name}" for name in EXPERTS)) if "corpus" in find_task(task).splits else ()
    return [*EXPERTS, *articles, "answer"]


def _known_styles(scale: Scale, task: str) -> Sequence[str] | None:
    """The styles of a task's demonstrations; None where a file of the user's own names them."""
    if isinstance(scale.data, MiniatureData) and task in scale.data.sizes:
        return styles(task)
    files = scale.data.files(task)
    return None if files is not None and files.train.is_jsonl else find_task(task).styles


def _check_rows(name: str, scale: Scale) -> None:
    """Raise SdftError for an arm whose method trains on rows that the scale's data does not have."""
    for task, arm in _trained(scale):
        method = scale.find_arm(arm).method
        place, rows = f"scales.{name}.{scale.place_of(arm)}", find_method(method).rows
        general = rows == "prompts" or find_method(method).replays
        if general and isinstance(scale.data, OfficialData) and scale.data.general is None:
            raise SdftError(
                f"{place}: {method} trains on general prompts, and scales.{name}.data.general, which says where they "
                "come from, is empty; fill it in, or leave the arm out."
            )
        if rows == "corpus" and "corpus" not in find_task(task).splits:
            others = ", ".join(other for other in task_names() if "corpus" in find_task(other).splits)
            raise SdftError(
                f"{place}: {method} trains on raw texts, and the task {task} has none; train it on a task that has "
                f"({others}), or leave the arm out."
            )


def _check_templates(plan: Plan) -> None:
    """Raise SdftError where a base model is measured with a demonstration that arms show in different templates."""
    for study in plan.scale.studies.values():
        for task, context in product(study.tasks, study.contexts):
            plan.teacher_template(task, context)


def _check_own_facts(plan: Plan) -> None:
    """Raise SdftError for a study with facts of its own for every seed where the world cannot draw them."""
    for name, study in plan.scale.studies.items():
        place = f"scales.{plan.name}.studies.{name}.own_facts"
        tasks, data = study.every_task(), plan.scale.data
        if not study.own_facts:
            continue
        if not isinstance(data, MiniatureData) or not data.own_facts:
            key = f"set scales.{plan.name}.data.own_facts: true, or " if isinstance(data, MiniatureData) else ""
            raise SdftError(f"{place}: base models have no facts of their own, so seeds have none; {key}leave it out.")
        if len(tasks) > 1 or data.origin(tasks[0]) != "made":
            raise SdftError(
                f"{place}: facts are drawn for every seed in a study of one task, whose rows the miniature world "
                f"makes, and this one is of {', '.join(tasks)}; name one such task, or leave it out."
            )
        for arm in (*study.share, *study.arms):
            learnt: dict[tuple[str, str], int] = {}
            for seed in plan.study_seeds(name):
                facts = (plan.base_of(seed, arm), plan.later_draw(name, seed, arm))
                if learnt.setdefault(facts, seed) != seed:
                    raise SdftError(
                        f"{place}: the seeds {learnt[facts]} and {seed} would learn the same facts, both from "
                        f"{facts[0]}; leave one of them out, or give the study the seeds after the scale's."
                    )


def _check_families(plan: Plan) -> None:
    """Raise SdftError for an arm that starts from a run whose base model is not its own."""
    for name, arm in plan.scale.every_arm():
        study = plan.study_of(name)
        staged = study in plan.scale.studies and plan.scale.studies[study].orders
        start = arm.starts_from or (arm.like if staged else None)
        for seed in plan.study_seeds(study) if start else ():
            own, other = plan.base_of(seed, name), plan.base_of(seed, start)
            if own != other:
                raise SdftError(
                    f"scales.{plan.name}.{plan.scale.place_of(name)}: its run of seed {seed} belongs to the base model "
                    f"{own} and starts from the run of {start}, which was trained from {other}; give both arms the "
                    "same models, and their studies the same seeds."
                )


def _check_symbols(place: str, data: MiniatureData) -> None:
    most = new_symbols(make_world(data.world_seed))
    for task, size in data.sizes.items():
        if task not in most:
            raise SdftError(
                f"{place}.{task}: the miniature world makes no rows of this task; give its files under "
                f"data.tasks.{task}, {{train: {{path: train.jsonl}}, test: {{path: test.jsonl}}}}."
            )
        if size.symbols is not None and size.symbols > most[task]:
            raise SdftError(
                f"{place}.{task}.symbols: {size.symbols} is more than the world's {most[task]} new symbols of "
                f"this task; give at most {most[task]}."
            )


def _demonstrations(scale: Scale) -> Iterator[tuple[str, str, list[str]]]:
    """Every key that names a style of demonstration, with the style and the tasks that it is shown on."""
    yield "demonstration", scale.demonstration, list(scale.tasks)
    places = [("", scale.tasks, scale.arms)]
    for name, study in scale.running.items():
        places.append((f"studies.{name}.", study.every_task(), study.arms))
        for context in study.contexts:
            yield f"studies.{name}.contexts", context, list(study.tasks)
    for place, tasks, arms in places:
        for name, arm in arms.items():
            if arm.demonstration is not None:
                yield f"{place}arms.{name}.demonstration", arm.demonstration, list(tasks)


def _check_trained(place: str, scale: Scale) -> None:
    models = [model for model in scale.every_model() if scale.models.origin(model) == "trained"]
    if models and scale.data.source != "miniature":
        raise SdftError(
            f"{place}.models.source: only a base model of the miniature world can be trained, and {place}.data.source "
            f"is {scale.data.source}; take models from the hub, or random ones."
        )
    for model in models:
        if not re.fullmatch(rf"({'|'.join(TRAINED_SIZES)})-s[0-9]+", model):
            raise SdftError(
                f"{place}.models: {model!r} does not say how it is trained; name it SIZE-sSEED, for example m-s1, "
                f"with a size of {', '.join(TRAINED_SIZES)}."
            )


def _check_released(place: str, scale: Scale) -> None:
    models = [model for model in scale.every_model() if scale.models.origin(model) == "released"]
    if not models:
        return
    digests = Path(scale.models.path) / "sha256.json"
    if not digests.is_file():
        raise SdftError(
            f"{place}.path: {scale.models.path} holds no sha256.json, so it is no folder of released models; name one "
            f"that does (released/mini), or set source: trained. {_start(digests)}"
        )
    known = read_json(digests)
    for model in models:
        if model not in known:
            raise SdftError(f"{place}: {digests} has no model {model!r}; {did_you_mean(model, known)}")
        record = Path(scale.models.path) / model / "base.json"
        world = read_json(record).get("world_seed") if record.is_file() else None
        if world is not None and scale.data.source == "miniature" and world != scale.data.world_seed:
            raise SdftError(
                f"{place}: {model} knows the world of seed {world}, and data.world_seed is {scale.data.world_seed}; "
                f"set that to {world}, or models.source: trained."
            )


def _start(path: Path) -> str:
    """Where a relative path starts, as a sentence; empty for an absolute path."""
    here = f"Relative paths start from the current folder, {Path.cwd()}: run from the repository's root."
    return "" if path.is_absolute() else here


def _check_contexts(config: Config, name: str) -> None:
    """Raise SdftError where a completion that an arm samples leaves no room for a prompt in a base model's context."""
    scale = config.scales[name]
    positions = cache(partial(context_of, scale))
    for arm, entry in scale.every_arm():
        if find_method(entry.method).sampling is None:
            continue
        longest = config.settings_of(name, arm).max_new_tokens
        for model in entry.models or scale.models.names:
            context = positions(model)
            if context is not None and longest >= context:
                raise SdftError(
                    f"scales.{name}.{scale.place_of(arm)}: max_new_tokens (of training, or of the arm's settings) is "
                    f"{longest}, and the context of the base model {model} holds {context} tokens, so no prompt fits "
                    f"beside a completion; set it below {context}, or take a model with a longer context."
                )


def _definitions(scale: Scale) -> Path | None:
    """The folder of the benchmarks' definitions; None for lm_eval's own where it is not installed."""
    return definitions.own_folder() if scale.prior.include_path is None else Path(scale.prior.include_path)


def _check_benchmarks(place: str, scale: Scale) -> None:
    folder = _definitions(scale)
    if folder is None:
        # Without lm_eval nothing can be measured either, which the doctor says.
        return
    if not folder.is_dir():
        raise SdftError(
            f"{place}.include_path: the folder {folder} of benchmark definitions does not exist. {_start(folder)}"
        )
    for benchmark, entry in scale.prior.tasks.items():
        check_benchmark(f"{place}.tasks.{benchmark}", folder, entry)


def check_benchmark(place: str, folder: Path, entry: PriorTask) -> None:
    """Raise SdftError where a folder of definitions lacks a task, or the task the metric or its filter."""
    for task in (entry.task, *entry.siblings):
        if definitions.definition(folder, task) is None:
            hint = did_you_mean(task, definitions.names(folder))
            # lm_eval has thousands of tasks.
            hint = hint if len(hint) < 200 else "look for its name among lm_eval's tasks."
            raise SdftError(f"{place}: {folder} defines no task {task!r}; {hint}")
    found = definitions.definition(folder, entry.task)
    # lm_eval joins a metric and its filter with a comma.
    metric, _, chosen = entry.metric.partition(",")
    if found.metrics and metric not in found.metrics:
        raise SdftError(f"{place}: {entry.task} has no metric {metric!r}; {did_you_mean(metric, found.metrics)}")
    if chosen and chosen not in ("none", *found.filters):
        hint = did_you_mean(chosen, ["none", *found.filters])
        raise SdftError(f"{place}: {entry.task} has no filter {chosen!r} for its metric; {hint}")
