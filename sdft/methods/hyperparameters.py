"""What a sweep varies: the hyper-parameters of every method, and the options that one method alone has.

A hyper-parameter of all methods is one field of `Hyperparameters`; the grids, recipes and replacements of a
configuration are derived from it. An option is a field of the class `Options` within a method's class.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from types import NoneType
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.schema import NUMBER, Candidates, Overrides, Positive, Rate, Strict
from sdft.methods import find_method, method_names
from sdft.methods.settings import TrainingSettings


@dataclass(frozen=True)
class Swept:
    """How a hyper-parameter is written.

    slug: ahead of its value in a run's name. title: in tables. short: within a sentence. tie, smaller: its place among
    the rules that decide between equal candidates, and that rule in words. below: bound of what a configuration may
    say, against slips.
    """

    slug: str
    title: str
    short: str
    tie: int
    smaller: str
    below: float | None = None


class Hyperparameters(BaseModel):
    """The swept values of one run (paper, Tables 3 and 4), with those of the method's own options beside them."""

    model_config = ConfigDict(extra="allow", frozen=True)

    learning_rate: Annotated[
        float,
        Field(gt=0),
        NUMBER,
        Swept("lr", "Learning rate", "learning rate", 1, "the smaller learning rate", below=1),
    ]
    batch_size: Annotated[Positive, Swept("b", "Batch size", "batch", 4, "the smaller batch")]
    epochs: Annotated[Positive, Swept("e", "Epochs", "epochs", 3, "fewer epochs", below=10_000)]
    ema_rate: Annotated[Rate | None, Swept("ema", "EMA rate", "EMA rate", 2, "the smaller EMA rate")] = None

    @property
    def options(self) -> dict[str, Any]:
        """The values of the method's own options that the sweep varies."""
        return dict(self.model_extra or {})

    @property
    def slug(self) -> str:
        """The values in a run's name: lr2e-4-b32-e2-ema0.02."""
        values = self.model_dump(exclude_none=True)
        return "-".join(f"{SWEPT[name].slug if name in SWEPT else name}{_spelt(values[name])}" for name in values)


SWEPT: dict[str, Swept] = {
    name: next(entry for entry in field.metadata if isinstance(entry, Swept))
    for name, field in Hyperparameters.model_fields.items()
}


def in_words(values: Mapping[str, Any]) -> str:
    """Swept values in a sentence: learning rate 0.016, batch 32, epochs 10."""
    names = {name: SWEPT[name].short if name in SWEPT else name.replace("_", " ") for name in values}
    number = lambda value: isinstance(value, int | float) and not isinstance(value, bool)  # noqa: E731
    shown = {name: f"{value:g}" if number(value) else str(value) for name, value in values.items()}
    return ", ".join(f"{names[name]} {shown[name]}" for name, value in values.items() if value is not None)


def tie_rules() -> list[str]:
    """What decides between candidates of equal score, in words, from the first rule to the last."""
    shared = sorted(SWEPT.values(), key=lambda entry: entry.tie)
    return [*(entry.smaller for entry in shared), "the smaller values of the method's options"]


def tie_key(values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Sorts candidates of equal score as `tie_rules` says, by their swept values."""
    shared = [values.get(name) or 0 for name in sorted(SWEPT, key=lambda name: SWEPT[name].tie)]
    own = [(name, _order(values[name])) for name in sorted(values.keys() - SWEPT.keys())]
    return (*shared, *own)


def _order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, ahead of everything else by its spelling."""
    number = isinstance(value, int | float)
    return (not number, float(value) if number else 0.0, str(value))


def _spelt(value: Any) -> str:
    """A short spelling for names: 0.0002 -> 2e-4, 0.02 -> 0.02."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return re.sub(r"[^a-z0-9_.]", "", str(value).lower())
    if 0 < value < 1e-2:
        mantissa, exponent = f"{value:e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:g}"


def _value(name: str, field: FieldInfo) -> Any:
    """The type of one value of a hyper-parameter in a configuration; null is no value."""
    kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
    bounds = [entry for entry in field.metadata if not isinstance(entry, Swept)]
    if SWEPT[name].below is not None:
        bounds.insert(0, Field(lt=SWEPT[name].below))
    kind = kinds[0] if kinds else field.annotation
    return Annotated[(kind, *bounds)] if bounds else kind


def _derived(name: str, doc: str, base: type[BaseModel], entry: Callable[[Any, bool], tuple[Any, Any]]) -> Any:
    """A class with a field for each hyper-parameter. entry: its type and default, by a value's type and `optional`."""
    fields = {key: entry(_value(key, field), not field.is_required()) for key, field in FIELDS}
    return create_model(name, __base__=base, __doc__=doc, __module__=__name__, **fields)


class _WithLists(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)
    __pydantic_extra__: dict[str, Candidates[Any]]


class _WithValues(Overrides):
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Any]


FIELDS = list(Hyperparameters.model_fields.items())
Grid = _derived(
    "Grid",
    "The candidates of one method: the product of its lists. A method's own options may stand beside these keys.",
    _WithLists,
    lambda value, optional: (Candidates[value] | None, None) if optional else (Candidates[value], ...),
)
Recipe = _derived(
    "Recipe",
    "One candidate for every arm (`sweep: published`); ema_rate is used by the methods that have an EMA teacher.",
    Strict,
    lambda value, optional: (value, None) if optional else (value, ...),
)
Replacement = _derived(
    "Replacement",
    "Hyper-parameters, and options of its method, that an arm replaces in those of the winner it takes over.",
    _WithValues,
    lambda value, optional: (value | None, None),
)


@cache
def options_of(method: str) -> type[Strict]:
    """The class of a method's own options. Raises SdftError where an option has no default or a name that is taken."""
    options = find_method(method).Options
    for name, field in options.model_fields.items():
        if field.is_required():
            raise SdftError(f"sdft/methods/{method}.py: the option {name} needs a default, which old arms keep.")
        if name in SWEPT or name in TrainingSettings.model_fields:
            raise SdftError(f"sdft/methods/{method}.py: the option {name} is a setting of every method; name it anew.")
    return options


def check_option_names(method: str, names: Mapping[str, Any] | list[str], shared: bool = False) -> None:
    """Raise ValueError for a name that is no option of a method (nor, with `shared`, a hyper-parameter of all)."""
    own = [*(SWEPT if shared else ()), *options_of(method).model_fields]
    for name in names:
        if name not in own:
            owners = [other for other in method_names() if name in options_of(other).model_fields]
            kind = "hyper-parameter or option" if shared else "option"
            hint = f"it is one of {', '.join(owners)}" if owners else did_you_mean(name, own).rstrip(".")
            raise ValueError(f"{method} has no {kind} {name!r}: {hint}")


def parse_options(method: str, values: Mapping[str, Any]) -> Strict:
    """A method's options with these values. Raises ValueError, in one sentence, for unknown names and wrong values."""
    check_option_names(method, values)
    try:
        return options_of(method).model_validate(dict(values))
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(map(str, problem["loc"])) or "options"
        given = f" (given: {problem['input']!r:.80})" if problem["loc"] else ""
        raise ValueError(f"{name}: {problem['msg'].removeprefix('Value error, ')}{given}") from None


def differing_options(method: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The options among `values` that differ from their defaults, as JSON values: what a run's definition holds."""
    usual = options_of(method)().model_dump(mode="json")
    given = parse_options(method, values).model_dump(mode="json")
    return {name: given[name] for name in values if given[name] != usual[name]}


def combinations(method: str, fixed: Mapping[str, Any], grid: Any) -> Iterator[dict[str, Any]]:
    """Every combination of the options that a grid sweeps, checked beside the fixed ones. Raises ValueError."""
    lists: dict[str, list[Any]] = dict(grid.model_extra or {})
    for name in lists:
        if name in fixed:
            raise ValueError(f"options.{name} fixes what grid.{name} sweeps; give one of the two")
    for values in product(*lists.values()):
        chosen = dict(zip(lists, values, strict=True))
        found = parse_options(method, {**fixed, **chosen}).model_dump(mode="json")
        yield {name: found[name] for name in chosen}
