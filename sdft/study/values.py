"""The configuration as plain values: config.yaml, one file a scale in config/ beside it, and what changes them.

A scale has up to three layers: the repository's config/{scale}.yaml, the file of that name in config/ beside another
configuration, and the entry under `scales:`. A layer that gives every key a scale must have stands as it is; any other
changes the keys that it names in the layer before.
"""

from __future__ import annotations

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from sdft.common.errors import SdftError, did_you_mean
from sdft.study.schema import Scale

FOLDER = Path(__file__).parents[2] / "config"
WHOLE = {name for name, field in Scale.model_fields.items() if field.is_required()}
Values = dict[str, Any]
# Keys that are no values of their own: << and =.
SIGNS = ("tag:yaml.org,2002:merge", "tag:yaml.org,2002:value")
# Far more than a configuration has, and few enough to be looked at: aliases of aliases multiply.
MOST_ENTRIES = 100_000


class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe YAML that refuses a key which is given twice; YAML itself would take the last one without a word.

    Keys that are equal (yes and true, 1 and 1.0) are one key. What a merge (<<) brings may be given again beside it.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._flat: set[yaml.Node] = set()

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        # The merge itself puts keys of other mappings into the node, which is met again where an alias names it.
        if node not in self._flat:
            self._flat.add(node)
            self._refuse_twins(node)
        super().flatten_mapping(node)

    def _refuse_twins(self, node: yaml.MappingNode) -> None:
        found: set[Any] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            value = key.value if key.tag in SIGNS else self.construct_object(key)
            if value in found:
                line = key.start_mark.line + 1
                raise ValueError(f"the key {key.value!r} is given twice, the second time in line {line}")
            found.add(value)


def merged(base: Any, changes: Any) -> Any:
    """`base` with `changes` over it, key by key, as Snakemake merges its configuration; lists are replaced whole."""
    if not isinstance(changes, dict):
        return changes
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in changes.items():
        before = found.get(key)
        # A named grid, of which only some lists are changed.
        named = key == "grid" and isinstance(before, str) and isinstance(value, dict)
        found[key] = {"like": before, **value} if named else merged(before, value)
    return found


def read_yaml(path: str | Path) -> Values:
    """The mapping in a YAML file. Raises SdftError naming the file."""
    try:
        values = _parse(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SdftError(f"{path} does not exist; run from the repository's root or give the path.") from None
    except OSError as error:
        raise SdftError(f"{path} cannot be read ({error.strerror}); give the path of a YAML file.") from None
    except UnicodeDecodeError as error:
        raise SdftError(f"{path} is not UTF-8 text (byte {error.start}); save it in that encoding.") from None
    # A value that does not fit its tag (!!timestamp x) raises whatever the library stumbles over.
    except (yaml.YAMLError, ValueError, RecursionError, AttributeError, LookupError, TypeError) as error:
        raise SdftError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise SdftError(f"{path} is empty or not a mapping of keys; compare it with the repository's config.yaml.")
    check_entries(values, str(path))
    return copy.deepcopy(values)


@lru_cache(maxsize=64)
def _parse(text: str) -> Any:
    return yaml.load(text, Loader=Loader)


def check_entries(values: Any, source: str) -> None:
    """Raise SdftError for values of which one holds itself, as an alias can say, or which have no end."""
    count = 0
    stack: list[tuple[Any, tuple[int, ...], str]] = [(values, (), "")]
    while stack:
        node, above, place = stack.pop()
        parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        if id(node) in above and parts:
            raise SdftError(f"{source}: {place or 'the whole'} holds itself through an alias (*); write it out.")
        count += len(node) if parts else 0
        if count > MOST_ENTRIES or len(above) > 100:
            raise SdftError(f"{source}: {place[:80]} has more entries than a configuration can; write out its aliases.")
        for key, value in parts:
            inner = f"{place}.{key}".lstrip(".")
            if any(isinstance(text, str) and not _writable(text) for text in (key, value)):
                raise SdftError(f"{source}: {inner!a} holds half of a surrogate pair; write the character itself.")
            stack.append((value, (*above, id(node)), inner))


def _writable(text: str) -> bool:
    """Whether a file can hold the text: an escape such as "\\ud800" stands for no character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def scale_files(folder: str | Path) -> dict[str, Path]:
    """The scales' files in a folder, by the scale's name; none where the folder is absent."""
    return {path.stem: path for path in sorted(Path(folder).glob("*.yaml"))}


def beside(path: str | Path) -> Path:
    """The folder of the scales' files that belong to a configuration file."""
    return Path(path).parent / "config"


def complete(values: Values, folder: Path = FOLDER) -> Values:
    """The configuration with every scale in full: its layers merged, and what it takes from elsewhere put in.

    folder: the scales' files beside the configuration; the repository's scales are there in any case.
    """
    folders = dict.fromkeys((FOLDER.resolve(), folder.resolve()))
    layers = [{name: read_yaml(path) for name, path in scale_files(place).items()} for place in folders]
    own = {} if values.get("scales") is None else values["scales"]
    if not isinstance(own, dict):
        return values
    scales: Values = {}
    known = {name for layer in layers for name in layer}
    for name, entry in own.items():
        if not isinstance(entry, dict):
            raise SdftError(f"scales.{name}: it must be a mapping of the scale's keys (given: {entry!r:.80}).")
        missing = WHOLE - entry.keys()
        if name not in known and missing and "like_scale" not in entry:
            raise SdftError(
                f"scales.{name}: there is no scale {name!r} to change; {did_you_mean(str(name), known)} A scale of "
                f"your own needs {', '.join(sorted(missing))} too, or like_scale: mini."
            )
    for name, entry in [pair for layer in (*layers, own) for pair in layer.items()]:
        whole = name not in scales or entry.keys() >= WHOLE
        scales[name] = entry if whole else merged(scales[name], entry)
    taken = {name: _with_like_scale(scales, entry, (name,), ()) for name, entry in scales.items()}
    return {**values, "scales": {name: _with_grids(name, entry) for name, entry in taken.items()}}


def read_values(path: str | Path = "config.yaml") -> Values:
    """The values of a configuration file with every scale in full, unchecked. Raises SdftError for unreadable files."""
    return complete(read_yaml(path), beside(path))


def _with_like_scale(scales: Values, node: Any, place: tuple[Any, ...], trail: tuple[Any, ...]) -> Any:
    """A block with the keys of the same block of the scale that `like_scale` names, under its own."""
    if not isinstance(node, dict):
        return node
    if "like_scale" in node:
        other, key = node["like_scale"], ".".join(map(str, ("scales", *place, "like_scale")))
        if other not in scales:
            raise SdftError(f"{key}: there is no scale {other!r}; {did_you_mean(str(other), scales)}")
        source = (other, *place[1:])
        if source in (place, *trail):
            raise SdftError(f"{key}: the blocks take each other's keys in a circle; write them out in one of them.")
        block: Any = scales
        for part in source:
            block = block.get(part) if isinstance(block, dict) else None
        if not isinstance(block, dict):
            raise SdftError(f"{key}: the scale {other} has no {'.'.join(map(str, place[1:]))} to take over.")
        taken = _with_like_scale(scales, block, source, (*trail, place))
        node = merged(taken, {name: value for name, value in node.items() if name != "like_scale"})
    return {name: _with_like_scale(scales, value, (*place, name), trail) for name, value in node.items()}


def _with_grids(scale: str, entry: Any) -> Any:
    """A scale whose arms hold the lists of the grids that they name."""
    if not isinstance(entry, dict):
        return entry
    grids = entry.get("grids") or {}

    def lists(grid: Any, key: str, trail: tuple[str, ...] = ()) -> Any:
        name, changes = (grid.get("like"), grid) if isinstance(grid, dict) else (grid, {})
        if not isinstance(name, str) or not isinstance(grids, dict):
            return grid
        if name not in grids:
            raise SdftError(f"{key}: scales.{scale}.grids has no grid {name!r}; {did_you_mean(name, grids)}")
        if name in trail:
            raise SdftError(f"{key}: the grids {', '.join(trail)} are like each other in a circle; give one its lists.")
        found = lists(grids[name], f"scales.{scale}.grids.{name}", (*trail, name))
        # Copied, so that arms with the same grid do not share its lists.
        return copy.deepcopy(merged(found, {name: value for name, value in changes.items() if name != "like"}))

    def with_lists(owner: Any, key: str) -> Any:
        if not isinstance(owner, dict) or not isinstance(owner.get("arms"), dict):
            return owner
        arms = {
            name: {**arm, "grid": lists(arm["grid"], f"{key}.arms.{name}.grid")}
            if isinstance(arm, dict) and "grid" in arm
            else arm
            for name, arm in owner["arms"].items()
        }
        return {**owner, "arms": arms}

    found = with_lists(entry, f"scales.{scale}")
    if isinstance(grids, dict) and grids:
        found["grids"] = {name: lists(grid, f"scales.{scale}.grids.{name}", (name,)) for name, grid in grids.items()}
    if isinstance(entry.get("studies"), dict):
        studies = entry["studies"].items()
        found["studies"] = {name: with_lists(study, f"scales.{scale}.studies.{name}") for name, study in studies}
    return found
