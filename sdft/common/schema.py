"""Types that every part of the configuration is made of."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Dtype = Literal["float32", "bfloat16"]
Rate = Annotated[float, Field(gt=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
NonNegative = Annotated[int, Field(ge=0)]
Repository = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]


def distinct(reason: str) -> AfterValidator:
    """Refuses a list that has a value twice, and says for what reason."""

    def check(values: list[Any]) -> list[Any]:
        repeated = [value for place, value in enumerate(values) if value in values[:place]]
        if repeated:
            raise ValueError(f"{values} repeats {repeated[0]!r}; {reason}")
        return values

    return AfterValidator(check)


Value = TypeVar("Value")
Candidates = Annotated[list[Value], Field(min_length=1), distinct("a candidate is trained once, so name it once")]
Seeds = Annotated[list[NonNegative], Field(min_length=1), distinct("equal seeds are not independent runs")]
Tasks = Annotated[list[Value], Field(min_length=1), distinct("a task counts once, so name it once")]
Names = Annotated[list[str], distinct("name each once")]


class Strict(BaseModel):
    """A model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)
