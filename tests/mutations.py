"""Wrong configurations without end: changed values, changed text of the YAML files, changes from the command line."""

from __future__ import annotations

import copy
import datetime
import shutil
from pathlib import Path

from snakemake.cli import parse_config as parse_arguments

from sdft.common.errors import SdftError
from sdft.config import load_config, parse_config
from sdft.study import exhibits, steps
from sdft.study.checks import check_batches, check_files, check_sizes
from sdft.study.exhibits.build import exhibit
from sdft.study.plan import Plan
from sdft.study.values import beside, merged, read_yaml

NUMBERS = [-1, 0, 1, 1.5, 0.999, 10**9, 2**63, 10**30, -(10**30), 1e308, 1e-320, float("inf"), float("nan")]
TEXTS = ["", " ", "x y", "..", "a/b", "/", "-x", "sftü", "日本", "a\nb", "\x00", "\ud800", "1e-3", "no", "off", "0x10"]
TEXTS += ["{task}", "{", "$HOME", "~", "$(id)", "'", '"', "*", "nan", "null", "x" * 300, "x" * 5000, "sft", "mini"]
OTHERS = [None, True, False, [], {}, [[]], [None], [1, "a", None], [[1], [2]], {"a": {}}, {1: 2}, {None: 1}, {True: 1}]
OTHERS += [datetime.date(2026, 1, 1), datetime.datetime(2026, 1, 1), b"\x00\xff", {"like": "x"}, {"like_scale": "x"}]
DEEP: list = []
for _ in range(100):
    DEEP = [DEEP]
WRONG = [*NUMBERS, *TEXTS, *OTHERS, DEEP]


def leaves(node, path=()):
    """The path of every key and entry of a configuration."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        yield (*path, key)
        yield from leaves(value, (*path, key))


def follow(node, path):
    for part in path:
        node = node[part]
    return node


def pick(values, rng):
    """A key at a depth drawn first, so that the few upper ones come up too."""
    paths = list(leaves(values))
    depth = rng.randint(1, max(map(len, paths)))
    return rng.choice([path for path in paths if len(path) == depth])


def near(value, rng):
    """A value of the same kind or shape that may be too much, or another spelling of it."""
    if isinstance(value, bool):
        return rng.choice([str(value), int(value), not value, [value]])
    if isinstance(value, int | float):
        return rng.choice([-value, value * 1000, value / 7, str(value), f"{value:e}", [value], value + 0.5, -0.0])
    if isinstance(value, str):
        return rng.choice([value.upper(), f" {value}", f"{value}\n", f"{value}é", [value], value[:-1], {value: value}])
    if isinstance(value, list):
        return rng.choice([value * 2, value[::-1], [value], {str(entry): entry for entry in value}, value[:1] * 3])
    if isinstance(value, dict):
        return rng.choice([list(value), list(value.items()), {**value, "x": 1}, dict.fromkeys(value), str(value)])
    return value


def mutate(values, rng):
    """One key deleted, renamed, or given a wrong value or that of another key; what was done, in words."""
    path = pick(values, rng)
    *above, key = path
    node = follow(values, above)
    kind = rng.choice(["delete", "rename", "wrong", "wrong", "near", "near", "other"])
    if kind == "delete":
        del node[key]
    elif kind == "rename" and isinstance(node, dict):
        node[rng.choice([f"{key}x", f"{key} ", str(key).upper(), f"{key}é", "", None, 1, True])] = node.pop(key)
    elif kind == "other":
        node[key] = copy.deepcopy(follow(values, rng.choice(list(leaves(values)))))
    elif kind == "near":
        node[key] = near(node[key], rng)
    else:
        node[key] = copy.deepcopy(rng.choice(WRONG))
    now = node.get(key) if isinstance(node, dict) else node
    return f"{kind} {'.'.join(map(str, path))}: {now!r:.100}"


SURPRISES = ["1e-3", "1E5", "no", "off", "Yes", "~", "2026-01-01", "12:30:00", "0o17", "1_000", ".inf", "-.NaN"]
SURPRISES += ["!!binary aGk=", "!!python/object:os.system x", "&a [*a]", "*nothing", "{a: 1, a: 2}", "[1, 2", "'", ">"]
SURPRISES += ['"\\ud800"', "%", "@x", "|", "? x", "- x", "!!set {a}", "!!float x", "!!int x", "!!timestamp x", "<<: 1"]
SURPRISES += ["\t1", "1 # 2", "'\u2028'", "=", "9" * 5000]
KINDS = ["tab", "indent", "twice", "cut", "bom", "latin", "utf16", "nul", "anchor", "empty", *["surprise"] * 6]


def mutate_text(text, rng):
    """The bytes of a YAML file with one surprise in it; what was done, in words."""
    lines = text.splitlines()
    places = [number for number, line in enumerate(lines) if ":" in line and not line.lstrip().startswith("#")]
    number = rng.choice(places)
    key, _, value = lines[number].partition(":")
    kind = rng.choice(KINDS)
    if kind == "surprise":
        lines[number] = f"{key}: {rng.choice(SURPRISES)}"
    elif kind == "tab":
        lines[number] = f"\t{lines[number]}"
    elif kind == "indent":
        lines[number] = f" {lines[number]}"
    elif kind == "twice":
        lines.insert(number + 1, f"{key}: {rng.choice(['1', '[]', 'x', value])}")
    elif kind == "cut":
        lines = lines[:number]
    elif kind == "anchor":
        lines[number] = f"{key}: &again {{x: *again}}"
    elif kind == "nul":
        lines[number] = f"{key}: \x00"
    said = f"{kind} at {lines[number][:80] if number < len(lines) else 'the end'!r}"
    whole = "\n".join(lines) + "\n"
    coded = {"bom": "utf-8-sig", "utf16": "utf-16"}.get(kind, "utf-8")
    if kind == "latin":
        return f"# \xe4\n{whole}".encode("latin-1", "replace"), said
    return b"" if kind == "empty" else whole.encode(coded, "surrogatepass"), said


def overrides(values, rng):
    """What stands after --config: keys of config.yaml, of which a scale's are below `scales`."""
    path = pick(values, rng)
    text = rng.choice([*SURPRISES, *TEXTS, "[0, 1]", "{mini: 1}", "{mini: {tasks: [science]}}", "true", "null"])
    for part in reversed(path[1:]):
        text = f"{{{part}: {text}}}" if isinstance(part, str) else f"[{text}]"
    argument = f"{path[0]}={text}"
    try:
        parse_arguments([argument])
    except AssertionError:
        # Snakemake's own reading stops at a value that YAML takes for nothing.
        argument = f"{path[0]}="
    return [argument]


def of_command_line(values, arguments):
    """The configuration as Snakemake makes it from config.yaml and --config."""
    return merged(copy.deepcopy(values), parse_arguments(arguments))


def walk(plan):
    """Everything that the rules ask of a plan."""
    wanted = [*exhibits.names(), "claims", "report", "results"]
    steps.shown.target_files(plan, *wanted)
    for name in exhibits.names():
        kind = "table" if name in exhibits.names("table") else "figure"
        steps.shown.exhibit_files(plan, **{kind: name})
        steps.shown.exhibit_plan(plan, **{kind: name})
        exhibit(plan, name)
    steps.shown.released_plan(plan)
    for task in dict.fromkeys(run.task for run in plan.runs()):
        if plan.scale.data.origin(task) == "made":
            steps.sources.miniature_spec(plan, task=task)
        else:
            steps.sources.data_spec(plan, task=task)
            steps.sources.local_data_files(plan, task=task)
    for run in plan.runs():
        steps.runs.run_spec(plan, run=run.id)
        steps.runs.run_inputs(plan, run=run.id)
        steps.runs.processes(plan, run=run.id)
        if run.study == "sweep":
            steps.measures.candidate_spec(plan, run=run.id)
            steps.measures.select_spec(plan, task=run.task, arm=run.arm)
        else:
            steps.measures.evaluate_spec(plan, run=run.id)
        if plan.scale.data.origin(run.task) != "made":
            steps.sources.lengths_spec(plan, task=run.task, model=run.base)
    for model in plan.bases:
        steps.measures.evaluate_base_spec(plan, model=model)
        if plan.scale.models.origin(model) == "trained":
            steps.sources.pretrain_spec(plan, model=model)
        elif plan.scale.models.origin(model) != "released":
            steps.sources.source_spec(plan, model=model)


def check(config, scales=(), sizes=False):
    """Plan a configuration as the workflow does; of the `scales`, all that their rules ask for. sizes: make the world's
    questions too, which takes longer."""
    check_files(config)
    if sizes:
        check_sizes(Plan(config))
    for scale in config.scales:
        check_batches(Plan(config, scale))
    for scale in dict.fromkeys((*scales, config.scale)):
        if scale in config.scales:
            walk(Plan(config, scale))


def refusal(make, scales=(), sizes=False):
    """What is said of a configuration that is refused; None where it is one. make: gives it, checked."""
    try:
        check(make(), scales, sizes)
    except SdftError as error:
        return str(error)
    return None


def of_values(values, folder):
    return lambda: parse_config(copy.deepcopy(values), "the configuration", folder)


def of_file(path):
    return lambda: load_config(path)


def copied(root: Path, folder: Path) -> Path:
    """A copy of the shipped configuration; its config.yaml."""
    shutil.copytree(root / "config", folder / "config", dirs_exist_ok=True)
    shutil.copy(root / "config.yaml", folder / "config.yaml")
    return folder / "config.yaml"


__all__ = ["beside", "read_yaml"]
