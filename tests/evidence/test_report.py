"""The pages show verdicts as the ledger has them, load nothing, run nothing, and do not outlive a failure."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
import sys
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from studies import World, knowledge
from world import make_world

from sdft.common.errors import SdftError
from sdft.evidence import replications as replications_file
from sdft.evidence.replications import replications
from sdft.pages import drawings, figures, figures_page, ledger, tables
from sdft.pages.claims import claims_of
from sdft.pages.site import build, found
from sdft.pages.site.entry import answer
from sdft.study.exhibits import names
from sdft.study.specs import SiteSpec, Unshown

VOID = frozenset({"br", "meta", "img", "link", "hr", "input"})
NOTICES = {
    "mini": ("own", "Numbers of scale mini."),
    "rehearsal": ("none", "Rehearsal: not evidence."),
    "paper": ("paper", ""),
}


def write_spec(folder, shown, scale="mini", unshown=()):
    """The plan of a site of some tables and figures."""
    evidence, notice = NOTICES[scale]
    spec = SiteSpec(
        scale=scale,
        root=str(folder),
        entry="report",
        command="snakemake --cores all table5",
        evidence=evidence,
        notice=notice,
        shown=list(shown),
        unshown=list(unshown),
        hours={"table1": 0.75},
    )
    path = folder / "report.plan.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(spec.model_dump_json())
    return path


def make_results(folder, *, root=None, unshown=(), scale="mini", **world):
    """Table 5 of an invented world and, where the root of the repository is given, Figure 4."""
    plan = make_world(folder, scale=scale, **world)
    tables.main(["--plan", str(plan), "--out", str(folder / "tables/table5")])
    (folder / "tables/table5/plan.json").write_text(plan.read_text())
    if root is None:
        return write_spec(folder, ("table5",), scale, unshown)
    style = str(root / "sdft/pages/figures.mplstyle")
    figures.main(["figure4", "--plan", str(plan), "--style", style, "--out", str(folder / "figures/figure4")])
    (folder / "figures/figure4.plan.json").write_text(plan.read_text())
    return write_spec(folder, ("table5", "figure4"), scale, unshown)


def pages_of(spec):
    """The whole HTML of every page, by its path."""
    study = found.load(spec)
    files = dict(build.files(study))
    assert ".scroll" in files.pop("report/site.css")
    return files


@pytest.fixture(scope="module")
def spec(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("results")
    left = Unshown(name="figure3", title="Figure 3", reason="switched off", command="snakemake figure3", hours=1.25)
    return make_results(folder, root=root, missing=("dft",), items=60, prior_items=30, unshown=(left,))


@pytest.fixture(scope="module")
def site(spec):
    return pages_of(spec)


class Reader(HTMLParser):
    """Reads a page into its links, ids, tags and text; raises where elements are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.links, self.ids, self.tags, self.open, self.text, self.handlers = [], [], [], [], [], []
        self.sheets = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        named = dict(attributes)
        self.links += [named["href"]] if tag == "a" else []
        self.sheets += [named["href"]] if tag == "link" else []
        self.ids += [named["id"]] if "id" in named else []
        self.handlers += [name for name in named if name.startswith("on") or name == "src"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def test_the_committed_notebook_is_a_source(root):
    notebook = nbformat.read(root / "notebooks/site.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata.kernelspec.name == "python3"
    assert "language_info" in notebook.metadata
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in code) == 1
    assert not any(line.startswith(("!", "%")) for cell in code for line in cell.source.splitlines())


def test_every_link_leads_somewhere_and_nothing_is_fetched_or_run(site):
    read = {path: Reader(page) for path, page in site.items()}
    for path, page in read.items():
        assert len(set(page.ids)) == len(page.ids), path
        assert page.handlers == []
        assert not {"script", "iframe", "object", "img"} & set(page.tags)
        assert page.sheets == ([] if path == "report.html" else ["site.css"])
        assert page.tags.count("h1") == 1
        assert not re.search(r"https?://|@import|url\((?!#)", site[path])
        for link in page.links:
            target, _, anchor = link.partition("#")
            whole = Path(path).parent / target if target else Path(path)
            named = "/".join(part for part in whole.parts if part != "..")
            named = named.removeprefix("report/") if ".." in whole.parts else named
            assert named in read, (path, link)
            assert not anchor or anchor in read[named].ids, (path, link)


def test_a_cell_of_table_5_leads_to_its_runs_and_a_run_to_its_command(site, spec):
    verdict = json.loads((spec.parent / "tables/table5/verdict.json").read_text())
    table = site["report/table5.html"]
    for row in verdict["rows"]:
        (line,) = re.findall(rf'<tr role="row" id="{row["task"]}-{row["arm"]}-{row["metric"]}".*?</tr>', table)
        text = "".join(Reader(line).text)
        assert row["verdict"] in text
        if row["published"] is not None:
            assert f"{row['published']:.1f}" in text
        if row["mean"] is not None:
            for value in (row["mean"], row["low"], row["high"], row["sd_seeds"]):
                assert value is None or f"{value:.1f}" in text
            if row["published"] is not None:
                assert f"{row['mean'] - row['published']:+.1f}" in text
        for run in row["runs"]:
            if row["method"] == "base":
                assert f'href="base-{run}.html"' in line
                assert f"report/base-{run}.html" in site
            else:
                assert f'href="run-{run}.html"' in line
                page = "".join(Reader(site[f"report/run-{run}.html"]).text)
                assert f"snakemake --cores all {spec.parent}/scores/table5/{run}/{row['task']}.json" in page


def test_table_5_names_the_spread_and_the_runs_behind_a_cell(site):
    page = site["report/table5.html"]
    assert "Intervals: for any base model." in page
    assert "SD of runs" in page
    assert "SD between seeds" not in page
    assert "3 runs: 3 base models x 1 seed" in page


def test_every_page_has_the_verdicts_of_the_ledger(site, spec, tmp_path):
    files = [str(spec.parent / name) for name in ("tables/table5/verdict.json", "figures/figure4.json")]
    ledger.main(["--verdicts", *files, "--out", str(tmp_path)])
    stated = json.loads((tmp_path / "ledger.json").read_text())["statements"]
    words = {entry["id"]: entry["scales"]["mini"]["verdict"] for entry in stated if entry["item"] == "table5"}
    assert len(set(words.values())) > 1
    for name, word in words.items():
        page = site[f"report/claim-{name}.html"]
        assert re.search(r'<p><span class="verdict[^>]*>([^<]*)', page).group(1) == word
        for other in ("report.html", "report/table5.html"):
            line = next(row for row in site[other].split("<tr") if f"claim-{name}.html" in row and "<td" in row)
            assert re.search(r'class="verdict[^>]*>([^<]*)', line).group(1) == word


def test_what_was_not_run_is_said_with_reason_cost_and_command(site):
    page = site["report.html"]
    left = page[page.index("<h2>What was not run") :]
    for said in ("Figure 3", "switched off", "about 1.25 device-hours", "snakemake figure3", "DFT", "without a score"):
        assert said in left
    assert "Table 5" in left
    assert "SDFT (" not in left


def test_each_study_that_was_not_run_costs_once(tmp_path):
    left = [
        Unshown(name=name, title=name, reason="switched off", command=name, hours=hours)
        for name, hours in (("table1", 1.5), ("table4", 1.5), ("figure7", 1.5), ("figure3", 2.0))
    ]
    page = dict(build.files(found.load(write_spec(tmp_path, ("table5",), unshown=left))))["report.html"]
    assert "at most 3.50 device-hours" in page


def test_tables_and_runs_each_have_their_commit_and_dates(tmp_path):
    spec = make_results(tmp_path, items=8, prior_items=8)
    verdict = tmp_path / "tables/table5/verdict.json"
    record = json.loads(verdict.read_text())
    record["manifest"] |= {"commit": "a" * 40, "dirty": False, "finished": "2026-11-28 06:53 UTC"}
    record["manifest"]["inputs"]["commits"] = ["b" * 40]
    verdict.write_text(json.dumps(record))
    plan = json.loads((tmp_path / "tables/table5/plan.json").read_text())
    for day, run in enumerate(plan["cells"][0]["runs"], 1):
        model = tmp_path / f"runs/{run['run']}/model.json"
        model.parent.mkdir(parents=True)
        told = {"base": run["base"], "seed": run["seed"]}
        model.write_text(json.dumps({"run": told, "steps": 1, "manifest": {"finished": f"2026-11-0{day} 00:00 UTC"}}))
        run["model"] = str(model)
    (tmp_path / "tables/table5/plan.json").write_text(json.dumps(plan))
    text = "".join(Reader(pages_of(spec)["report.html"]).text)
    assert f"commit {'a' * 12}, 2026-11-28 06:53 UTC" in text
    assert f"commit {'b' * 12}, trained from 2026-11-01 00:00 UTC to 2026-11-03 00:00 UTC" in text


def test_the_papers_model_is_named_only_where_the_scale_is_the_papers(site, tmp_path):
    title = re.compile(r"<h1>(.*?)</h1>")
    assert "Qwen" not in title.search(site["report/table5.html"])[1]
    spec = make_results(tmp_path, items=8, prior_items=8, scale="paper")
    assert "Qwen2.5-7B-Instruct, scale paper" in title.search(pages_of(spec)["report/table5.html"])[1]


def test_no_title_says_its_word_twice():
    for name in names():
        first, _, rest = found.title(name).partition(": ")
        assert not rest.startswith(first)


def test_the_answer_is_one_of_what_was_run(site, tmp_path):
    assert "SDFT learns the new task at least as well as SFT on 1 of 1 tasks" in site["report.html"]
    empty = found.load(write_spec(tmp_path, ("table5", "figure4")))
    assert answer(empty) == "Nothing has been run yet, so no claim of the paper has been tested."
    page = dict(build.files(empty))["report.html"]
    assert "came out against" not in page
    assert "Table 5" in page[page.index("<h2>What was not run") :]


def test_a_claim_against_the_paper_is_said_at_the_top(tmp_path):
    effects = {"base": (0.3, 0.85), **dict.fromkeys(("sft", "sft_reinvoke", "dft"), (0.8, 0.8)), "sdft": (0.3, 0.4)}
    page = pages_of(make_results(tmp_path, effects=effects, items=60, prior_items=30))["report.html"]
    assert page.index("These came out against the paper") < page.index("<h2>Claims")


def test_a_rehearsal_is_stamped_and_answers_nothing(tmp_path):
    page = pages_of(make_results(tmp_path, scale="rehearsal", items=8, prior_items=8))["report.html"]
    assert '<p class="stamp">Rehearsal: not evidence.</p>' in page
    assert "They are no evidence for or against any claim." in page


def test_a_restored_share_is_no_number_of_points(site):
    page = site["report/claim-reinvoke-restores-part.html"]
    assert "of the loss" in page
    printed = re.search(r'data-label="Paper"[^>]*>([^<]*)<', page).group(1)
    assert printed == "56 %"


HOSTILE = (
    "</p></td></table><script>alert(1)</script><img src=x onerror=alert(1)> ]]> \N{RIGHT-TO-LEFT OVERRIDE} $x_1$ **b**"
)


def test_what_a_model_says_is_text(tmp_path):
    spec = make_results(tmp_path, items=8, prior_items=8)
    for archive in (tmp_path / "scores").rglob("responses.jsonl.gz"):
        with gzip.open(archive, "rt") as lines:
            items = [json.loads(line) for line in lines]
        with gzip.open(archive, "wt") as out:
            out.writelines(json.dumps(item | {"response": HOSTILE}) + "\n" for item in items)
    plan = json.loads((tmp_path / "tables/table5/plan.json").read_text())
    for run in (run for cell in plan["cells"] for run in cell["runs"]):
        folder = tmp_path / "runs" / run["run"]
        folder.mkdir(parents=True)
        run["model"] = str(folder / "model.json")
        (folder / "model.json").write_text(json.dumps({"run": {"base": "m-s0", "seed": 0}, "steps": 1}))
        said = {"tokens": [HOSTILE, "b"], "divergence": [0.5, 3.0]}
        sample = {"at": "end", "id": "q", "question": HOSTILE, "student": said, "teacher": HOSTILE}
        (folder / "rollouts.json").write_text(json.dumps({"definition": "d", "samples": [sample]}))
    (tmp_path / "tables/table5/plan.json").write_text(json.dumps(plan))
    page = pages_of(spec)["report/run-science-sdft-s0-00000000.html"]
    read = Reader(page)
    assert not {"script", "img"} & set(read.tags)
    assert "".join(read.text).count(HOSTILE) >= 4
    assert 'class="d3" title="up to 0.5 nats"' in page


def test_a_run_is_set_beside_its_base_model_on_the_facts_that_it_has_learnt(tmp_path):
    spec = make_results(tmp_path, items=8, prior_items=8)
    plan = json.loads((tmp_path / "tables/table5/plan.json").read_text())
    run = next(cell["runs"][0] for cell in plan["cells"] if (cell["task"], cell["arm"]) == ("science", "sdft"))
    base = plan["base"][0]
    folder = tmp_path / "runs" / run["run"]
    folder.mkdir(parents=True)
    run |= {"model": str(folder / "model.json"), "draw": "-1001"}
    (folder / "model.json").write_text(json.dumps({"run": {"base": base["model"], "seed": 0}, "steps": 1}))

    def science():
        (tmp_path / "tables/table5/plan.json").write_text(json.dumps(plan))
        page = pages_of(spec)[f"report/run-{run['run']}.html"]
        row = re.search(r"<tr><th[^>]*>Science Q&amp;A</th>(.*?)</tr>", page).group(1)
        return re.search(r">([^<]*)</td>", row).group(1), "<h2>Answers before and after training</h2>" in page

    # On these facts the base model was not asked.
    assert science() == ("", False)
    later = tmp_path / "scores/later"
    shutil.copytree(base["scores"], later)
    plan["base"].append(base | {"seed": 9, "draw": "-1001", "scores": str(later), "task": "science"})
    value = json.loads((later / "science.json").read_text())["value"]
    assert science() == (f"{100 * value:.1f}", True)


def test_a_run_that_the_sweep_has_trained_says_so_and_how_samples_are_had(tmp_path):
    spec = make_results(tmp_path, items=8, prior_items=8)
    plan = json.loads((tmp_path / "tables/table5/plan.json").read_text())
    runs = next(cell["runs"] for cell in plan["cells"] if (cell["task"], cell["arm"]) == ("science", "sdft"))
    for place, run in enumerate(runs):
        folder = tmp_path / "runs" / run["run"]
        folder.mkdir(parents=True)
        run["model"] = str(folder / "model.json")
        read = {"data": {"train": "rows.jsonl", "prompts": None}, "base_ready": "ready.json"} if place else {}
        record = {"run": {"base": "m-s0", "seed": place, **read}, "steps": 1}
        taken = {} if place else {"candidate": "results/sweep/science/sdft/the-winner"}
        (folder / "model.json").write_text(json.dumps(record | taken))
        if place:
            said = {"tokens": ["a"], "divergence": [0.5]}
            sample = {"at": "end", "id": "q", "question": "q", "student": said, "teacher": "a"}
            (folder / "rollouts.json").write_text(json.dumps({"definition": "d", "samples": [sample]}))
    (tmp_path / "tables/table5/plan.json").write_text(json.dumps(plan))
    pages = pages_of(spec)
    page = pages[f"report/run-{runs[0]['run']}.html"]
    assert "the-winner" in page
    assert f'href="run-{runs[1]["run"]}.html"' in page
    assert f"python -m sdft.train --run {tmp_path}/runs/{runs[0]['run']}/run.json" in page
    # The run's own record names neither rows nor a base model's file, so nothing is told to make them.
    assert "It reads rows" not in page
    other = pages[f"report/run-{runs[1]['run']}.html"]
    assert "the-winner" not in other
    assert "snakemake --cores all rows.jsonl ready.json --config" in other


def test_a_run_shows_its_teacher_its_collapse_and_its_distance_from_the_base(tmp_path):
    spec = make_results(tmp_path, items=8, prior_items=8)
    plan = json.loads((tmp_path / "tables/table5/plan.json").read_text())
    measured, other = (
        run for cell in plan["cells"] if (cell["task"], cell["arm"]) == ("science", "sdft") for run in cell["runs"][:2]
    )
    told = {"base": "m-s0", "base_ready": "results/base/m-s0/ready.json", "settings": {"max_new_tokens": 9}}
    seen = {"step": 7, "divergence": 0.01, "divergence_at_start": 2.5, "entropy": 0.3}
    for run, record in ((measured, {"collapse": seen}), (other, {"collapse": None})):
        folder = tmp_path / "runs" / run["run"]
        folder.mkdir(parents=True)
        run["model"] = str(folder / "model.json")
        (folder / "model.json").write_text(json.dumps({"run": told, "steps": 9, **record}))
    steps = [{"step": k, "student_accuracy": 0.5, "teacher_accuracy": 0.75} for k in (1, 9)]
    metrics = tmp_path / "runs" / measured["run"] / "metrics.jsonl"
    metrics.write_text("\n".join(map(json.dumps, steps)))
    for name in (f"divergence/general/{measured['run']}.json", "data/general/train.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True)
    distance = {"nats_per_sequence": {"mean": 4.0}, "nats_per_token": {"mean": 0.25}, "n_prompts": 32}
    (tmp_path / f"divergence/general/{measured['run']}.json").write_text(json.dumps(distance))
    (tmp_path / "data/general/train.jsonl").write_text("")
    (tmp_path / "tables/table5/plan.json").write_text(json.dumps(plan))
    pages = pages_of(spec)
    page, without = (pages[f"report/run-{run['run']}.html"] for run in (measured, other))
    assert "at the end student 0.5, teacher 0.75" in page
    assert "Step 7: teacher and student have collapsed onto each other" in page
    assert "0.25 nats a token, 4 nats a sequence (32 prompts) on prompts of no task" in page
    assert "collapsed" not in without
    assert f"--data {tmp_path}/data/general/train.jsonl --limit 32 --max-new-tokens 9" in without


def test_table_5_says_how_many_prior_benchmarks_an_arm_keeps(site):
    page = site["report/table5.html"]
    # Not the base model, and not DFT, which has no scores.
    assert page.count("Prior benchmarks whose mean is within 1 point") == 3
    assert re.search(r"or above it: [0-6] of 6\.", page)


@pytest.mark.parametrize(
    "part",
    [
        "<script>alert(1)</script>",
        '<foreignObject><body xmlns="http://www.w3.org/1999/xhtml"><img src="x"/></body></foreignObject>',
        '<path onload="alert(1)" d="M0,0"/>',
        '<use href="https://elsewhere.example/x.svg#a"/>',
        '<image href="data:image/svg+xml;base64,AAAA"/>',
        '<a href="javascript:alert(1)"><path d="M0,0"/></a>',
        "<style>@import url(https://elsewhere.example/x.css);</style>",
        '<rect style="fill: url(https://elsewhere.example/x)"/>',
    ],
)
def test_a_drawing_runs_nothing_and_fetches_nothing(part):
    whole = f'<svg xmlns="http://www.w3.org/2000/svg"><g id="a"><path d="M1,1"/></g>{part}</svg>'
    kept = drawings.inline(whole)
    assert '<path d="M1,1" />' in kept
    assert not re.search(r"alert|elsewhere|script|<a |svg\+xml|foreignObject|<img", kept)


def test_a_drawing_keeps_the_parts_that_are_referred_to_and_no_blanks():
    parts = '\n <path id="mark" d="M 1.23456 2  L 3.0001 4" style="fill: none; stroke: #000"/>\n <clipPath id="clip"/>'
    uses = '<use href="#mark" x="1.23456"/><g clip-path="url(#clip)" id="axes"> </g>'
    whole = f'<svg xmlns="http://www.w3.org/2000/svg">{parts}{uses}</svg>'
    kept = drawings.inline(whole)
    assert 'id="mark" d="M1.23 2L3 4" style="fill:none;stroke:#000"' in kept
    assert '<clipPath id="clip" /><use href="#mark" x="1.23" />' in kept
    assert "axes" not in kept


def test_a_drawing_that_is_none_is_refused():
    with pytest.raises(SdftError, match="is not an SVG file"):
        drawings.inline("<svg><g></svg>")


def test_a_curve_leaves_out_what_is_no_number():
    drawn = drawings.curves("Loss", "nats", {"a": [(1, 0.5), (2, float("nan")), (3, 0.25)]})
    assert "Loss (nats), steps 1 to 3: between 0.25 and 0.5, at the end 0.25" in drawn
    assert drawings.curves("Loss", "", {"a": [(1, float("inf"))]}) == ""


def test_an_undecided_claim_says_what_would_decide_it_and_which_reading_counts(tmp_path):
    same = {"base": (0.3, 0.85), **dict.fromkeys(("sft", "sft_reinvoke", "dft", "sdft"), (0.6, 0.7))}
    pages = pages_of(make_results(tmp_path, effects=same, items=24, prior_items=12))
    first = re.compile(r'<p><span class="verdict[^>]*>INCONCLUSIVE')
    undecided = [page for path, page in pages.items() if "claim-" in path and first.search(page)]
    assert undecided
    for page in undecided:
        assert "What would decide it" in page
        assert "for any base model" in page


def test_a_claims_page_lists_the_runs_that_it_compares_and_no_others(site):
    claim = site["report/claim-sdft-keeps-base.html"]
    behind = claim[claim.index("The runs behind it") : claim.index("What the words say")]
    assert "run-science-sdft-s" in behind
    assert "Base models" in behind
    assert "run-science-sft-s" not in behind
    without_base = site["report/claim-sdft-forgets-less.html"]
    assert "run-science-sft-s" in without_base
    assert "run-science-dft-s" not in without_base
    assert "Base models" not in without_base
    assert "<h2>All runs of Table 5" in site["report/claim-dft-forgets-less.html"], "DFT was not run everywhere"


def test_replications_stand_beside_ours_by_the_same_keys(site):
    page = site["report/replications.html"]
    assert all(escape(source.where) in page for source in replications().sources)
    assert 'href="table5.html#science-sdft-new_task"' in page
    assert replications().of(("tooluse", "sdft", "new_task"))[0][1].text == "70.1"
    assert "SDFT, teacher: Frozen base, New task" in page
    assert "sdft.frozen" not in page
    assert "A teacher that follows the student slowly is better than the frozen base model." in page


def test_replications_speak_of_claims_that_the_ledger_has(tmp_path, monkeypatch):
    written = replications_file.FILE.read_text().replace("claim: ema-beats-frozen", "claim: ema-best")
    monkeypatch.setattr(replications_file, "FILE", tmp_path / "replications.yaml")
    replications_file.FILE.write_text(written)
    with pytest.raises(SdftError, match="the ledger has no claim 'ema-best'"):
        replications.__wrapped__()


@pytest.fixture(scope="module")
def some_results(tmp_path_factory, root):
    """Table 1 and Figure 7, and nothing else of what is to be shown."""
    folder = tmp_path_factory.mktemp("some")
    table, figure = knowledge(World(folder / "world", items=40))
    tables.main(["--plan", str(table), "--out", str(folder / "tables/table1")])
    shutil.copyfile(table, folder / "tables/table1/plan.json")
    style = str(root / "sdft/pages/figures.mplstyle")
    figures.main(["figure7", "--plan", str(figure), "--style", style, "--out", str(folder / "figures/figure7")])
    shutil.copyfile(figure, folder / "figures/figure7.plan.json")
    return write_spec(folder, ("table1", "table2", "table5", "figure3", "figure7"))


def test_what_is_there_is_shown_and_the_rest_is_named(some_results):
    site = pages_of(some_results)
    assert {"report.html", "report/table1.html", "report/figure7.html"} <= set(site)
    assert "<svg" in site["report/figure7.html"]
    assert "Oracle RAG" in site["report/table1.html"]
    assert "SDFT acquires new knowledge better than SFT." in site["report.html"]
    assert "reverse KL" in site["report/discrepancies.html"]
    left = site["report.html"][site["report.html"].index("<h2>What was not run") :]
    for name in ("Table 2", "Table 5", "Figure 3"):
        assert name in left
    assert "Table 1" not in left
    assert "at most 0.75 device-hours" not in site["report.html"]
    assert not claims_of("mini", {}, ("figure7",)) or all(
        c.verdict == "NOT RUN" for c in claims_of("mini", {}, ("table1",))
    )


def test_the_page_of_figures_has_every_caption(some_results, tmp_path):
    figures_page.main(["--results", str(some_results.parent), "--out", str(tmp_path / "figures.md")])
    written = (tmp_path / "figures.md").read_text()
    page = " ".join(written.split())
    caption = json.loads((some_results.parent / "figures/figure7.json").read_text())["caption"]
    assert caption in page.partition("![Figure 7](figure7.png) ")[2]
    assert max(map(len, written.splitlines())) <= 120
    assert "n = 3 seeds" in page
    assert page.count("NOT RUN") == len(names("figure")) - 1
    with pytest.raises(SdftError, match="holds no figure"):
        figures_page.main(["--results", str(tmp_path), "--out", str(tmp_path / "figures.md")])


@pytest.fixture(scope="module")
def render(root):
    def run(out, *parameters):
        command = [sys.executable, "workflow_scripts/render_report.py", "--notebook", "notebooks/site.ipynb"]
        command += ["--executed", str(out.with_suffix(".ipynb")), "--out", str(out), "--parameters", *parameters]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
def test_the_notebook_writes_the_site_and_repeats_to_the_byte(spec, site, render, tmp_path):
    first = tmp_path / "a/report.html"
    done = render(first, f"spec={spec}")
    assert done.returncode == 0, done.stderr
    assert (first.parent / "report/site.css").exists()
    written = {str(path.relative_to(first.parent)): path.read_text() for path in first.parent.rglob("*.html")}
    assert written == site
    assert first.with_suffix(".ipynb").exists()


@pytest.mark.slow
def test_a_broken_verdict_leaves_the_notebook_and_no_page(render, tmp_path):
    spec = make_results(tmp_path / "results", items=8, prior_items=8)
    (tmp_path / "results/tables/table5/verdict.json").write_text('{"table": "table5", "rows": []}')
    out = tmp_path / "report.html"
    out.write_text("an older page")
    (tmp_path / "report").mkdir()
    (tmp_path / "report/run-old.html").write_text("an older page")
    done = render(out, f"spec={spec}")
    assert done.returncode == 2
    assert "verdict.json" in done.stderr
    assert not out.exists()
    assert not (tmp_path / "report").exists()
    assert out.with_suffix(".ipynb").exists()


@pytest.mark.slow
def test_an_unknown_parameter_is_refused_before_anything_runs(render, tmp_path):
    done = render(tmp_path / "report.html", "spce=x")
    assert done.returncode == 2
    assert "did you mean 'spec'" in done.stderr
    assert list(tmp_path.glob("[!.]*")) == []


def test_a_cell_that_meets_a_lost_share_ends_in_the_paragraph_of_every_step():
    from workflow_scripts.render_report import of_a_file

    said = of_a_file("[Errno 116] Stale file handle: 'results/mini/plan.json'")
    assert said.startswith("results/mini/plan.json: Stale file handle: its file system does not answer")
    assert "free some space" in of_a_file("[Errno 28] No space left on device")
    assert of_a_file("[Errno 999] unknown") is None
    assert of_a_file("the plan holds no runs") is None
