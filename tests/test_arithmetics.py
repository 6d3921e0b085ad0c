"""Table 5 in several arithmetics: a claim counts as its verdicts agree, and a mean outside an interval is named."""

from __future__ import annotations

import json

import pytest

from benchmarks import arithmetics
from sdft.common.errors import SdftError


def table(verdicts, means, scale="mini"):
    claims = [{"id": f"claim-{number}", "verdict": verdict} for number, verdict in enumerate(verdicts)]
    rows = [
        {
            "task": "science",
            "arm": "sft",
            "metric": name,
            "mean": mean,
            "low": mean and mean - 5,
            "high": mean and mean + 5,
        }
        for name, mean in means.items()
    ]
    return {"scale": scale, "claims": claims, "rows": rows, "manifest": {"step": "tables"}}


def test_verdicts_that_differ_are_inconclusive_and_means_outside_are_named(tmp_path, capsys):
    tables = {
        "here": table(["DIRECTION", "MISMATCH"], {"new_task": 80.0, "prior_average": 90.0, "mmlu": None}),
        "there": table(["DIRECTION", "DIRECTION"], {"new_task": 83.0, "prior_average": 84.0, "mmlu": 50.0}),
    }
    for name, content in tables.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    out = tmp_path / "out.json"
    arithmetics.main([*(f"{name}={tmp_path / name}.json" for name in tables), "--out", str(out)])
    found = json.loads(out.read_text())
    assert [claim["counted"] for claim in found["claims"]] == ["DIRECTION", "INCONCLUSIVE"]
    assert found["differing"] == ["claim-1"]
    assert [cell["metric"] for cell in found["cells"]] == ["new_task", "prior_average"]
    assert [cell["metric"] for cell in found["outside"]] == ["prior_average"]
    assert found["largest_difference"] == 6
    assert "1 of 2 claims differ" in capsys.readouterr().out


def test_what_an_earlier_record_made_inconclusive_is_compared_as_it_was_found(tmp_path):
    content = table(["INCONCLUSIVE", "INCOMPARABLE"], {"new_task": 80.0})
    for claim in content["claims"]:
        claim |= {"counts": "these_bases", "readings": {"these_bases": "DIRECTION"}}
    found = arithmetics.compare({"here": content, "there": content})
    assert [claim["counted"] for claim in found["claims"]] == ["DIRECTION", "INCOMPARABLE"]


def figure(verdicts, task="medical", scale="mini", runs=("medical-sdft-s0-51661755",)):
    tests = [{"name": f"{task}: one minus other", "runs": list(runs)}]
    claims = [{"id": claim, "verdict": verdict, "evidence": {"tests": tests}} for claim, verdict in verdicts.items()]
    return {"scale": scale, "claims": claims, "manifest": {"step": "figures"}}


def record(tmp_path, *further):
    """The record of Table 5 in three arithmetics, of which the first have further files: (arithmetic, content)."""
    named = []
    for number, (name, content) in enumerate([(n, table(["DIRECTION"], {})) for n in ("a", "b", "c")] + [*further]):
        (tmp_path / f"{number}.json").write_text(json.dumps(content))
        named.append(f"{name}={tmp_path / str(number)}.json")
    arithmetics.main([*named, "--out", str(tmp_path / "out.json")])
    return json.loads((tmp_path / "out.json").read_text())


def test_claims_of_further_files_are_compared_where_several_arithmetics_have_run_them(tmp_path):
    here = figure({"same": "DIRECTION", "other": "MISMATCH", "alone": "DIRECTION", "half": "DIRECTION"})
    there = figure({"same": "DIRECTION", "other": "WITHIN", "half": "NOT RUN"})
    found = record(tmp_path, ("a", here), ("b", there))
    counted = {claim["id"]: claim["counted"] for claim in found["claims"]}
    assert counted == {"claim-0": "DIRECTION", "same": "DIRECTION", "other": "INCONCLUSIVE"}
    assert {len(claim["verdicts"]) for claim in found["claims"] if claim["id"] == "claim-0"} == {3}
    assert {name: len(files) for name, files in found["manifests"].items()} == {"a": 2, "b": 2, "c": 1}


@pytest.mark.parametrize(
    ("further", "message"),
    [
        ([("b", figure({"x": "WITHIN"}, "tooluse"))], "x is asked of other runs or tasks in a and b"),
        ([("b", figure({"x": "WITHIN"}, runs=("medical-sdft-s10-00000000",)))], "x is asked of other runs or tasks"),
        ([("b", figure({"x": "WITHIN"}, scale="smoke"))], "a file of b is of scale smoke, its Table 5 of mini"),
        ([("a", figure({"x": "WITHIN"}))], "a has x in two files"),
        ([("b", {"scale": "mini"})], "has no claims"),
    ],
)
def test_further_files_of_another_study_are_refused(tmp_path, further, message):
    with pytest.raises(SdftError, match=message):
        record(tmp_path, ("a", figure({"x": "WITHIN"})), *further)


def test_the_winners_of_sweeps_are_compared_where_they_lie_beside_the_tables(tmp_path, capsys):
    rates = {"here": (1e-3, 2e-3), "there": (2e-3, 1e-3)}
    for name, order in rates.items():
        place = tmp_path / name / "tables/table5/verdict.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(table(["DIRECTION"], {"new_task": 80.0})))
        for arm, chosen in (("sft", order), ("dft", sorted(order))):
            ranking = [{"hyperparameters": {"learning_rate": rate}, "validation": 0.5} for rate in chosen]
            path = tmp_path / name / f"selected/science/{arm}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"ranking": ranking}))
    out = tmp_path / "out.json"
    named = [f"{name}={tmp_path / name}/tables/table5/verdict.json" for name in rates]
    arithmetics.main([*named, "--out", str(out)])
    # The sweep of DFT is behind no row of the table.
    (sweep,) = json.loads(out.read_text())["sweeps"]
    assert (sweep["sweep"], sweep["same_winner"]) == ("science/sft", False)
    assert [entry[0]["learning_rate"] for entry in sweep["candidates"].values()] == [1e-3, 2e-3]
    assert "1 of 1 sweeps have other winners" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [(table(["DIRECTION"], {}, "smoke"), "not tables of the same scale"), ({"scale": "mini"}, "no verdict.json")],
)
def test_other_tables_are_refused(tmp_path, content, message):
    (tmp_path / "one.json").write_text(json.dumps(table(["DIRECTION"], {})))
    (tmp_path / "two.json").write_text(json.dumps(content))
    named = [f"{name}={tmp_path / name}.json" for name in ("one", "two")]
    with pytest.raises(SdftError, match=message):
        arithmetics.main([*named, "--out", str(tmp_path / "out.json")])
    with pytest.raises(SdftError, match="at least two"):
        arithmetics.main([named[0], "--out", str(tmp_path / "out.json")])
