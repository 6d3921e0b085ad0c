"""What the configuration says of data: the miniature world's, or official files with their revisions."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, field_validator, model_validator

from sdft.common.endpoint import EndpointConfig
from sdft.common.errors import SdftError
from sdft.common.schema import NUMBER, NonNegative, Positive, Repository, Strict
from sdft.tasks import find_task, task_names


def _known(name: str) -> str:
    try:
        find_task(name)
    except SdftError as error:
        raise ValueError(str(error)) from None
    return name


# A task that a file in sdft/tasks/ defines.
TaskName = Annotated[str, AfterValidator(_known), WithJsonSchema({"enum": list(task_names()), "type": "string"})]


# How an endpoint is reached decides nothing about what its model writes.
CONNECTION = {"base_url", "base_url_variable", "api_key_variable", "attempts", "parallel", "cache"}
# What is measured on a test file decides nothing about training.
MEASURED = ("test_rows", "test_versions", "test_sample")


class DataSize(Strict):
    """Rows of one task's splits and, in the miniature world, how many new symbols it has."""

    train: Positive
    validation: Positive
    test: Positive
    symbols: Positive | None = None


class Source(Strict):
    """Where one upstream file is found: a local path where the user has it, else a pinned revision of a repository.

    file: the path inside the repository, of a JSON or parquet file or of a folder saved by the datasets library. Of a
    task of one's own, either is a .jsonl file (sdft/records/jsonl.py).
    sha256: of the file, or of the folder's data file; null where only the revision pins it.
    """

    path: str | None = None
    github: Repository | None = None
    hub: Repository | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    file: str | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    rows: Positive | None = None

    @property
    def is_jsonl(self) -> bool:
        return (self.path or self.file or "").endswith(".jsonl")

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


class TaskArticles(Strict):
    """A task about articles, and how many questions about each a model writes. Explained key by key in config.yaml."""

    articles: list[Article] = Field(min_length=1)
    writer: Writer | None = None
    train: Positive = 100
    test: Positive = 20
    ood: Positive = 20
    similarity: Annotated[float, Field(gt=0, le=100), NUMBER] = 90.0
    window_characters: Positive = 12000
    corpus_characters: Positive = 8000
    rounds: Positive = 4

    @field_validator("articles")
    @classmethod
    def distinct(cls, articles: list[Article]) -> list[Article]:
        if len({article.title for article in articles}) != len(articles):
            raise ValueError("two articles have the same title")
        return articles

    @property
    def splits(self) -> set[str]:
        return {"train", "validation", "test", "ood", "corpus"}

    @property
    def sources(self) -> list[Article]:
        return self.articles

    def definition(self) -> dict[str, Any]:
        """What decides the rows. How the writer is reached and where a local copy lies do not."""
        places = {"articles": {"__all__": {"path"}}, "writer": CONNECTION}
        return self.model_dump(mode="json", exclude=places, exclude_defaults=True)


class TaskFiles(Strict):
    """The files of one task, and which rows of its test file are the test set.

    validation: a file of its own; null draws the scale's `validation_fraction` from train. others: further splits of
    the task by name. style: what a demonstration is called whose row names no style; null for the scale's
    `demonstration`. test_rows: the first so many rows of the test file, null for all; test_versions: other such heads,
    each kept as test_{rows}.jsonl. test_sample: instead, so many rows that are not in train, drawn by the split's seed.
    """

    train: Source
    test: Source
    validation: Source | None = None
    others: dict[Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")], Source] = {}
    style: str | None = None
    test_rows: Positive | None = None
    test_versions: list[Positive] = []
    test_sample: Positive | None = None
    duplicates: Literal["error", "report", "drop"] = "report"
    conflicts: Literal["error", "report", "drop"] = "error"
    overlap: Literal["error", "report", "drop"] = "error"

    @model_validator(mode="after")
    def _heads_exist(self) -> TaskFiles:
        if self.test_sample and (self.test_rows or self.test_versions):
            raise ValueError("test_sample draws rows, test_rows and test_versions take the first ones; give one kind")
        for rows in (self.test_rows, *self.test_versions):
            if rows and self.test.rows and rows > self.test.rows:
                raise ValueError(f"the test file has {self.test.rows} rows, fewer than the {rows} asked for")
        if taken := sorted({"train", "validation", "test"} & set(self.others)):
            raise ValueError(f"others names {taken[0]}, which has a key of its own")
        return self

    @property
    def splits(self) -> set[str]:
        return {"train", "validation", "test", *self.others}

    @property
    def sources(self) -> list[Source]:
        return [self.train, self.test, *filter(None, [self.validation]), *self.others.values()]

    def definition(self) -> dict[str, Any]:
        """What decides training. Where a local copy lies does not, nor what is measured on the test file."""
        places = {"train": {"path"}, "test": {"path"}, "validation": {"path"}, "others": {"__all__": {"path"}}}
        return self.model_dump(mode="json", exclude=places | dict.fromkeys(MEASURED, True), exclude_defaults=True)


# A task whose rows are read from files, or written about articles; and what pydantic calls the two in a fault's place.
KINDS = ("of files", "of articles")


def _kind(entry: Any) -> str:
    articles = "articles" in entry if isinstance(entry, dict) else isinstance(entry, TaskArticles)
    return KINDS[articles]


TaskSource = Annotated[
    Annotated[TaskFiles, Tag(KINDS[0])] | Annotated[TaskArticles, Tag(KINDS[1])], Discriminator(_kind)
]


class FileTasks(Strict):
    """Tasks whose rows come from files or articles, and how validation is drawn from their training rows."""

    validation_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    split_seed: NonNegative = 0
    tasks: dict[TaskName, TaskSource] = {}

    def origin(self, task: str) -> str | None:
        """Where a task's rows come from: "made" (by the miniature world), "files", "articles", or None."""
        entry = self.tasks.get(task)
        return None if entry is None else "articles" if isinstance(entry, TaskArticles) else "files"

    def files(self, task: str) -> TaskFiles | None:
        """The files of a task; None where its rows come from elsewhere."""
        entry = self.tasks.get(task)
        return entry if isinstance(entry, TaskFiles) else None

    def lacks(self, task: str) -> str | None:
        """What is missing for a task to be trained and measured, with the remedy; None where nothing is."""
        if self.origin(task) is None:
            made = f"data.sizes.{task}, or " if isinstance(self, MiniatureData) else ""
            return (
                f"data has no rows of the task {task}; add {made}data.tasks.{task} with its files, for example "
                "{train: {path: train.jsonl}, test: {path: test.jsonl}}"
            )
        entry = self.tasks.get(task)
        for split in find_task(task).splits if entry else ():
            if split not in entry.splits:
                return f"data.tasks.{task} lacks the split {split}; add data.tasks.{task}.others.{split} with its file"
        return None

    def definition(self, task: str) -> dict[str, Any]:
        """What decides a task's rows, as plain values; two runs whose definitions differ are different runs."""
        return {
            "validation_fraction": self.validation_fraction,
            "split_seed": self.split_seed,
            "files": self.tasks[task].definition(),
        }

    @abstractmethod
    def preparation(self, task: str, style: str) -> OfficialData:
        """What `python -m sdft.data.prepare` and `sdft.data.knowledge.make` are told of a task: it alone.

        style: of demonstrations whose row names none.
        """


class MiniatureData(FileTasks):
    """The miniature world's data, made and never downloaded; `tasks` adds tasks with files of one's own."""

    source: Literal["miniature"]
    world_seed: NonNegative = 0
    own_facts: bool = False
    sizes: dict[TaskName, DataSize]
    benchmark_items: Positive = 150
    general_prompts: Positive = 384

    @model_validator(mode="after")
    def _one_origin(self) -> MiniatureData:
        if both := sorted(set(self.sizes) & set(self.tasks)):
            raise ValueError(f"the task {both[0]} stands in sizes and in tasks; its rows are made or read, not both")
        return self

    def origin(self, task: str) -> str | None:
        return "made" if task in self.sizes else super().origin(task)

    def definition(self, task: str) -> dict[str, Any]:
        fields = {name: getattr(self, name) for name in ("source", "world_seed", "general_prompts")}
        own = (
            {"size": self.sizes[task].model_dump(exclude_defaults=True)}
            if task in self.sizes
            else super().definition(task)
        )
        return fields | own

    def preparation(self, task: str, style: str) -> OfficialData:
        fields = self.model_dump(include={"validation_fraction", "split_seed"})
        return OfficialData(source="official", **fields, tasks={task: self.tasks[task]})._named(style)


class GeneralPrompts(Strict):
    """General prompts for SFT + re-invoke: a public instruction set, and how many of its prompts are drawn."""

    source: Source
    prompts: Positive
    max_characters: Positive = 4000


class OfficialData(FileTasks):
    """The paper's data: the authors' released files and public data sets."""

    source: Literal["official"]
    absent: Literal["download", "invent"] = "download"
    limit: Positive | None = None
    general: GeneralPrompts | None = None

    def definition(self, task: str) -> dict[str, Any]:
        return {"source": self.source, "limit": self.limit, **super().definition(task)}

    def preparation(self, task: str, style: str) -> OfficialData:
        only = {name: entry for name, entry in self.tasks.items() if name == task}
        general = self.general if task == "general" else None
        return self.model_copy(update={"tasks": only, "general": general})._named(style)

    def _named(self, style: str) -> OfficialData:
        """The same, with the style of what a row of a .jsonl file does not name."""
        tasks = dict(self.tasks)
        for name, entry in tasks.items():
            if isinstance(entry, TaskFiles) and entry.style is None and entry.train.is_jsonl:
                tasks[name] = entry.model_copy(update={"style": style})
        return self.model_copy(update={"tasks": tasks})
