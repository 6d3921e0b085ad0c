"""Execute a notebook and write the pages that it displays: an entry page, and the others in the folder beside it.

A page is an output of the notebook whose metadata name it: `page` is its path below the entry page's folder. Equal
notebooks and inputs give equal bytes. When a cell fails, the executed notebook is kept and there is no page.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sdft.common.errors import SdftError, did_you_mean, explained, run_main
from sdft.common.files import write_text
from sdft.common.locks import publish_alone

LARGEST = 5_000_000  # bytes; a page above this does not open well on a phone


def parameters(assignments: Sequence[str], notebook: Path) -> dict[str, str]:
    """NAME=TEXT assignments as a dict. Raises SdftError on a name that the notebook's parameters cell does not have."""
    import papermill

    known = papermill.inspect_notebook(str(notebook))
    found = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise SdftError(f"{assignment!r} is no parameter; write NAME=VALUE.")
        if name not in known:
            raise SdftError(f"{notebook} has no parameter {name!r}; {did_you_mean(name, known)}")
        found[name] = value
    return found


def execute(notebook: Path, executed: Path, values: dict[str, str]):
    """Run the notebook in the caller's folder and keep the result at `executed`. Raises SdftError when a cell fails."""
    import nbformat
    import papermill

    executed.parent.mkdir(parents=True, exist_ok=True)
    # The kernel finds the library from any folder, and leaves nothing in a home directory that may be read-only.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    # The kernel python3 is this interpreter's, whatever kernels a user has elsewhere under that name.
    os.environ.pop("JUPYTER_PATH", None)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "MPLCONFIGDIR"):
            os.environ[name] = str(Path(scratch) / name.lower())
        try:
            papermill.execute_notebook(
                str(notebook),
                str(executed),
                parameters=values,
                kernel_name="python3",
                progress_bar=False,
                start_timeout=120,
                execution_timeout=300,
            )
        except papermill.PapermillExecutionError as error:
            if (said := of_a_file(error.evalue)) is not None:
                raise SdftError(said) from None
            raise SdftError(
                f"{notebook} failed in cell {error.cell_index} with {error.ename}: {error.evalue} "
                f"The executed notebook is {executed}."
            ) from None
    result = nbformat.read(executed, as_version=4)
    result.metadata.pop("papermill", None)
    for number, cell in enumerate(result.cells):
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    nbformat.write(result, executed)
    return result


def of_a_file(said: str) -> str | None:
    """The paragraph for what a cell's error says of the file system; None for any other error."""
    found = re.match(r"\[Errno (\d+)\][^']*(?:'(.*)')?$", said)
    return explained(OSError(int(found[1]), "", found[2])) if found else None


def pages(notebook) -> dict[str, str]:
    """The pages among a notebook's outputs, by their paths. Raises SdftError where one is too large."""
    found = {
        output.metadata["page"]: output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "page" in output.get("metadata", {})
    }
    for path, text in found.items():
        if len(text.encode()) > LARGEST:
            raise SdftError(f"The page {path} would be {len(text.encode()) / 1e6:.1f} MB; simplify its figures.")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notebook", type=Path, required=True, help="the source notebook")
    parser.add_argument("--executed", type=Path, required=True, help="where the executed notebook goes, a log")
    parser.add_argument("--out", type=Path, required=True, help="the entry page; a folder of its name holds the others")
    parser.add_argument("--parameters", nargs="*", default=[], metavar="NAME=VALUE", help="text, never a number")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    out, folder = options.out, options.out.with_suffix("")
    try:
        values = parameters(options.parameters, options.notebook)
        # Pages of an earlier run would pass for the result of this one.
        shutil.rmtree(folder, ignore_errors=True)
        found = pages(execute(options.notebook, options.executed, values))
        if out.name not in found:
            raise SdftError(f"{options.notebook} displays no page {out.name}, only {', '.join(found) or 'none'}.")
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(found, key=lambda path: path == out.name):
            write_text(out.parent / path, found[path])
    except BaseException:
        out.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    size = sum(len(text.encode()) for text in found.values())
    print(f"{len(found)} pages, {size / 1e6:.1f} MB: {out}")


if __name__ == "__main__":
    run_main(main)
