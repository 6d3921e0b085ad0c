"""A finished study is packed as an RO-Crate that names every file, and holds no weights."""

from __future__ import annotations

import json
import zipfile

import pytest
from world import make_world

from sdft.common.errors import SdftError
from sdft.pages import crate, tables


def test_a_study_without_a_table_is_no_finished_one(tmp_path):
    with pytest.raises(SdftError, match="holds no table"):
        crate.packed(tmp_path)


def test_the_crate_describes_each_file_that_it_holds(tmp_path):
    pytest.importorskip("rocrate", reason="the library rocrate is not installed")
    results = tmp_path / "results/mini"
    plan = make_world(results, items=8, prior_items=8)
    tables.main(["--plan", str(plan), "--out", str(results / "tables/table5")])
    run = results / "runs/table5/a"
    (run / "weights").mkdir(parents=True)
    (run / "weights/model.safetensors").write_bytes(b"weights")
    (run / "model.json").write_text("{}")
    crate.main(["--results", str(results), "--out", str(tmp_path / "c.zip")])
    with zipfile.ZipFile(tmp_path / "c.zip") as archive:
        held = set(archive.namelist())
        graph = {entry["@id"]: entry for entry in json.loads(archive.read("ro-crate-metadata.json"))["@graph"]}
    described = {name for name, entry in graph.items() if "File" in entry["@type"]}
    assert described == held - {"ro-crate-metadata.json"}
    assert {"Snakefile", "results/mini/tables/table5/verdict.json", "results/mini/runs/table5/a/model.json"} <= held
    assert not any("weights" in name for name in held)
    assert graph["./"]["mainEntity"] == {"@id": "Snakefile"}
    action = next(entry for entry in graph.values() if entry["@type"] == "CreateAction")
    assert {"@id": "results/mini/tables/table5/verdict.json"} in action["result"]
