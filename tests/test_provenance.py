"""Results are whole or absent, and the code digest sees what matters and nothing else."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from sdft.common import files, provenance
from sdft.common.errors import SdftError


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "result.json"
    files.write_json(path, {"value": 1})
    with pytest.raises(ValueError, match="nan"):
        files.write_json(path, {"value": float("nan")})

    def fail_halfway():
        with files.atomic_path(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_halfway()
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_file_is_refused_by_name(tmp_path):
    (tmp_path / "weights").write_bytes(b"abc")
    recorded = files.sha256_files(tmp_path)
    files.check_sha256(tmp_path, recorded)
    (tmp_path / "weights").write_bytes(b"ab")
    with pytest.raises(SdftError, match="weights has sha256"):
        files.check_sha256(tmp_path, recorded)
    (tmp_path / "weights").unlink()
    with pytest.raises(SdftError, match="missing"):
        files.check_sha256(tmp_path, recorded)


@pytest.fixture
def library(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    monkeypatch.setattr(provenance, "STEPS", {"step": ("module.py", "data.yaml")})

    def digest(source, data="a: 1\n"):
        (tmp_path / "module.py").write_text(source)
        (tmp_path / "data.yaml").write_text(data)
        provenance.code_digest.cache_clear()
        return provenance.code_digest("step")

    yield digest
    provenance.code_digest.cache_clear()


def test_the_code_digest_is_blind_to_words_and_layout(library):
    plain = library('"""One."""\ndef f(x):\n    """Doc."""\n    return x + 1\n')
    assert library('"""Two."""\n# why\ndef f(x):\n    return (x\n            + 1)\n') == plain


def test_the_code_digest_sees_logic_and_data(library):
    plain = library("def f(x):\n    return x + 1\n")
    assert library("def f(x):\n    return x + 2\n") != plain
    assert library("def f(x):\n    return x + 1\n", data="a: 2\n") != plain


def test_broken_json_is_named_with_its_line(tmp_path):
    path = tmp_path / "score.json"
    path.write_text('{"a": 1,\n')
    with pytest.raises(SdftError, match=r"score.json is not valid JSON \(line"):
        files.read_json(path)
    with pytest.raises(SdftError, match="does not exist"):
        files.read_json(tmp_path / "absent.json")


def test_every_step_names_files_that_exist():
    for entries in provenance.STEPS.values():
        for entry in entries:
            assert (files.PACKAGE / entry).exists(), entry


# What runs each step, and modules that carry a step without deciding its result: configuration, files, progress, locks.
ENTRIES = {
    "data": ["miniature/data.py"],
    "official": ["data/prepare.py"],
    "knowledge": ["data/knowledge/make.py"],
    "base": ["miniature/pretrain.py"],
    "train": ["train.py"],
    "sweep": ["learning/candidate.py"],
    "flops": ["learning/flops.py"],
    "estimators": ["losses/enumerated.py"],
    "evaluate": ["evaluate/__main__.py"],
    "passk": ["evaluate/passk.py"],
    "divergence": ["evaluate/distance.py"],
    "trajectory": ["evaluate/trajectory.py"],
    "judge": ["evaluate/judge.py"],
    "gate": ["study/gate.py"],
    "released": ["pages/released.py"],
    "select": ["learning/select.py"],
    "tables": ["tables/__init__.py"],
    "figures": ["figures/__init__.py"],
    "ledger": ["pages/ledger.py"],
    "report": ["pages/table5_page.py", "pages/results_page.py"],
}
CARRIERS = {
    "__init__.py",
    "common/errors.py",
    "common/imports.py",
    "common/files.py",
    "common/provenance.py",
    "config.py",
    "study/checks.py",
    "study/plan.py",
    "common/locks.py",
    "common/progress.py",
    "learning/checkpoint.py",
    "learning/launch.py",
    "learning/run.py",
    "train.py",
}
# Refuses a study and decides no result, whatever it looks at for that.
UNFOLLOWED = files.PACKAGE / "study/checks.py"


def imported(file: Path) -> set[Path]:
    """Modules of the package that a module imports anywhere in it, functions included."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "sdft":
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "sdft"]
        for name in names:
            path = files.PACKAGE.joinpath(*name.split(".")[1:])
            found |= {file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()}
    return found


@pytest.mark.parametrize("step", sorted(provenance.STEPS))
def test_a_step_s_digest_covers_what_the_step_imports(step):
    seen, waiting = set(), [files.PACKAGE / entry for entry in ENTRIES[step]]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += imported(file) if file != UNFOLLOWED else ()
    needed = {file.relative_to(files.PACKAGE).as_posix() for file in seen} - CARRIERS
    listed = provenance.STEPS[step]
    missing = {file for file in needed if not any(file == entry or file.startswith(f"{entry}/") for entry in listed)}
    assert not {file for file in missing if not file.endswith("__init__.py")}
