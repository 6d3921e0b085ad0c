"""The benchmark of a step runs, and says of each contestant where its time goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdft.common.files import read_json

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_each_contestants_parts_add_up_to_its_step(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.chdir(ROOT)
    from benchmarks import step

    step.main(["--shape", "tiny", "--device", "cpu", "--repeats", "1", "--out", str(tmp_path / "f.json")])
    record = read_json(tmp_path / "f.json")
    found = record["contestants"]
    assert list(found) == ["sdft", "sft"]
    for measured in found.values():
        assert sum(measured["parts"].values()) == pytest.approx(measured["seconds"], abs=1e-3)
        assert measured["operations"] > 0
        assert 0 < measured["share_of_peak"] < 1
    assert all(found["sdft"]["parts"][part] > 0 for part in step.PARTS)
    assert found["sft"]["parts"]["teacher"] == found["sft"]["parts"]["ema"] == 0
    assert found["sdft"]["sdft_by_this"] == 1
    assert record["machine"]["processor"]["model name"]
    assert "rollout" in capsys.readouterr().out
