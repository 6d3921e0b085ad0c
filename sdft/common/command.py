"""A step's command line from the one typed model of what it is told: a flag a field, or all of them as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from sdft.common.errors import SdftError, did_you_mean, no_option
from sdft.common.files import parse_json, read_json
from sdft.common.secrets import given

Spec = TypeVar("Spec", bound=BaseModel)


def read_spec(kind: type[Spec], text: str, option: str = "--spec") -> Spec:
    """What an option gives as JSON text, or names a file of. Raises SdftError when it is not a `kind`."""
    return validated(kind, _mapping(text, option), option)


def parse_spec(
    kind: type[Spec], name: str, description: str, arguments: Sequence[str] | None, examples: str | None = None
) -> Spec:
    """The options of `python -m {name}`: a flag for each field of `kind`, or all as one JSON object after --spec.

    Flags win over the object. Raises SdftError naming the option that is missing or wrong.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m {name}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("--spec", metavar="JSON", help="the other options as one JSON object, as text or a file")
    for field, info in kind.model_fields.items():
        parser.add_argument(f"--{field.replace('_', '-')}", **_option(info))
    found, unknown = parser.parse_known_args(arguments)
    if unknown:
        known = [f"--{field.replace('_', '-')}" for field in ("spec", *kind.model_fields)]
        raise no_option(f"python -m {name}", unknown[0].partition("=")[0], known)
    options = vars(found)
    text = options.pop("spec", None)
    for field, value in options.items():
        if str(value).lstrip().startswith("{"):
            options[field] = _mapping(value, f"--{field.replace('_', '-')}")
    return validated(kind, (_mapping(text, "--spec") if text else {}) | options, f"python -m {name}")


def _mapping(text: str, option: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return read_json(Path(text), f"{option} takes a JSON object, as text or in a file")
    try:
        return parse_json(text)
    except ValueError as error:
        raise SdftError(f"{option} is not valid JSON ({error}); give an object, or a file that holds one.") from None


def validated(kind: type[Spec], values: dict[str, Any], what: str) -> Spec:
    """The values as a `kind`. Raises SdftError naming `what`, and the key that is missing or wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        said = []
        # A key that there is not explains one that is missing.
        for problem in sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")[:3]:
            key = ".".join(map(str, problem["loc"]))
            message = problem["msg"].removeprefix("Value error, ")
            shown = "" if problem["type"] == "missing" else given(key, problem["input"])
            if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
                message, shown = f"there is no such key; {did_you_mean(key, kind.model_fields)}", ""
            message = message.removesuffix(".")
            said.append(f"{key}: {message}{shown}" if key else message)
        options = ", ".join(name.replace("_", "-") for name in kind.model_fields)
        raise SdftError(f"{what} is not right: {'; '.join(said)}. It takes {options}.") from None


def _option(info: FieldInfo) -> dict[str, Any]:
    """How argparse takes a field: values stay text, which the model reads."""
    text = info.description or ""
    if info.is_required():
        text += " (required)"
    elif info.annotation is not bool and info.get_default(call_default_factory=True) not in (None, []):
        text += f" (default: {info.get_default(call_default_factory=True)})"
    option: dict[str, Any] = {"help": text.strip().replace("%", "%%")}
    if info.annotation is bool:
        return option | {"action": "store_true"}
    kinds = _kinds(info.annotation)
    if list in kinds:
        option["nargs"] = "*"
    choices = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    return option | {"metavar": "|".join(map(str, choices)) if choices else "X"}


def _kinds(annotation: Any) -> list[Any]:
    """The alternatives of an annotation, lists as `list`."""
    origin = get_origin(annotation)
    if origin is Literal:
        return [annotation]
    if origin in (list, tuple):
        return [list]
    arguments = get_args(annotation)
    return [kind for argument in arguments for kind in _kinds(argument)] if arguments else [annotation]
