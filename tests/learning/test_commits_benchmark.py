"""The benchmark of two commits runs, and tells what is no checkout."""

from __future__ import annotations

import pytest

from sdft.common.errors import SdftError
from sdft.common.files import read_json


@pytest.fixture
def commits(root, monkeypatch):
    monkeypatch.syspath_prepend(root)
    from benchmarks import commits

    return commits


@pytest.mark.slow
def test_a_commit_beside_itself_and_its_products_alone(commits, root, tmp_path):
    size = ["--steps", "3", "--batch", "4", "--pairs", "1"]
    commits.main([str(root), "--base", "released/mini/xs-s0", *size, "--out", str(tmp_path / "f.json")])
    found = read_json(tmp_path / "f.json")
    assert found["ratio"] == pytest.approx(found["own_seconds"] / found["other_seconds"], abs=0.01)
    assert len(found["pairs"]) == 1
    assert found["floor"] == pytest.approx(found["product_seconds"] / found["other_seconds"], abs=0.01)
    assert found["floor"] > 0


def test_a_folder_that_is_no_checkout_is_refused(commits, tmp_path):
    with pytest.raises(SdftError, match="git worktree add"):
        commits.main([str(tmp_path)])
