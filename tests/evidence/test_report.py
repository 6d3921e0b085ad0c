"""The report is one page that shows verdicts, loads nothing, holds no code, and does not outlive a failure."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import nbformat
import pytest
from studies import World, knowledge
from world import make_world

from sdft.common.errors import SdftError
from sdft.pages import figures, ledger, tables
from sdft.pages import results_page as gallery
from sdft.pages import table5_page as display

NOTEBOOKS = ("table5", "results")


@pytest.fixture(scope="module")
def render(root):
    def run(out, *parameters):
        command = [sys.executable, "workflow_scripts/render_report.py", "--notebook", "notebooks/table5.ipynb"]
        command += ["--executed", str(out.with_suffix(".ipynb")), "--out", str(out), "--parameters", *parameters]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    return run


def make_results(folder, root, **world):
    plan = make_world(folder, **world)
    tables.main(["--plan", str(plan), "--out", str(folder / "tables/table5")])
    (folder / "tables/table5/plan.json").write_text(plan.read_text())
    style = str(root / "sdft/pages/figures.mplstyle")
    figures.main(["figure4", "--plan", str(plan), "--style", style, "--out", str(folder / "figures/figure4")])
    return folder


@pytest.fixture(scope="module")
def results(tmp_path_factory, root):
    return make_results(tmp_path_factory.mktemp("results"), root, missing=("dft",), items=120, prior_items=60)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_notebooks_are_sources(root, name):
    notebook = nbformat.read(root / f"notebooks/{name}.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "language_info" in notebook.metadata
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in code) == 1
    assert not any(line.startswith(("!", "%")) for cell in code for line in cell.source.splitlines())


@pytest.mark.slow
def test_the_page_shows_everything_and_repeats_to_the_byte(results, render, tmp_path):
    first, second = tmp_path / "a.html", tmp_path / "b.html"
    done = render(first, f"results={results}")
    assert done.returncode == 0, done.stderr
    page = first.read_text()
    verdict = json.loads((results / "tables/table5/verdict.json").read_text())
    assert "Traceback" not in page
    for word in {entry["verdict"] for entry in verdict["rows"] + verdict["claims"]}:
        assert word in page
    for row in verdict["rows"]:
        assert (f"{row['mean']:.1f}<br" if row["mean"] is not None else "NOT RUN") in page
    assert "<svg" in page
    assert 'name="viewport"' in page
    assert "docs/deviations.md" in page
    # A copy of the page elsewhere has no link that leads nowhere.
    assert not re.search('href="(?!#)', page)
    # Nothing is fetched: no address with a scheme, no script, no linked style, image or font.
    assert not re.search(r"https?://|<script|<link|<img|<iframe|@import|url\((?!#)", page)
    # No code: neither the notebook's names nor its imports.
    for token in ("evidence =", "display.", "IPython", "import"):
        assert token not in page
    assert render(second, f"results={results}").returncode == 0
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".ipynb").exists()


@pytest.mark.slow
def test_a_broken_verdict_leaves_the_notebook_and_no_page(results, render, tmp_path, root):
    folder = make_results(tmp_path / "results", root, items=8, prior_items=8)
    (folder / "tables/table5/verdict.json").write_text('{"table": "table5", "rows": []}')
    out = tmp_path / "report.html"
    out.write_text("an older page")
    done = render(out, f"results={folder}")
    assert done.returncode == 2
    assert "verdict.json" in done.stderr
    assert not out.exists()
    assert out.with_suffix(".ipynb").exists()


def test_an_unknown_parameter_is_refused_before_anything_runs(render, tmp_path):
    done = render(tmp_path / "report.html", "result=x")
    assert done.returncode == 2
    assert "did you mean 'results'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_rehearsal_is_stamped(tmp_path, root):
    evidence = display.load(make_results(tmp_path, root, scale="rehearsal", items=8, prior_items=8))
    assert "Rehearsal: not evidence." in display.header(evidence)


def test_a_claim_against_the_paper_is_said_at_the_top(tmp_path, root):
    effects = {
        "base": (0.3, 0.85),
        "sft": (0.8, 0.8),
        "sft_reinvoke": (0.8, 0.8),
        "dft": (0.8, 0.8),
        "sdft": (0.3, 0.4),
    }
    evidence = display.load(make_results(tmp_path, root, effects=effects, items=120, prior_items=60))
    assert "Against the paper" in display.header(evidence)


@pytest.fixture(scope="module")
def some_results(tmp_path_factory, root):
    """Table 1, Figure 7 and the ledger, and nothing else."""
    folder = tmp_path_factory.mktemp("some")
    table, figure = knowledge(World(folder / "world", items=40))
    tables.main(["--plan", str(table), "--out", str(folder / "tables/table1")])
    style = str(root / "sdft/pages/figures.mplstyle")
    figures.main(["figure7", "--plan", str(figure), "--style", style, "--out", str(folder / "figures/figure7")])
    verdict = str(folder / "tables/table1/verdict.json")
    ledger.main(["--verdicts", verdict, str(folder / "figures/figure7.json"), "--out", str(folder / "claims")])
    return folder


def test_the_gallery_shows_what_there_is_and_names_the_rest(some_results):
    found = gallery.load(some_results)
    assert "Table 2" in gallery.header(found)
    assert "Table 1" not in gallery.header(found).split("NOT RUN</span> ")[-1].split("</p>")[0]
    assert "NOT RUN" in gallery.one_figure(found, "figure3")
    assert "<svg" in gallery.one_figure(found, "figure7")
    assert "Oracle&nbsp;RAG" in gallery.one_table(found, "table1")
    assert "SDFT acquires new knowledge better than SFT." in gallery.claims(found)
    assert "reverse KL" in gallery.discrepancies(found)


def test_the_gallery_knows_its_scale_from_what_it_shows(tmp_path):
    plan = knowledge(World(tmp_path / "world", scale="rehearsal", items=8, seeds=(0,)))[0]
    tables.main(["--plan", str(plan), "--out", str(tmp_path / "tables/table1")])
    assert "Rehearsal: not evidence." in gallery.header(gallery.load(tmp_path))
    ledger.main(["--verdicts", str(tmp_path / "tables/table1/verdict.json"), "--out", str(tmp_path / "claims")])
    head = gallery.header(gallery.load(tmp_path))
    assert "Rehearsal: not evidence." in head
    assert "scale rehearsal" in head
    assert re.search(r"INCOMPARABLE</span> \d", head)


def test_the_page_of_figures_has_every_caption(some_results, tmp_path):
    gallery.main(["--results", str(some_results), "--out", str(tmp_path / "figures.md")])
    page = (tmp_path / "figures.md").read_text()
    caption = json.loads((some_results / "figures/figure7.json").read_text())["caption"]
    assert f"![Figure 7](figure7.png)\n\n{' '.join(caption.split())}" in page
    assert "n = 3 seeds" in page
    assert page.count("NOT RUN") == 7
    with pytest.raises(SdftError, match="holds no figure"):
        gallery.main(["--results", str(tmp_path), "--out", str(tmp_path / "figures.md")])


def test_the_gallery_of_nothing_is_all_not_run(tmp_path):
    found = gallery.load(tmp_path)
    for fragment in (gallery.claims(found), gallery.one_table(found, "cost"), gallery.one_figure(found, "figure1")):
        assert "NOT RUN" in fragment


@pytest.mark.slow
def test_the_results_page_is_one_file_without_code(some_results, root, tmp_path):
    out = tmp_path / "results.html"
    command = [sys.executable, "workflow_scripts/render_report.py", "--notebook", "notebooks/results.ipynb"]
    command += ["--executed", str(tmp_path / "r.ipynb"), "--out", str(out), "--parameters", f"results={some_results}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    page = out.read_text()
    assert "Knowledge acquisition" in page
    assert "NOT RUN" in page
    assert not re.search(r"<script|<link|src=|import ", page)
