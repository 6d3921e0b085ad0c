"""The documentation says what is so: its pages are all in the site, and what it computes comes out."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sdft import train
from sdft.__main__ import main, steps
from sdft.common.errors import run_main
from sdft.methods.settings import TrainingSettings
from sdft.models.memory import memory
from sdft.models.size import ModelSize

QWEN_1_5B = ModelSize(parameters=1.54e9, layers=28, hidden=1536, intermediate=8960, vocabulary=151936)


class Loader(yaml.SafeLoader):
    pass


def pages(nav):
    for entry in nav:
        for value in entry.values():
            yield from [value] if isinstance(value, str) else pages(value)


def test_every_page_is_in_the_site_and_every_entry_is_a_page(root):
    listed = list(pages(yaml.load((root / "mkdocs.yml").read_text(), Loader=Loader)["nav"]))
    assert {page for page in listed if "/" not in page} == {path.name for path in (root / "docs").glob("*.md")}
    assert all((root / "docs" / page).is_file() for page in listed)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_the_site_builds_without_a_broken_link(root, tmp_path):
    # Not --quiet: it drops the warnings that --strict counts.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sdft.comparison.run.compare" in (tmp_path / "site/api.html").read_text()


def test_the_readme_shows_the_shipped_table_5(root):
    def rows(page):
        lines = (root / page).read_text().split("\n## Table 5 in miniature\n")[-1].splitlines()
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
        return [(*row[:3], row[-1]) for row in cells if re.fullmatch(r"[\d.]+ \[.*\]", row[-1])]

    shown, shipped = rows("README.md"), rows("docs/mini/table.md")
    assert len(shown) == 15
    assert shown == shipped


def test_the_settings_for_one_24_gb_card_take_what_the_page_says(root):
    text = " ".join((root / "docs/own-data.md").read_text().split())
    again = {"gradient_checkpointing": True}
    narrow = {"weights_dtype": "bfloat16", "optimizer_dtype": "bfloat16"} | again
    for settings, said in (
        ({**narrow, "ema_dtype": "bfloat16", "rounding": "stochastic"}, "16.2 GiB by `sdft.models.memory`"),
        (narrow, "With a float32 EMA it takes 22.0 GiB"),
        (again, "in float32 throughout 33.6 GiB"),
        ({"weights_dtype": "bfloat16", "lora_rank": 32}, "13.5 GiB without recomputation"),
    ):
        total = memory(QWEN_1_5B, TrainingSettings(**settings), tokens=2048)["total"]
        assert f"{total:.1f} GiB" in said
        assert said in text


def said(module):
    """The text of a step's files: its own, or of a package that starts it."""
    found = importlib.util.find_spec(module)
    folder = found.submodule_search_locations
    return (
        "".join(path.read_text() for path in Path(folder[0]).glob("__*.py"))
        if folder
        else Path(found.origin).read_text()
    )


def test_every_step_says_what_it_is_in_a_line_and_shows_an_example():
    found = steps()
    assert list(found)[:4] == ["compare", "train", "evaluate", "config"]
    whole = re.compile(r"[^A-Z?`](?!.*[?`]).*[^.:;(]")
    assert [line for _, line in found.values() if not whole.fullmatch(line) or line.count("(") != line.count(")")] == []
    assert [name for name, (module, _) in found.items() if not re.search("examples?:", said(module))] == []


def test_a_package_of_steps_is_answered_with_those_in_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sdft", "sdft.data"])
    main()
    assert re.findall(r"^  ([a-z]+\.\S+)", capsys.readouterr().out, re.M) == ["data.knowledge.make", "data.prepare"]


@pytest.mark.parametrize("step", ["sdft.train", "sdft.config", "sdft.study.gate", "sdft.evaluate", "sdft.pages.tables"])
@pytest.mark.parametrize(
    ("typed", "answer"),
    [("--ouut=x", "no option --ouut; "), ("-helf", "no option -helf; did you mean '--help'?")],
)
def test_a_mistyped_option_of_a_step_is_answered_with_the_nearest(monkeypatch, capsys, step, typed, answer):
    command = importlib.import_module(f"{step}.__main__" if step == "sdft.evaluate" else step).main
    monkeypatch.setattr(sys, "argv", [step, typed])
    with pytest.raises(SystemExit) as ended:
        run_main(command)
    said = " ".join(capsys.readouterr().err.split())
    assert (ended.value.code, said.startswith(f"error: python -m {step} has {answer}")) == (2, True)


def test_every_step_starts_where_mistyped_options_are_answered():
    assert [name for name, (module, _) in steps().items() if "    run_main(main)" not in said(module)] == []


def test_a_value_that_a_step_does_not_take_is_still_told_by_its_option(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["sdft.train", "--run", "a", "--out", "b", "--thr", "x"])
    with pytest.raises(SystemExit):
        run_main(train.main)
    assert "argument --threads: invalid int value: 'x'" in capsys.readouterr().err


def test_base_models_that_help_and_messages_name_are_in_the_study(root):
    known = yaml.safe_load((root / "config/mini.yaml").read_text())["models"]["names"]
    named = {name for path in (root / "sdft").rglob("*.py") for name in re.findall(r"\bm-s\d+\b", path.read_text())}
    assert named
    assert named <= set(known)


def test_a_mistyped_step_is_answered_and_a_step_is_run(root):
    def run(*arguments):
        command = [sys.executable, "-m", "sdft", *arguments]
        return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    wrong = run("compar")
    assert (wrong.returncode, "did you mean 'compare'" in wrong.stderr) == (2, True)
    assert "python -m sdft.records.trl --to trl" in run("records.trl", "--help").stdout
