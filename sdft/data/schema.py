"""What the configuration says of data: the miniature world's, or official files with their revisions."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema, field_validator, model_validator

from sdft.common.endpoint import EndpointConfig
from sdft.common.errors import SdftError
from sdft.common.schema import NonNegative, Positive, Repository, Strict
from sdft.tasks import find_task, task_names


def _known(name: str) -> str:
    try:
        find_task(name)
    except SdftError as error:
        raise ValueError(str(error)) from None
    return name


# A task that a file in sdft/tasks/ defines.
TaskName = Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": list(task_names()), "type": "string"})]


class DataSize(Strict):
    """Rows of one task's splits and, in the miniature world, how many new symbols it has."""

    train: Positive
    validation: Positive
    test: Positive
    symbols: Positive | None = None


class MiniatureData(Strict):
    """The miniature world's data: made, never downloaded."""

    source: Literal["miniature"]
    world_seed: NonNegative = 0
    sizes: dict[TaskName, DataSize]
    benchmark_items: Positive = 150
    general_prompts: Positive = 384


class Source(Strict):
    """Where one upstream file is found: a local path where the user has it, else a pinned revision of a repository.

    file: the path inside the repository, of a JSON or parquet file or of a folder saved by the datasets library.
    sha256: of the file, or of the folder's data file; null where only the revision pins it.
    """

    path: str | None = None
    github: Repository | None = None
    hub: Repository | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    file: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    rows: Positive | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if self.github and self.hub:
            raise ValueError("give github or hub, not both; a file has one upstream")
        if not (self.github or self.hub):
            if self.path is None:
                raise ValueError("give a local path, or github or hub with revision and file")
        elif self.revision is None or self.file is None:
            raise ValueError("an upstream file needs its revision (40 hex digits, no branch) and file")
        return self


class Writer(EndpointConfig):
    """Who writes questions and answers about an article."""

    max_tokens: Positive = 16000
    cache: str = "results/writer"


class Article(Strict):
    """One article: a text file, or Wikipedia's at a revision (the number after oldid= in a permanent link).

    sha256: of the text that is made of it, null where only the revision pins it.
    """

    title: str = Field(min_length=1)
    path: str | None = None
    revision: Positive | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None


class KnowledgeData(Strict):
    """Articles, and how many questions about each a model writes. Explained key by key in config.yaml."""

    articles: list[Article] = Field(min_length=1)
    writer: Writer | None = None
    train: Positive = 100
    test: Positive = 20
    ood: Positive = 20
    similarity: Annotated[float, Field(gt=0, le=100)] = 90.0
    window_characters: Positive = 12000
    corpus_characters: Positive = 8000
    rounds: Positive = 4

    @field_validator("articles")
    @classmethod
    def distinct(cls, articles: list[Article]) -> list[Article]:
        if len({article.title for article in articles}) != len(articles):
            raise ValueError("two articles have the same title")
        return articles


class OfficialTask(Strict):
    """The real files of one task, and which of the test file's rows are the test set.

    test_rows: the first so many rows of the test file, null for all; test_versions: other such heads, each kept as
    test_{rows}.jsonl. test_sample: instead, so many rows drawn by the split's seed from those not in train.
    """

    train: Source
    test: Source
    test_rows: Positive | None = None
    test_versions: list[Positive] = []
    test_sample: Positive | None = None
    duplicates: Literal["error", "report", "drop"] = "report"
    conflicts: Literal["error", "report", "drop"] = "error"
    overlap: Literal["error", "report", "drop"] = "error"

    @model_validator(mode="after")
    def _heads_exist(self) -> OfficialTask:
        if self.test_sample and (self.test_rows or self.test_versions):
            raise ValueError("test_sample draws rows, test_rows and test_versions take the first ones; give one kind")
        for rows in (self.test_rows, *self.test_versions):
            if rows and self.test.rows and rows > self.test.rows:
                raise ValueError(f"the test file has {self.test.rows} rows, fewer than the {rows} asked for")
        return self


class GeneralPrompts(Strict):
    """General prompts for SFT + re-invoke: a public instruction set, and how many of its prompts are drawn."""

    source: Source
    prompts: Positive
    max_characters: Positive = 4000


class OfficialData(Strict):
    """The paper's data: the authors' released files and public data sets."""

    source: Literal["official"]
    absent: Literal["download", "invent"] = "download"
    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    split_seed: NonNegative = 0
    limit: Positive | None = None
    tasks: dict[TaskName, OfficialTask]
    knowledge: KnowledgeData | None = None
    general: GeneralPrompts | None = None
