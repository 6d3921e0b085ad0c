"""The benchmark of the losses runs, and compares two forms of the same number."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft.common.files import read_json

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_both_forms_agree_and_the_record_says_where_it_was_made(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import loss

    loss.main(["--quick", "--out", str(tmp_path / "f.json")])
    record = read_json(tmp_path / "f.json")
    assert [row["kind"] for row in record["time"]] == list(loss.KINDS)
    for row in record["time"]:
        assert row["loss_difference"] < 1e-5
        # Left to autograd, float32 loses five of its seven digits in the mixture of a JSD.
        assert row["gradient_difference"] < 1e-4
        assert min(row["naive_seconds"], row["fused_seconds"], row["floor"]) > 0
    assert 0 < record["memory"]["fused_mib"] < record["memory"]["naive_mib"]
    assert record["machine"]["processor"]["model name"]
    assert record["manifest"]["versions"]["torch"]
    assert "memory at 2048 tokens" in capsys.readouterr().out
