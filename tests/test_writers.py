"""What a step writes under a final name is whole: it goes through sdft.common.files, or is listed here with why not."""

from __future__ import annotations

import ast
import errno
import os
import shutil

import pytest

from sdft.common import errors
from sdft.common.errors import SdftError, explained, run_main
from sdft.common.files import read_packed

WRITES = {"write_text", "write_bytes", "savefig", "copyfile", "copy2", "copytree", "save_pretrained", "to_csv"}
WRITES |= {"save_file", "write_zip", "dump", "touch"}
# Files outside `atomic_path`, and what makes an unfinished one harmless.
OTHERS = {
    "common/cage/doors.py": "mount points in memory",
    "common/locks.py": "locks hold no result",
    "evaluate/partial.py": "appended lines; a torn one is dropped when they are read",
    "evaluate/prior.py": "a temporary folder",
    "learning/checkpoint.py": "a folder of its own, flushed and renamed",
    "learning/fixed_samples.py": "appended lines; a torn one is dropped when they are read",
    "learning/loop.py": "the live metrics, which the last step writes anew as a whole",
    "learning/run.py": "appended lines about stops, which are no result",
    "learning/snapshots.py": "a folder of its own, flushed and renamed",
    "miniature/pretrain.py": "the record with the digests of all files is written last",
    "models/hub.py": "the record with the digests of all files is written last",
    "models/random_weights.py": "the record with the digests of all files is written last",
}


def writes(tree: ast.AST) -> set[int]:
    """Lines that write a file outside `with atomic_path(...)`."""
    found: set[int] = set()

    def visit(node: ast.AST, inside: bool) -> None:
        if isinstance(node, ast.With):
            inside |= any("atomic_path" in ast.dump(item.context_expr) for item in node.items)
        if isinstance(node, ast.Call) and not inside:
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [
                part.value
                for part in [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
                if isinstance(part, ast.Constant)
            ]
            opened = name == "open" and any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes)
            if opened or (name in WRITES and isinstance(node.func, ast.Attribute) and not _is_other(node.func)):
                found.add(node.lineno)
            if name == "save" and "torch" in ast.dump(node.func):
                found.add(node.lineno)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(tree, False)
    return found


def _is_other(function: ast.Attribute) -> bool:
    """Whether it is a function of sdft.common.files by its module's name, or of json, yaml or ast."""
    return isinstance(function.value, ast.Name) and function.value.id in {"files", "json", "yaml", "ast", "pickle"}


@pytest.mark.slow
def test_no_writer_goes_around_the_one_that_renames(root):
    around = {
        str(path.relative_to(root / "sdft"))
        for path in (root / "sdft").rglob("*.py")
        if writes(ast.parse(path.read_text()))
    }
    assert around == set(OTHERS)


@pytest.mark.parametrize("number", errors.REMEDIES)
def test_an_error_of_the_file_system_is_a_paragraph_with_file_and_remedy(number, capsys):
    def main():
        raise OSError(number, os.strerror(number), "/results/x.json")

    with pytest.raises(SystemExit) as end:
        run_main(main)
    said = " ".join(capsys.readouterr().err.split())
    assert end.value.code == 2
    assert said.startswith(f"error: /results/x.json: {os.strerror(number)}: ")
    assert said.endswith("and run the same command again.")


def test_a_library_that_hides_the_system_s_error_does_not_hide_it_from_the_user():
    from safetensors import SafetensorError

    full = "Error while serializing: I/O error: No space left on device (os error 28)"
    assert "free some space" in explained(SafetensorError(full))
    assert "free some space" in explained(shutil.Error([("a", "b", "[Errno 28] No space left on device")]))
    behind = RuntimeError("could not save")
    behind.__cause__ = OSError(errno.ESTALE, "Stale file handle", "/share/x")
    assert "/share/x" in explained(behind)
    assert explained(ValueError("a mistake of ours")) is None


def test_a_mistake_of_ours_is_not_blamed_on_a_file_that_was_looked_for():
    mistake = KeyError("x")
    mistake.__context__ = FileNotFoundError(errno.ENOENT, "No such file or directory", "/nowhere/x")
    assert explained(mistake) is None


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_file_on_a_lost_share_is_not_called_damaged(tmp_path, monkeypatch, capsys, number):
    def lost(path):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", lost)
    with pytest.raises(SystemExit):
        run_main(lambda: read_packed(tmp_path / "replies.json.gz"))
    said = " ".join(capsys.readouterr().err.split())
    assert "does not answer or has an error" in said
    assert "delete" not in said


@pytest.mark.parametrize("number", [errno.ENOTCONN, errno.ENOENT, None])
def test_a_network_without_an_answer_is_not_called_a_disk(capsys, number):
    def fetch():
        try:
            raise OSError(number, "no answer") if number else ValueError("no answer")
        except (OSError, ValueError):
            raise SdftError("the file could not be downloaded; is there a network?") from None

    with pytest.raises(SystemExit):
        run_main(fetch)
    assert "is there a network" in capsys.readouterr().err
