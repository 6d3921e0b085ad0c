"""Reading a configuration: files to typed data, and one paragraph with key, file and remedy where one is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.secrets import given
from sdft.data.schema import KINDS
from sdft.study.checks import check_world
from sdft.study.manual import place
from sdft.study.schema import Config, Scale
from sdft.study.values import FOLDER, Values, beside, check_entries, complete, read_yaml

# Parts of a location that are no keys: pydantic's own words for a mapping's key, and the kinds of `data`.
UNNAMED = ("[key]", "miniature", "official", *KINDS)
# Problems that one message shows.
SHOWN = 3
# pydantic's problems whose own words do not say what to do.
PLAIN = {
    "missing": "this key is needed, and is missing",
    "too_short": "it is empty, which leaves nothing to run; give at least one entry",
    "dict_type": "it must be a mapping of keys",
    "model_type": "it must be a mapping of keys",
    "list_type": "it must be a list, in brackets",
    "string_type": "it must be text",
    "finite_number": "it must be a finite number",
}


def load_config(path: str | Path = "config.yaml") -> Config:
    """Read and check a configuration file with the scales' files beside it. Raises SdftError naming file and key."""
    return parse_config(read_yaml(path), str(path), beside(path))


def parse_config(values: Values, source: str = "config.yaml", folder: Path = FOLDER) -> Config:
    """Check a mapping: the keys of config.yaml, and of `scales` what differs from their files. Raises SdftError.

    source: what the mapping is called in messages; folder: the scales' files that belong to it.
    """
    if not isinstance(values, dict):
        raise SdftError(f"{source} is not a mapping of keys; compare it with the repository's config.yaml.")
    check_entries(values, source)
    try:
        config = Config.model_validate(complete(values, folder))
    except ValidationError as error:
        raise SdftError(_explain(error, values, source, folder)) from None
    check_world(config)
    return config


def _explain(error: ValidationError, values: Values, source: str, folder: Path) -> str:
    """One paragraph for the first few problems of a configuration: each with its key, its file, and the remedy."""
    sentences: dict[tuple[str, str], str] = {}
    for problem in error.errors():
        key, said = _sentence(problem)
        # What is wrong in a named grid is wrong in all that take it over, and said once.
        shared = re.sub(r"\.(grids\.\w+|(studies\.\w+\.)?arms\..*\.grid)\.", ".", key)
        sentences.setdefault((shared, said), said.format(key=f"{key}{_origin(key, values, folder)}"))
    shown = _named_once(list(sentences.values())[:SHOWN])
    more = f" There are {len(sentences) - SHOWN} more problems." if len(sentences) > SHOWN else ""
    return f"{source} is not a valid study: {' '.join(shown)}{more} config.yaml and config/ explain every key."


def _named_once(sentences: list[str]) -> list[str]:
    """The sentences without a list of valid names that an earlier one has given."""
    given, found = set(), []
    for sentence in sentences:
        said, _, names = sentence.partition(": valid names: ")
        found.append(f"{said}." if names in given else sentence)
        given |= {names} - {""}
    return found


def _sentence(problem: Any) -> tuple[str, str]:
    """The key that a problem is of, and what is said of it, with {key} where the key stands."""
    location = [part for part in problem["loc"] if part not in UNNAMED]
    key = ".".join(map(str, location))
    if problem["type"] == "extra_forbidden" or ("[key]" in problem["loc"] and problem["type"] != "value_error"):
        known = _keys_at(problem["loc"][:-1] if "[key]" not in problem["loc"] else problem["loc"][:-2])
        if known:
            return key, _braced(f"there is no key {{key}}: {did_you_mean(str(location[-1]), known)}")
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] in PLAIN:
        message = PLAIN[problem["type"]]
    elif problem["type"] == "string_pattern_mismatch":
        message = f"it must have the form {problem['ctx']['pattern']}"
    # What is checked in several keys at once says which of them is meant.
    elif own := re.match(r"((?:arms|data|studies)\.[\w.-]+): ", message):
        key, message = f"{key}.{own[1]}", message[own.end() :]
    message = message.removesuffix(".")
    shown = "" if problem["type"] == "missing" else given(key, problem["input"])
    return key, _braced(f"{'{key}: ' if key else ''}{message}{shown}" + ("" if message.endswith("?") else "."))


def _braced(text: str) -> str:
    """The text with braces that str.format leaves, except around {key}."""
    return text.replace("{", "{{").replace("}", "}}").replace("{{key}}", "{key}")


def _origin(key: str, values: Values, folder: Path) -> str:
    """File and line of a scale's key that stands in a scale's file, and not in the values that were given."""
    if not key.startswith("scales.") or _holds(values, key):
        return ""
    found = place(key, folder.parent / "config.yaml")
    return f" ({found})" if found else ""


def _holds(node: Any, key: str) -> bool:
    if not key:
        return True
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return any(_holds(value, key[len(f"{name}.") :]) for name, value in parts if f"{key}.".startswith(f"{name}."))


def _keys_at(location: Iterable[str | int]) -> list[str]:
    """Names of the keys that the configuration accepts at a location, for the nearest-name hint."""
    schema = Config.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = _resolve(node, schema)
        children = node.get("properties", {})
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in children:
            node = children[part]
        elif isinstance(node.get("additionalProperties"), dict):
            node = node["additionalProperties"]
        elif "patternProperties" in node:
            node = next(iter(node["patternProperties"].values()))
        elif part in KINDS:
            node = node["oneOf"][KINDS.index(part)]
        elif part in node.get("discriminator", {}).get("mapping", {}):
            node = {"$ref": node["discriminator"]["mapping"][part]}
        else:
            return []
    node = _resolve(node, schema)
    names = list(node.get("properties", {}))
    return names or list(_resolve(node.get("propertyNames", {}), schema).get("enum", []))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    options = node.get("anyOf", [])
    if options:
        node = next((option for option in options if option.get("type") != "null"), node)
    while "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def json_schema(part: str = "config") -> str:
    """The JSON schema of config.yaml ("config") or of a scale's file in config/ ("scale"), for editors.

    A block may hold part of its keys, since a file may change another one; that none is missing in the end is checked
    when the configuration is read.
    """
    schema = (Scale if part == "scale" else Config).model_json_schema()
    for block in (schema, *schema["$defs"].values()):
        if "properties" in block:
            block.pop("required", None)
    for name in ("Scale", "Study", "Arm", "Prior", "Grid"):
        block = schema["$defs"].get(name, schema)
        key = "like" if name == "Grid" else "like_scale"
        block["properties"][key] = {"type": "string"}
    schema["$defs"]["Arm"]["properties"]["grid"]["anyOf"].append({"type": "string"})
    return json.dumps(schema, indent=1) + "\n"
