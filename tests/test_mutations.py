"""Whatever one changes in the shipped configuration, it is a plan or a paragraph, and never a traceback."""

from __future__ import annotations

import copy
import random

import pytest

from sdft.common.errors import SdftError
from sdft.config import parse_config
from sdft.study.checks import check_batches, check_files
from sdft.study.plan import Plan
from sdft.study.values import read_values

WRONG = [None, True, -1, 0, 1.5, float("inf"), float("nan"), "", "x y", "..", "sftü", [], {}, [[]], [None], 10**9]


def leaves(node, path=()):
    """The path of every key and entry of a configuration."""
    parts = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in parts:
        yield (*path, key)
        yield from leaves(value, (*path, key))


def mutate(values, rng):
    """One key deleted, renamed, or given a wrong value or that of another key; what was done, in words."""
    paths = list(leaves(values))
    depth = rng.randint(1, max(map(len, paths)))
    path = rng.choice([path for path in paths if len(path) == depth])
    *above, key = path
    node = values
    for part in above:
        node = node[part]
    kind = rng.choice(["delete", "rename", "wrong", "wrong", "other"])
    if kind == "delete":
        del node[key]
    elif kind == "rename" and isinstance(node, dict):
        node[f"{key}x"] = node.pop(key)
    elif kind == "other":
        other = values
        for part in rng.choice(list(leaves(values))):
            other = other[part]
        node[key] = copy.deepcopy(other)
    else:
        node[key] = rng.choice(WRONG)
    return f"{kind} {'.'.join(map(str, path))}: {node.get(key) if isinstance(node, dict) else node!r:.60}"


@pytest.fixture(scope="module")
def shipped(request):
    return read_values(request.config.rootpath / "config.yaml")


def refusal(values):
    """What is said of a configuration; None where it is one."""
    try:
        config = parse_config(values)
        check_files(config)
        for scale in config.scales:
            check_batches(Plan(config, scale))
        for scale in {"smoke", "rehearsal"} & config.scales.keys():
            Plan(config, scale).runs()
    except SdftError as error:
        return str(error)
    return None


@pytest.mark.parametrize("seed", range(15))
def test_a_mutation_is_planned_or_refused_in_one_paragraph(root, monkeypatch, shipped, seed):
    monkeypatch.chdir(root)
    for number in range(10):
        values = copy.deepcopy(shipped)
        done = mutate(values, random.Random(f"{seed}.{number}"))
        said = refusal(values)
        assert said is None or ("\n" not in said and 20 < len(said) < 1500), done
