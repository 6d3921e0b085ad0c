"""In a browser the pages fetch nothing, fit a phone, print whole, and axe finds nothing wrong, in light and in dark.

Runs where Chromium, the package playwright and axe-core are installed, and SDFT_AXE is the path of axe.min.js.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from test_report import make_results

from sdft.pages.site import build, found

AXE = Path(os.environ.get("SDFT_AXE", "absent"))
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1280, 380)
# The width of an A4 page between its margins, in CSS pixels.
PAPER = 703

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
    pytest.mark.skipif(not AXE.is_file(), reason="SDFT_AXE is no path of axe-core's axe.min.js"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, root):
    """Every kind of page, on disk; runs with metrics, samples and answers among them."""
    out = tmp_path_factory.mktemp("site")
    spec = make_results(out / "results", root=root, items=24, prior_items=12)
    plan_file = out / "results/tables/table5/plan.json"
    plan = json.loads(plan_file.read_text())
    for run in (run for cell in plan["cells"] for run in cell["runs"]):
        made = out / "results/runs" / run["run"]
        made.mkdir(parents=True)
        run["model"] = str(made / "model.json")
        (made / "model.json").write_text(json.dumps({"run": {"base": "m-s0", "settings": {"a": 1}}, "steps": 9}))
        steps = [{"step": k, "loss": 1 / k, "student_distance": k, "teacher_distance": k / 2} for k in range(1, 10)]
        (made / "metrics.jsonl").write_text("\n".join(map(json.dumps, steps)))
        said = {"tokens": ["a ", "b ", "c ", "d ", "e"], "divergence": [0.0, 0.05, 0.3, 1.0, 5.0]}
        sample = {"at": "end", "id": "q", "question": "which ?", "student": said, "teacher": "a b"}
        (made / "rollouts.json").write_text(json.dumps({"definition": "d", "samples": [sample]}))
    plan_file.write_text(json.dumps(plan))
    for path, page in build.files(found.load(spec)):
        (out / path).parent.mkdir(exist_ok=True)
        (out / path).write_text(page)
    return out


@pytest.fixture(scope="module")
def browser():
    library = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
    with library.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


PAGES = (
    "report.html",
    *("report/table5.html", "report/figure4.html", "report/claim-sdft-learns.html", "report/base-m-s0.html"),
    *("report/run-science-sdft-s0-00000000.html", "report/sweep-science-sdft.html", "report/replications.html"),
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_clean_at_both_widths_in_light_and_dark(browser, folder, name):
    for width in WIDTHS:
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            asked, wrong = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("console", lambda said, wrong=wrong: wrong.append(said.text))
            page.on("pageerror", lambda error, wrong=wrong: wrong.append(str(error)))
            page.goto(f"file://{folder / name}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            page.evaluate(AXE.read_text())
            found = page.evaluate("axe.run(document, {resultTypes: ['violations'], preload: false})")
            assert [(entry["id"], entry["nodes"][0]["target"]) for entry in found["violations"]] == []
            assert all(url.startswith("file:") for url in asked)
            assert wrong == []
            page.close()


CUT_OFF = """
[...document.querySelectorAll('table, svg, pre, p')].filter(
  one => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
).map(one => one.outerHTML.slice(0, 80))
"""
HIDDEN = """
[...document.querySelectorAll('details > :not(summary)')].filter(
  one => !one.checkVisibility({contentVisibilityAuto: true})
).length
"""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_whole(browser, folder, name):
    page = browser.new_page(viewport={"width": PAPER, "height": 1000})
    page.goto(f"file://{folder / name}")
    page.emulate_media(media="print")
    assert page.evaluate(CUT_OFF) == []
    assert page.evaluate(HIDDEN) == 0
    page.close()


def test_a_link_can_be_followed_by_keyboard_to_the_command_of_a_run(browser, folder):
    page = browser.new_page()
    page.goto(f"file://{folder / 'report.html'}")
    page.locator("a[href='report/table5.html#science-sdft-new_task']").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/table5.html#science-sdft-new_task")
    page.locator("#science-sdft-new_task a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/run-science-sdft-s0-00000000.html")
    assert "snakemake --cores all" in page.inner_text("main")
    page.close()
