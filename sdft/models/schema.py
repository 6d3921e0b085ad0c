"""What the configuration says of base models, and of how a model's responses are drawn."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from sdft.common.errors import did_you_mean
from sdft.common.schema import Dtype, FolderName, Positive, Repository, Strict, overrides


class Evaluation(Strict):
    """How new-task accuracy is measured."""

    max_new_tokens: Positive = 2048
    batch_size: Positive = 16
    limit: Positive | None = None
    max_prompt_tokens: Positive | None = None
    overlong: Literal["error", "truncate_left"] = "truncate_left"
    dtype: Dtype = "bfloat16"


EvaluationOverrides = overrides(
    "EvaluationOverrides",
    Evaluation,
    "How accuracy is measured of one base model and of all that are trained from it, where the scale differs.",
)


class BaseModelSource(Strict):
    """One base model: a public repository at a revision or a local path; or, random, an architecture.

    gpus: GPUs that one training of it needs, where that is not the scale's number. size: its name in Figure 5.
    thinking: of a random model, whether its chat template opens a thinking block; a real one's template says so itself.
    """

    path: str | None = None
    repository: Repository | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    architecture: Literal["qwen2", "olmo3"] | None = None
    gpus: Positive | None = None
    size: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?b$")] | None = None
    evaluation: EvaluationOverrides = EvaluationOverrides()
    thinking: bool = False


# What of a source decides about a model's files; the rest says how it is used.
ORIGIN = ("path", "repository", "revision", "architecture", "thinking")


class ModelSpec(Strict):
    """`python -m sdft.models.hub`."""

    name: Annotated[str, Field(description="the model's name in config.yaml")]
    source: Annotated[BaseModelSource, Field(description="its block in models.sources or released, as JSON")]
    tokenizer: Annotated[str | None, Field(description="tokenizer folder, for a random model")] = None
    out: Annotated[str, Field(description="folder of the model")]


class Models(Strict):
    """Base models of a scale. Seed number i of the study starts from `names[i mod len(names)]`.

    sources: where single models come from, by name; source: where the others come from. So a scale can have, beside
    released or trained models, one from a local folder. path: the folder of released models; tokenizer: of random ones.
    """

    source: Literal["released", "trained", "hub", "random"]
    names: list[FolderName] = Field(min_length=1)
    path: str | None = None
    sources: dict[FolderName, BaseModelSource] = {}
    tokenizer: str | None = None
    documents: Positive | None = None

    @model_validator(mode="after")
    def _every_model_has_a_source(self) -> Models:
        if self.source == "released" and self.path is None:
            raise ValueError("released models need path, the folder that holds them and their sha256.json")
        for name, entry in self.sources.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
                raise ValueError(f"the name {name!r} becomes a folder: use letters, digits, '_', '.' and '-'")
            if entry.thinking and not entry.architecture:
                raise ValueError(f"sources.{name}: thinking is for random models; a real one's chat template says it")
        for name in self.names:
            if reason := self.lacks(name):
                raise ValueError(reason)
        return self

    def origin(self, name: str) -> str:
        """Where a model comes from: "released", "trained", "hub" (a download or a local folder) or "random"."""
        entry = self.sources.get(name)
        if entry is None:
            return self.source
        return "random" if entry.architecture else "hub"

    def lacks(self, name: str) -> str | None:
        """What keeps a model from being found, with the remedy; None where nothing does."""
        entry = self.sources.get(name)
        if entry is None:
            if self.source in ("released", "trained"):
                return None
            return f"the model {name!r} is not in models.sources; {did_you_mean(name, self.sources)}"
        if not (entry.architecture or entry.path or (entry.repository and entry.revision)):
            return f"sources.{name} needs a repository with its revision, a local path, or an architecture (random)"
        return None

    def revision(self, name: str) -> str | None:
        """What pins a model beside its name: the upstream revision, or the random model's architecture."""
        entry = self.sources.get(name)
        return None if entry is None else entry.revision or entry.architecture
