"""Figure 4 draws every model and nothing else, and draws it the same way twice."""

from __future__ import annotations

import json

import matplotlib.pyplot as plt
import pytest
import studies
from studies import World
from world import make_world

from sdft.common.errors import SdftError
from sdft.pages import figures
from sdft.pages.figures.figure4 import draw_pareto
from sdft.pages.figures.style import LOOKS

OFF = {"reason": "switched off", "cost_hours": 1.5}


@pytest.fixture(scope="module")
def style(root):
    return root / "sdft/pages/figures.mplstyle"


def draw(plan, style, out):
    figures.main(["figure4", "--plan", str(plan), "--style", str(style), "--out", str(out)])
    return json.loads(out.with_name("figure4.json").read_text())


@pytest.mark.slow
def test_every_trained_model_is_a_point_and_bytes_repeat(paper_like, style, tmp_path):
    world, verdict = paper_like
    numbers = draw(world / "plan.json", style, tmp_path / "a/figure4")
    assert [panel["task"] for panel in numbers["panels"]] == ["science", "tooluse"]
    for panel in numbers["panels"]:
        assert [point["method"] for point in panel["final"]] == ["base", "sft", "sft_reinvoke", "dft", "sdft"]
        assert all(len(point["new_task"]["by_seed"]) == 3 for point in panel["final"])
        assert len(panel["candidates"]) == 12
        assert sum(candidate["selected"] for candidate in panel["candidates"]) == 4
        assert panel["paper"]["base"]["prior_average"] == 65.5
    means = {(row["task"], row["method"], row["metric"]): row["mean"] for row in verdict["rows"]}
    point = numbers["panels"][1]["final"][4]
    assert point["new_task"]["mean"] == means["tooluse", "sdft", "new_task"]
    assert point["prior_average"]["mean"] == means["tooluse", "sdft", "prior_average"]
    assert "3 seeds" in numbers["caption"]
    assert "validation" in numbers["caption"]

    draw(world / "plan.json", style, tmp_path / "b/figure4")
    for kind in ("pdf", "svg", "png"):
        assert (tmp_path / f"a/figure4.{kind}").read_bytes() == (tmp_path / f"b/figure4.{kind}").read_bytes(), kind


@pytest.mark.slow
def test_what_was_not_run_is_listed_and_not_drawn(tmp_path, style):
    plan = make_world(tmp_path, missing=("sdft",), items=20, prior_items=10)
    next(tmp_path.glob("sweep/science/dft/*/validation.json")).unlink()
    numbers = draw(plan, style, tmp_path / "figure4")
    assert "sdft" not in [point["arm"] for point in numbers["panels"][0]["final"]]
    assert {entry["arm"] for entry in numbers["not_drawn"]} == {"sdft", "dft"}


def test_a_method_that_changes_nothing_does_not_hide_the_base():
    at = {"mean": 50.0, "low": 40.0, "high": 60.0, "by_seed": [50.0]}
    ours = [{"method": method, "new_task": at, "prior_average": at} for method in ("base", "dft")]
    printed = {method: {"new_task": 50.0, "prior_average": 50.0} for method in ("base", "dft")}
    panel = {"task": "tooluse", "final": ours, "candidates": [], "paper": printed}
    figure = draw_pareto({"panels": [panel]})
    drawn = [[line for line in axes.get_lines() if line.get_marker() in ("*", "s")] for axes in figure.axes]
    assert sum(map(bool, drawn)) == 2
    for markers in filter(None, drawn):
        # Of two with the same zorder the later covers the earlier, and a sort keeps their order.
        assert sorted(markers, key=lambda line: line.get_zorder())[-1].get_marker() == "*"
    plt.close(figure)


def test_methods_differ_by_marker_alone():
    markers = [marker for _, marker in LOOKS.values()]
    assert len(set(markers)) == len(markers)


def test_an_unknown_figure_and_a_missing_style_are_refused(tmp_path):
    with pytest.raises(SdftError, match="did you mean 'figure4'"):
        figures.main(["figure44", "--plan", "x", "--style", "x", "--out", "x"])
    with pytest.raises(SdftError, match=r"absent\.mplstyle does not exist"):
        figures.main(["figure4", "--plan", "x", "--style", str(tmp_path / "absent.mplstyle"), "--out", "x"])


def draw_one(name, plan, style, folder):
    figures.main([name, "--plan", str(plan), "--style", str(style), "--out", str(folder / name)])
    return json.loads((folder / f"{name}.json").read_text())


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("figures"), items=24, seeds=(0, 1))
    makers = (studies.knowledge, studies.teacher, studies.sequential, studies.scaling, studies.policies)
    return {path.stem: path for make in makers for path in make(world)}


OTHERS = [f"figure{k}" for k in (2, 3, 5, 6, 7, 8)]


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_a_figure_has_its_files_its_numbers_and_a_caption_with_n(plans, style, tmp_path, name):
    numbers = draw_one(name, plans[name], style, tmp_path)
    assert "2 seeds" in numbers["caption"]
    assert "95 %" in numbers["caption"]
    assert "paper" in numbers["caption"]
    assert numbers["claims"]
    assert numbers["scale"] == "mini"
    for kind in ("pdf", "svg", "png"):
        assert (tmp_path / f"{name}.{kind}").stat().st_size > 3000


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_run_is_a_gap_and_switched_off_is_a_page_with_its_cost(plans, style, tmp_path, name):
    plan = json.loads(plans[name].read_text())
    for label, fields in (("empty", {"cells": [], "contexts": [], "base": []}), ("off", OFF)):
        path = tmp_path / f"{label}.json"
        path.write_text(json.dumps({**plan, **fields}))
        numbers = draw_one(name, path, style, tmp_path / label)
        assert {claim["verdict"] for claim in numbers["claims"]} == {"NOT RUN"}
        assert numbers["not_drawn"]
    assert "1.5 device-hours" in numbers["caption"]


@pytest.mark.slow
def test_the_teaser_averages_over_the_tasks(paper_like, style, tmp_path):
    world, verdict = paper_like
    numbers = draw_one("figure1", world / "plan.json", style, tmp_path)
    means = [row["mean"] for row in verdict["rows"] if (row["method"], row["metric"]) == ("sdft", "new_task")]
    point = next(entry for entry in numbers["points"] if entry["method"] == "sdft")
    assert point["new_task"]["mean"] == pytest.approx(sum(means) / len(means), abs=1e-2)
    assert [entry["method"] for entry in numbers["paper"]] == ["base", "sft", "dft", "sft_reinvoke", "sdft"]


@pytest.mark.slow
def test_candidates_stand_where_the_selection_has_them_and_stale_values_are_named(tmp_path, style):
    plan = make_world(tmp_path, items=20, prior_items=10)
    path = sorted(tmp_path.glob("selected/science/sft.json"))[0]
    selected = json.loads(path.read_text())
    record = json.loads(next(tmp_path.glob("sweep/science/sft/*/validation.json")).read_text())
    row = {"run": record["run"], "hyperparameters": record["hyperparameters"], "validation": 0.123}
    row |= {"prior_average": 0.321, "stale": ["mmlu"]}
    path.write_text(json.dumps({**selected, "ranking": [row]}))
    numbers = draw(plan, style, tmp_path / "figure4")
    panel = next(panel for panel in numbers["panels"] if panel["task"] == "science")
    found = next(candidate for candidate in panel["candidates"] if candidate["run"] == record["run"])
    assert (found["new_task"], found["prior_average"], found["stale"]) == (12.3, 32.1, ["mmlu"])
    assert "In 1 candidates mmlu are as an earlier scorer had them." in numbers["caption"]
