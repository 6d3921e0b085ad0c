"""An edit reruns what it can change and nothing else; each row of the table is an edit and what it moves."""

from __future__ import annotations

import re
import shutil

import pytest

from sdft.common.code import Code
from sdft.common.files import PACKAGE
from sdft.evaluate.prior import check_config
from sdft.study import rerun

PRIOR = {name: {"task": f"mini_{name}", "metric": "acc"} for name in ("humaneval", "ifeval", "mmlu")}


def digests(package):
    """Every kind of digest that a rule or a fingerprint has, by what it is of."""
    code = Code(package)
    prior = check_config({"include_path": str(package / "miniature/benchmarks"), "tasks": PRIOR})
    found = {f"train {method}": rerun.train_code(method, code) for method in ("sft", "sdft", "sft_reinvoke")}
    found["responses"] = rerun.responses_code(code)
    found |= {f"scores {task}": rerun.task_code(task, code)["scores"] for task in ("science", "tooluse")}
    found |= {f"prior {name}": rerun.prior_code(prior, name, code)["scores"] for name in PRIOR}
    found |= {f"select {task}": rerun.select_code(task, prior, code) for task in ("science", "tooluse")}
    found |= {f"judge {task}": rerun.measure_code("judge", task, code=code) for task in ("medical", "knowledge")}
    return found


@pytest.fixture(scope="module")
def before():
    return digests(PACKAGE)


@pytest.fixture
def package(before, tmp_path):
    """A copy of the package, with the memory of what was read."""
    return shutil.copytree(PACKAGE, tmp_path / "sdft", ignore=shutil.ignore_patterns("*.pyc"))


TRAIN = {"train sft", "train sdft", "train sft_reinvoke"}
SCORES = {"scores science", "scores tooluse"}
SELECT = {"select science", "select tooluse"}
MORE = "\nCONSTANT_OF_A_TEST = 1\n"

# File, a pattern in it, what it becomes, and the digests that move. A pattern of None adds MORE to the file.
DECIDES = [
    ("learning/loop.py", None, None, TRAIN),
    ("divergence.py", None, None, TRAIN),
    ("teacher.py", None, None, {"train sdft"}),
    ("common/seeds.py", ">> 1", ">> 2", TRAIN | {"responses"} | SCORES | SELECT),
    ("decoding/loop.py", None, None, TRAIN - {"train sft"} | {"responses"} | SCORES | SELECT),
    ("losses/last_layer.py", None, None, TRAIN),
    ("methods/base.py", None, None, TRAIN),
    ("methods/sft.py", None, None, {"train sft"}),
    ("methods/sft_reinvoke.py", "return 0", "return 1", {"train sft_reinvoke"}),
    ("methods/sdft.py", None, None, {"train sdft", "train sft_reinvoke"}),
    ("evaluate/generate.py", "temperature > 0", "temperature > 0.5", {"responses"} | SCORES | SELECT),
    ("evaluate/answers.py", None, None, SCORES | SELECT),
    ("scoring/science.py", None, None, {"scores science", "select science"}),
    ("scoring/tooluse.py", None, None, {"scores tooluse", "select tooluse"}),
    ("tasks/tooluse.py", None, None, {"scores tooluse", "select tooluse"}),
    ("common/cage/__init__.py", "3.0, 2048", "4.0, 2048", {"prior humaneval"} | SELECT),
    ("common/cage/warden.py", None, None, {"prior humaneval"} | SELECT),
    ("common/cage/doors.py", None, None, {"prior humaneval"} | SELECT),
    ("evaluate/sandbox.py", None, None, {"prior humaneval"} | SELECT),
    ("miniature/sandbox.py", "MEMORY = 2,", "MEMORY = 3,", {"prior humaneval"} | SELECT),
    ("miniature/priors/instructions.py", None, None, {"prior ifeval"} | SELECT),
    ("miniature/benchmarks/mini_mmlu.yaml", "mean", "median", {"prior mmlu"} | SELECT),
    ("learning/select.py", None, None, SELECT),
    ("tasks/medical.py", "Only the medical content counts", "The content counts", {"judge medical"}),
]


@pytest.mark.parametrize(("file", "pattern", "becomes", "moved"), DECIDES, ids=[row[0] for row in DECIDES])
def test_an_edit_of_what_decides_moves_the_digests_of_what_it_decides(package, before, file, pattern, becomes, moved):
    path = package / file
    text = path.read_text()
    assert pattern is None or pattern in text
    path.write_text(text + MORE if pattern is None else text.replace(pattern, becomes, 1))
    after = digests(package)
    assert {name for name in after if after[name] != before[name]} == moved


def blind_edits(text):
    """The text with every line comment and the words of every message and docstring changed, where it has some."""
    text = re.sub(r'(raise SdftError\(\s*f?")', r"\1Oh: ", text)
    text = re.sub(r'\A"""', '"""Of this module: ', text)
    return text.replace("from __future__ import annotations", "# A comment.\nfrom __future__ import annotations", 1)


def test_a_changed_scorer_measures_no_other_task_again(package):
    found = []
    for _ in range(2):
        code = Code(package)
        found.append([rerun.measure_code("evaluate", task, code=code) for task in ("science", "medical", "tooluse")])
        path = package / "scoring/tooluse.py"
        path.write_text(path.read_text() + MORE)
    assert found[0][:2] == found[1][:2]
    assert found[0][2] != found[1][2]


@pytest.mark.slow
def test_other_messages_docstrings_and_comments_move_nothing(package, before):
    changed = 0
    for path in package.rglob("*.py"):
        text = path.read_text()
        path.write_text(blind_edits(text))
        changed += blind_edits(text).count("Oh: ")
    assert changed > 50
    assert digests(package) == before


def test_another_help_text_progress_name_or_title_moves_nothing(package, before):
    edits = {
        "evaluate/__main__.py": ("Evaluate one model", "Measure one model"),
        "study/specs.py": ("longest response, in tokens", "the longest response"),
        "evaluate/responses.py": ('unit="prompt"', 'unit="question"'),
        "methods/sdft.py": ('title: ClassVar[str] = "SDFT"', 'title: ClassVar[str] = "Ours"'),
        "tasks/science.py": ('title="Science Q&A"', 'title="Chemistry"'),
    }
    for file, (old, new) in edits.items():
        text = (package / file).read_text()
        assert old in text, file
        (package / file).write_text(text.replace(old, new))
    assert digests(package) == before


def test_a_new_method_or_task_moves_nothing(package, before):
    shutil.copy(package / "methods/sft.py", package / "methods/mine.py")
    shutil.copy(package / "tasks/science.py", package / "tasks/mine.py")
    assert digests(package) == before
    assert Code(package).digest("sdft.methods.mine") != Code(package).digest("sdft.methods.sft")


@pytest.mark.parametrize("file", ["common/progress.py", "study/plan.py", "learning/checkpoint.py", "pages/writers.py"])
def test_what_only_carries_or_shows_moves_nothing(package, before, file):
    (package / file).write_text((package / file).read_text() + MORE)
    assert digests(package) == before


def test_unchanged_modules_are_not_read_again(package, monkeypatch):
    first = digests(package)
    monkeypatch.setattr("sdft.common.code._Reader", None)
    assert digests(package) == first
    (package / "teacher.py").write_text((package / "teacher.py").read_text() + MORE)
    with pytest.raises(TypeError):
        digests(package)
