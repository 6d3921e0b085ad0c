"""The ledger has a line for every statement, at every scale, whatever was run."""

from __future__ import annotations

import json

import pytest
import studies
from studies import World
from world import make_world

from sdft.common.errors import SdftError
from sdft.evidence.exhibits.table5 import ledger_lines
from sdft.evidence.statements import catalogue
from sdft.pages import ledger, tables


@pytest.fixture(scope="module")
def made(tmp_path_factory, paper_like):
    """A ledger of Table 5 and Table 1 alone."""
    root = tmp_path_factory.mktemp("ledger")
    plan = studies.knowledge(World(root, items=60))[0]
    tables.main(["--plan", str(plan), "--out", str(root / "table1")])
    files = [str(root / "table1/verdict.json"), str(paper_like[0] / "tables/table5/verdict.json")]
    ledger.main(["--verdicts", *files, "--out", str(root)])
    return root, json.loads((root / "ledger.json").read_text())


def test_every_statement_has_a_line_and_what_has_no_file_is_not_run(made):
    _, found = made
    assert len(found["statements"]) == sum(map(len, catalogue().values())) >= 20
    words = {entry["id"]: entry["scales"]["mini"]["verdict"] for entry in found["statements"]}
    assert words["sdft-learns"] == words["knowledge-cpt-fails"] == "DIRECTION"
    assert words["onpolicy-beats-offline"] == words["cost-dearer"] == "NOT RUN"
    assert sum(found["counts"]["mini"].values()) == len(found["statements"])
    for entry in found["statements"]:
        assert entry["place"]
        assert entry["test"]
        for test in entry["scales"]["mini"]["evidence"].get("tests", ()):
            assert "difference" not in test or (test["n_seeds"] and test["seeds"])


def test_every_format_names_the_statements_and_the_discrepancies(made):
    root, found = made
    for kind in ("csv", "md", "tex"):
        text = (root / f"ledger.{kind}").read_text()
        assert "NOT RUN" in text
        assert found["statements"][-1]["statement"][:40] in text
    page = (root / "ledger.md").read_text()
    assert "reverse KL" in page
    assert max(len(line) for line in page.splitlines() if not line.startswith(("|", "#"))) <= 120
    rows = [entry["what"] for entry in found["discrepancies"]]
    assert len(set(rows)) == len(rows)
    assert "Science Q&A, SFT + re-invoke, Prior average" in rows
    what = {entry["id"] for entry in found["discrepancies"]}
    assert {"kl-direction", "context-order", "table5-science-sft_reinvoke-prior_average"} <= what


def test_one_task_against_the_paper_makes_the_sentence_a_mismatch(paper_like):
    verdict = json.loads(json.dumps(paper_like[1]))
    claim = next(entry for entry in verdict["claims"] if entry["id"] == "sdft-forgets-less-tooluse")
    claim["verdict"] = "MISMATCH"
    line = next(entry for entry in ledger_lines(verdict) if entry["id"] == "sdft-forgets-less")
    assert line["verdict"] == "MISMATCH"
    claim["verdict"] = "NO DIFFERENCE"
    line = next(entry for entry in ledger_lines(verdict) if entry["id"] == "sdft-forgets-less")
    assert line["verdict"] == "NO DIFFERENCE"


def test_table_5_and_the_ledger_have_one_verdict_of_one_measurement(made, paper_like):
    claims = {claim["id"]: claim for claim in paper_like[1]["claims"]}
    for line in made[1]["statements"]:
        for test in line["scales"]["mini"]["evidence"]["tests"] if line["item"] == "table5" else ():
            task = {"Science Q&A": "science", "Tool Use": "tooluse"}[test["name"]]
            assert test["verdict"] == claims[f"{line['id']}-{task}"]["verdict"]


def test_the_ledger_lists_every_claim_with_its_verdict_and_both_readings(made):
    _, found = made
    claims = {claim["id"]: claim for claim in found["claims"]}
    assert list(claims) == [entry["id"] for entry in found["statements"]]
    learns = claims["sdft-learns"]
    assert learns["verdict"] == learns[learns["counts"]]
    assert {"these_bases", "any_base", "needed"} <= set(learns)


def test_a_file_twice_or_no_verdict_is_refused(made, tmp_path):
    root, _ = made
    file = str(root / "table1/verdict.json")
    with pytest.raises(SdftError, match="second verdict of table1"):
        ledger.main(["--verdicts", file, file, "--out", str(tmp_path)])
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SdftError, match="no verdict of a table or figure"):
        ledger.main(["--verdicts", str(tmp_path / "x.json"), "--out", str(tmp_path)])


@pytest.mark.slow
def test_a_method_beside_the_papers_is_asked_about_and_takes_nothing_from_the_papers_claims(tmp_path, tabulate):
    path = make_world(tmp_path)
    alone = {claim["id"]: claim for claim in tabulate(path, tmp_path / "alone")["claims"]}
    plan = json.loads(path.read_text())
    sdft = next(cell for cell in plan["cells"] if cell["arm"] == "sdft")
    plan["cells"].append({**sdft, "arm": "off_policy_fresh", "method": "off_policy_fresh"})
    path.write_text(json.dumps(plan))
    verdict = tabulate(path, tmp_path / "table5")
    claims = {claim["id"]: claim for claim in verdict["claims"]}
    assert {name: claims[name] for name in alone} == alone
    assert set(claims) - set(alone) == {"off_policy_fresh-learns-science", "off_policy_fresh-forgets-less-science"}

    plain = json.loads((tmp_path / "alone/verdict.json").read_text()) | {"scale": "other"}
    (tmp_path / "alone/verdict.json").write_text(json.dumps(plain))
    files = [str(tmp_path / f"{name}/verdict.json") for name in ("table5", "alone")]
    ledger.main(["--verdicts", *files, "--out", str(tmp_path)])
    found = json.loads((tmp_path / "ledger.json").read_text())["statements"]
    own = {entry["id"]: entry for entry in found if entry["item"] == "table5" and entry["ours"]}
    assert set(own) == {"off_policy_fresh-learns", "off_policy_fresh-forgets-less"}
    line = own["off_policy_fresh-forgets-less"]
    assert line["scales"]["mini"]["verdict"] == "DIRECTION"
    assert "other" not in line["scales"]
    assert "Fresh teacher samples forgets less than SFT" in (tmp_path / "ledger.md").read_text()
