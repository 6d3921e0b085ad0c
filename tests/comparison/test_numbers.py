"""A comparison says no more than its scores do."""

from __future__ import annotations

import gzip
import json

import pytest

from sdft.comparison.numbers import Subject, numbers
from sdft.comparison.page import command, differences, markdown

ITEMS = 100


def scored(folder, **shares):
    """Scores of a model that is right in the first share of each benchmark's items."""
    folder.mkdir(parents=True)
    lines = []
    for name, share in shares.items():
        right = [int(item < share * ITEMS) for item in range(ITEMS)]
        lines += [
            {"benchmark": name, "id": f"{item}", "correct": value, "response": ""} for item, value in enumerate(right)
        ]
        (folder / f"{name}.json").write_text(json.dumps({"value": sum(right) / ITEMS, "n": ITEMS}))
    (folder / "responses.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return folder


def trained(folder):
    folder.mkdir(parents=True)
    (folder / "model.json").write_text(json.dumps({"seconds": 3.0, "steps": 5}))
    return folder


@pytest.fixture
def found(tmp_path):
    models = {"base": (0.1, 0.9, 0.9), "sft": (0.6, 0.2, 0.9), "sdft": (0.6, 0.895, 0.9)}
    subjects = []
    for name, (own, facts, stories) in models.items():
        folders = [scored(tmp_path / f"{name}{seed}", own=own, facts=facts, stories=stories) for seed in (0, 1)]
        runs = [] if name == "base" else [trained(tmp_path / f"run-{name}{seed}") for seed in (0, 1)]
        subjects.append(Subject(name, name.upper(), folders, None if name == "base" else 1e-5, runs))
    values = numbers(subjects, "own", ["facts", "stories"])
    spec = {"model": "m", "train": "my rows.jsonl", "out": "o", "seeds": [0, 1], "scorer": "contains", "settings": {}}
    return values | {"spec": spec, "rows": {"train": 7, "test": ITEMS}, "notes": ["a note"], "distance": 0}


def test_the_answer_tells_a_difference_from_none(found):
    assert "SDFT and SFT cannot be told apart on the new task: +0.0 points" in found["answer"]
    assert "SDFT is better than SFT on prior capabilities: +35.0 points" in found["answer"]


def test_every_model_is_compared_with_the_base_and_p_is_corrected_for_all(found):
    pairs = {(entry["one"], entry["other"], entry["quantity"]) for entry in found["differences"]}
    assert len(pairs) == 6
    assert all(entry["p_holm"] >= entry["p"] for entry in found["differences"])
    rows = {row["name"]: row for row in found["models"]}
    assert rows["sdft"]["prior_average"]["mean"] == pytest.approx(90.0, abs=0.5)
    assert (rows["sft"]["kept_within_1_point"], rows["sdft"]["kept_within_1_point"]) == (0.5, 1.0)


def test_the_page_says_what_the_numbers_say_and_how_to_repeat_them(found):
    text = markdown(found)
    assert "| SFT | 1e-05 | 60.0 [" in text
    assert "1 of 2" in text
    assert "A note." in text
    assert "--train 'my rows.jsonl' --out o --seeds 0 1 --scorer contains" in command(found)
    assert any(
        row[0] == "SDFT minus SFT, on prior capabilities" and row[3] == "higher" for row in differences(found)[1]
    )
