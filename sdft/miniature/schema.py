"""What the two commands of the miniature world are told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sdft.common.schema import NonNegative, Positive, Strict

# Documents that a base model reads in its first stage. The smallest reads a quarter, after which it learns poorly in
# context, as the paper's smallest model does (docs/miniature.md).
DOCUMENTS = 136 * 1024
FEWER_DOCUMENTS = {"xs": DOCUMENTS // 4}
# Items of each prior benchmark, and prompts of no task.
BENCHMARK_ITEMS = 150
GENERAL_PROMPTS = 384


class DataSpec(Strict):
    """`python -m sdft.miniature.data`: a part to write (default: all), and how large it is where the world's own is not
    meant."""

    out: Annotated[str, Field(description="folder that gets a folder for each part")]
    task: Annotated[str | None, Field(description="write this part only: a task, general (prompts) or benchmarks")] = (
        None
    )
    world_seed: Annotated[NonNegative, Field(description="names and facts of the world")] = 0
    draw: Annotated[NonNegative, Field(description="of the symbols and facts that the tasks teach")] = 0
    symbols: Annotated[
        Positive | None, Field(description="new substances, verbs, symptom pairs or facts of the task")
    ] = None
    train: Annotated[Positive | None, Field(description="records of the train split")] = None
    validation: Annotated[Positive | None, Field(description="records of the validation split")] = None
    test: Annotated[Positive | None, Field(description="records of the test split")] = None
    benchmark_items: Annotated[Positive, Field(description="items of each prior benchmark")] = BENCHMARK_ITEMS
    general: Annotated[Positive, Field(description="general prompts")] = GENERAL_PROMPTS


class PretrainSpec(Strict):
    """`python -m sdft.miniature.pretrain`."""

    out: Annotated[str, Field(description="folder of the model")]
    size: Annotated[str, Field(description="xs, s, m or l")] = "m"
    seed: Annotated[NonNegative, Field(description="weights, documents and their order")] = 0
    world_seed: Annotated[NonNegative, Field(description="names and facts of the world")] = 0
    documents: Annotated[
        Positive | None, Field(description="documents of the first stage (default: 139264, and 34816 for xs)")
    ] = None
    threads: Annotated[Positive, Field(description="CPU threads; more change the last bits")] = 1
    save_minutes: Annotated[float, Field(description="minutes between checkpoints")] = 2.0


def size_and_seed(model: str) -> tuple[str, int] | None:
    """What the name of a base model says, for example m-s1; None where it is not one of this world's names."""
    size, found, seed = model.partition("-s")
    return (size, int(seed)) if found and seed.isdigit() else None
