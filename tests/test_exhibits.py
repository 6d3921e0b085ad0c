"""Tables and figures are found by their files, and their plans survive being written and read."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from sdft.common.errors import SdftError
from sdft.config import load_config
from sdft.evidence.published import document
from sdft.study.exhibits import find, names
from sdft.study.exhibits.build import exhibit
from sdft.study.exhibits.schema import Exhibit
from sdft.study.plan import Plan


@pytest.fixture(scope="module")
def config(root):
    return load_config(root / "config.yaml")


def test_the_list_of_exhibits_needs_no_library_that_computes_or_draws():
    code = (
        "import sys; from sdft.study.exhibits import find, names; [find(name) for name in names()]; "
        "sys.exit(bool({'numpy', 'scipy', 'matplotlib', 'pandas', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_exhibit_has_its_page_and_every_item_of_the_paper_its_exhibit():
    for name in names():
        page = import_module(f"sdft.pages.{find(name).kind}s.{name}")
        assert callable(getattr(page, name))
    assert {*document()["items"], *document()["sweeps"]} <= set(names())
    assert set(names("table")) | set(names("figure")) == set(names())


def test_an_unknown_exhibit_is_refused_with_the_nearest_name():
    with pytest.raises(SdftError, match="did you mean 'figure6'"):
        find("figur6")


@pytest.mark.parametrize("scale", ["mini", "paper", "rehearsal"])
def test_a_plan_survives_its_file(config, scale):
    for name in names():
        found = exhibit(Plan(config, scale), name)
        assert Exhibit.model_validate_json(found.model_dump_json(exclude_defaults=True)) == found
        assert found.enabled == (found.absence == "")


def test_what_an_exhibit_measures_is_planned_for_its_runs_and_for_no_others(config):
    plan = Plan(config, "mini")
    for name in names():
        kinds = {kind for cell in exhibit(plan, name).cells for run in cell.runs for kind in run.files}
        assert kinds == set(find(name).measures) - {"estimators", "versions"}


def test_base_models_stand_beside_every_seed_of_a_study_that_has_more_than_its_scale(config):
    mini = config.scales["mini"]
    study = mini.studies["knowledge"].model_copy(update={"seeds": [0, 1, 99]})
    mini = mini.model_copy(update={"studies": {**mini.studies, "knowledge": study}})
    found = exhibit(Plan(config.model_copy(update={"scales": {**config.scales, "mini": mini}}), "mini"), "table1")
    (article,) = (entry for entry in found.contexts if entry.context == "article")
    for entries in (found.base, article.runs):
        models = {entry.seed: entry.model for entry in entries}
        assert set(models) == {*mini.seeds, 99}
        assert models[99] == mini.models.names[99 % len(mini.models.names)]


def test_an_exhibit_knows_the_verdicts_of_other_arithmetics_and_refuses_another_file(config, root, tmp_path):
    def plan(record):
        scale = config.scales["mini"].model_copy(update={"arithmetics": record and str(record)})
        return Plan(config.model_copy(update={"scales": {**config.scales, "mini": scale}}), "mini")

    found = exhibit(plan(root / "benchmarks/arithmetics.json"), "table5").elsewhere
    assert exhibit(plan(root / "benchmarks/arithmetics.json"), "figure6").elsewhere == found
    assert set(found) >= {"sdft-learns-science", "sdft-forgets-less-tooluse"}
    assert all(len(verdicts) > 1 for verdicts in found.values())
    assert exhibit(plan(None), "table5").elsewhere == {}
    (tmp_path / "other.json").write_text('{"claims": [{"id": "x"}]}')
    with pytest.raises(SdftError, match="benchmarks.arithmetics"):
        exhibit(plan(tmp_path / "other.json"), "table5")
    (tmp_path / "other.json").unlink()
    with pytest.raises(SdftError, match="is not there; restore it, or remove `arithmetics`"):
        exhibit(plan(tmp_path / "other.json"), "table5")
