"""Types that every part of the configuration is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from sdft.common.errors import SdftError
from sdft.common.files import AGAIN, read_json


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number is needed; true and false are none")
    return value


Dtype = Literal["float32", "bfloat16"]
# Stands last among what is said of a type, so that bounds are the number's own.
NUMBER = BeforeValidator(_number)
Rate = Annotated[float, Field(gt=0, le=1), NUMBER]
# Larger than anything that is counted here, and small enough for a seed or an index of any library.
LARGEST = 2**31 - 1
Positive = Annotated[int, Field(gt=0, le=LARGEST), NUMBER]
NonNegative = Annotated[int, Field(ge=0, le=LARGEST), NUMBER]
# Names that become folders, and parts of commands.
FolderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
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
    """A model that refuses unknown keys, infinite numbers and numbers that are none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Written(BaseModel):
    """What is read of a file that a step wrote; it holds more. Numbers are not read from text."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, strict=True)


class Overrides(Strict):
    """Keys that replace those of another block, with the bounds they have there; null only where null is a value.

    A key that is left out is None and not in `model_fields_set`.
    """

    nullable: ClassVar[frozenset[str]] = frozenset()

    @field_validator("*", mode="before")
    @classmethod
    def _null_is_a_value(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and info.field_name not in cls.nullable:
            raise ValueError("null is no value of this key; give one, or leave the key out")
        return value


def overrides(name: str, model: type[BaseModel], description: str) -> type[Overrides]:
    """The class of mappings that replace some keys of `model`."""
    fields = {key: (field.rebuild_annotation() | None, None) for key, field in model.model_fields.items()}
    made = create_model(name, __base__=Overrides, __doc__=description, **fields)
    made.nullable = frozenset(k for k, field in model.model_fields.items() if type(None) in get_args(field.annotation))
    return made


def read_checked(path: str | Path, kind: type[BaseModel], remedy: str = AGAIN) -> dict[str, Any]:
    """The JSON object in a file that a step of the project wrote, checked against what is read of it.

    Raises SdftError naming the file and the first field that is missing or wrong, and the remedy.
    """
    return checked(read_json(path, remedy), path, kind, remedy)


def checked(record: Any, path: str | Path, kind: type[BaseModel], remedy: str = AGAIN) -> Any:
    """What was read of the file `path`, unchanged. Raises SdftError as `read_checked` does."""
    try:
        kind.model_validate(record)
    except ValidationError as error:
        raise SdftError(f"{path} is damaged ({first_problem(error)}); {remedy}.") from None
    return record


def first_problem(error: ValidationError) -> str:
    """The first field that is missing or wrong, and why."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"])) or "the whole"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}"
