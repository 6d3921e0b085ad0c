"""Reading a configuration."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sdft.common.errors import SdftError, did_you_mean
from sdft.data.schema import KINDS
from sdft.study.schema import Config, Scale
from sdft.study.values import FOLDER, Values, beside, complete, read_yaml


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


def _explain(error: ValidationError, source: str) -> str:
    """One paragraph for the first few problems of a configuration, each with its key and remedy."""
    sentences = []
    for problem in error.errors()[:3]:
        location = [part for part in problem["loc"] if part not in ("[key]", "miniature", "official", *KINDS)]
        key = ".".join(str(part) for part in location)
        if problem["type"] == "extra_forbidden" or ("[key]" in problem["loc"] and problem["type"] != "value_error"):
            known = _keys_at(problem["loc"][:-1] if "[key]" not in problem["loc"] else problem["loc"][:-2])
            sentences.append(f"there is no key {key!r}: {did_you_mean(str(location[-1]), known)}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            if problem["type"] == "too_short":
                message = "it is empty, which leaves nothing to run; give at least one entry"
            # A mapping or a list is too long to show, and its message says what is wrong in it.
            shown = problem["type"] != "missing" and not isinstance(problem["input"], dict | list)
            given = f" (given: {problem['input']!r:.80})" if shown else ""
            # The whole configuration has no key; what is checked in it as a whole names its own.
            sentences.append(f"{key}: {message}{given}." if key else f"{message}{given}.")
    rest = len(error.errors()) - len(sentences)
    more = f" There are {rest} more problems." if rest > 0 else ""
    return f"{source} is not a valid study: " + " ".join(sentences) + more + " config.yaml explains every key."


def parse_config(values: Values, source: str = "config.yaml", folder: Path = FOLDER) -> Config:
    """Check a mapping: the keys of config.yaml, and of `scales` what differs from their files. Raises SdftError.

    source: what it is called in messages; folder: the scales' files that belong to it.
    """
    # Imported here, since it reads this module's types.
    from sdft.study.checks import check_world

    try:
        config = Config.model_validate(complete(values, folder))
    except ValidationError as error:
        raise SdftError(_explain(error, source)) from None
    check_world(config)
    return config


def load_config(path: str | Path = "config.yaml") -> Config:
    """Read and check a configuration file with the scales' files beside it. Raises SdftError naming file and key."""
    return parse_config(read_yaml(path), str(path), beside(path))


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


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sdft.config", description="Check a configuration.")
    parser.add_argument("path", nargs="?", default="config.yaml", help="the configuration to check")
    parser.add_argument("--schema", nargs="?", const="config", choices=["config", "scale"], help="print a JSON schema")
    options = parser.parse_args(arguments)
    if options.schema:
        print(json_schema(options.schema), end="")
    else:
        from sdft.study import checks
        from sdft.study.plan import Plan

        config = load_config(options.path)
        checks.check_files(config)
        plan = Plan(config)
        checks.check_batches(plan)
        print(f"{options.path} is valid; scale {config.scale}, seeds {config.seeds_of(config.scale)}")
        for study in plan.scale.studies:
            if reason := plan.not_run(study):
                print(f"NOT RUN, studies.{study}: {reason}")
