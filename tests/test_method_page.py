"""docs/method.md says where each part of a training step is; what it names is there."""

from __future__ import annotations

import re
from importlib import import_module

import pytest

from sdft.methods import find_method, method_names
from sdft.methods.hyperparameters import SWEPT
from sdft.methods.settings import SPEED_SETTINGS, TrainingSettings


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/method.md").read_text(encoding="utf-8")


def test_every_file_and_function_that_the_page_names_is_there(root, page):
    named = re.findall(r"`(sdft/[\w/]*?)(\.py)?(?:::([\w.]+))?`", page)
    assert sum(bool(function) for _, _, function in named) > 20
    for path, suffix, function in named:
        assert (root / f"{path}{suffix}").exists(), f"{path}{suffix}"
        if function:
            found = import_module(path.replace("/", "."))
            for part in function.split("."):
                found = getattr(found, part)
            assert callable(found)


def test_every_key_that_the_page_names_is_one_and_none_that_decides_a_result_is_left_out(page):
    lines = re.findall(r"Keys?: (.*?)(?=\n- |\n\n)|grid`: (.*?)(?=\n- |\n\n|\. )", page, re.S)
    listed = {key for pair in lines for key in re.findall(r"`([a-z_]+)`", " ".join(pair))}
    known = set(TrainingSettings.model_fields)
    assert listed - known - set(SWEPT) <= {"ema", "base", "student", "official", "paper", "demonstration"}
    # The library's own numbers and the arithmetic of products are explained in config.yaml alone.
    assert known - listed - SPEED_SETTINGS == {"betas", "epsilon", "compute_dtype"}
    assert set(SWEPT) <= listed


def test_the_table_of_methods_is_what_their_classes_declare(page):
    rows = [re.split(r" *\| *", line.strip("| ")) for line in page.splitlines() if line.startswith("| `")]
    assert sorted(row[0].strip("`") for row in rows) == list(method_names())
    for name, kind, sampling, *_ in rows:
        method = find_method(name.strip("`"))
        assert (kind, sampling) == (method.rows, method.sampling or "none")
