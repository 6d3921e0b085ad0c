"""Whether the miniature world's prompts fit the length limits of a scale.

Prompts from files are counted when the files are there (`sdft.learning.lengths`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache, partial
from itertools import product
from pathlib import Path

from sdft.common.errors import SdftError
from sdft.common.files import read_json
from sdft.methods import find_method
from sdft.models.random_weights import CONTEXT as RANDOM_CONTEXT
from sdft.study.plan import Plan
from sdft.study.schema import Scale

# Positions of the world's base models (sdft.miniature.pretrain), and a bound of its longest prompts in tokens.
CONTEXT = 256
LONGEST = 128


def context_of(scale: Scale, model: str) -> int | None:
    """The longest sequence in tokens of a base model that is made here or whose files are here; None for any other."""
    source = scale.models.sources.get(model)
    if scale.models.origin(model) == "trained":
        return CONTEXT
    if scale.models.origin(model) == "random":
        return RANDOM_CONTEXT
    if scale.models.origin(model) == "released":
        folder = Path(scale.models.path) / model
    elif source is not None and source.path is not None:
        folder = Path(os.path.expanduser(os.path.expandvars(source.path)))
    else:
        return None
    file = folder / "config.json"
    found = read_json(file).get("max_position_embeddings") if file.is_file() else None
    return found if isinstance(found, int) else None


def check_lengths(plan: Plan, pairs: list[tuple[str, str]]) -> None:
    """Raise SdftError where prompts of the miniature world are too long to be trained or measured on.

    pairs: tasks with the arms that are trained on them. Rows are made only where a limit may be too small for them, and
    nothing is said of base models with a tokenizer of their own.
    """
    place = f"scales.{plan.name}"
    # A model's file is read once for all arms.
    positions = cache(partial(context_of, plan.scale))
    for task, name in pairs:
        settings = plan.config.settings_of(plan.name, name)
        arm = plan.arm(name)
        models = arm.models or plan.scale.models.names
        if not all(_reads_the_world(plan.scale, model) for model in models):
            continue
        context = min(positions(model) or CONTEXT for model in models)
        limits = [settings.max_prompt_tokens or context]
        kind = find_method(arm.method)
        if kind.sampling is not None:
            limits.append(context - settings.max_new_tokens)
        if settings.overlong == "truncate_left" or min(limits) >= LONGEST or kind.rows == "corpus":
            continue
        style = (arm.demonstration or plan.scale.demonstration) if kind.shows_demonstration else None
        found = _lengths(plan, "general" if kind.rows == "prompts" else task, style)
        longer = sum(length > min(limits) for length in found)
        # Without drop_last a batch may be smaller.
        batch = max(values.batch_size for values in plan.hyperparameters(name, task)) if settings.drop_last else 1
        refused = settings.overlong == "error"
        if longer and (refused or len(found) - longer < batch):
            raise SdftError(
                f"{place}.{plan.scale.place_of(name)}: {longer} of {len(found)} prompts of {task} are longer than the "
                f"{min(limits)} tokens that max_prompt_tokens and max_new_tokens leave (the longest has {max(found)}), "
                f"and overlong: {settings.overlong} "
                + ("refuses such rows" if refused else f"leaves fewer than one batch of {batch}")
                + "; allow longer prompts, or set training.overlong: truncate_left."
            )
    for model, (task, style) in product(plan.bases, _measured(plan)):
        if not _reads_the_world(plan.scale, model):
            continue
        rules = plan.scale.evaluation_of(model)
        limit = rules.max_prompt_tokens
        if limit is None or limit >= LONGEST or rules.overlong != "error" or plan.scale.data.origin(task) != "made":
            continue
        longest = max(_lengths(plan, task, style, ("validation", "test")))
        if longest > limit:
            raise SdftError(
                f"{place}.evaluation.max_prompt_tokens: prompts of {task} have up to {longest} tokens, and those with "
                f"more than {limit} are refused; set it to at least {longest}, or evaluation.overlong: truncate_left."
            )


def _reads_the_world(scale: Scale, model: str) -> bool:
    """Whether a base model has the miniature world's tokenizer: the prompts are counted in its tokens."""
    return scale.models.origin(model) in ("released", "trained", "random")


def _measured(plan: Plan) -> Iterator[tuple[str, str | None]]:
    """Tasks that models are measured on, each with the demonstration that they are shown."""
    yield from product(plan.tasks, [None])
    for study in plan.scale.running.values():
        yield from product(study.every_task(), [None, *study.contexts])


def _lengths(plan: Plan, task: str, style: str | None, splits: tuple[str, ...] = ("train",)) -> list[int]:
    """Tokens of the prompts of some splits of a task, or of the general prompts, with a demonstration of that style."""
    from dataclasses import replace

    from sdft.miniature.data import SIZES, general_records, task_records
    from sdft.miniature.world import make_world

    data = plan.scale.data
    world = make_world(data.world_seed)
    if task == "general":
        rows = general_records(world, data.general_prompts, data.benchmark_items)
    else:
        size = replace(SIZES[task], **data.sizes[task].model_dump(exclude_none=True))
        made = task_records(world, task, size)
        rows = [row for split in splits for row in made[split]]
    shown = [row.meta["teacher_prompt_tokens"].get(style) if style else None for row in rows]
    return [own or row.meta["prompt_tokens"] for own, row in zip(shown, rows, strict=True)]
