"""Execute a notebook and render its outputs, without code, as one self-contained HTML page.

Equal notebooks and inputs give equal bytes. When a cell fails, the executed notebook is kept and there is no page.
"""

from __future__ import annotations

import argparse
import html
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sdft.common.errors import SdftError, did_you_mean, run_main
from sdft.common.files import write_text
from sdft.common.locks import publish_alone

LARGEST = 5_000_000  # bytes; a page above this does not open well on a phone

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
  overflow-wrap: break-word; }
main { max-width: 72rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.25rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
.claim { font-size: 1.1rem; font-weight: 600; }
.stamp { padding: .4rem .8rem; border: 3px solid #b00020; color: #b00020; font-size: 1.3rem;
  font-weight: 700; text-align: center; }
.against { border-left: 4px solid #b00020; padding: .1rem .8rem; background: #fdf1f2; }
.scroll { overflow-x: auto; -webkit-overflow-scrolling: touch; }
table { border-collapse: collapse; font-size: .88rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; }
td.number, th.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.wide { min-width: 15rem; }
.figure svg { width: 100%; max-width: 64rem; height: auto; }
.papers { background: #f6f6f6; padding: .2rem .8rem .8rem; margin-top: 2rem; }
.papers h2 { margin-top: .6rem; font-style: italic; }
.verdict { display: inline-block; padding: 0 .4rem; border: 1px solid #777; border-radius: .25rem; font-size: .75rem;
  font-weight: 700; white-space: nowrap; background: #eee; }
.verdict.match, .verdict.within, .verdict.direction { background: #d9ead3; border-color: #38761d; }
.verdict.mismatch { background: #f4cccc; border-color: #b00020; }
.verdict.inconclusive { background: #fff2cc; border-color: #9a7400; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .2rem 1rem; }
dd { margin: 0; min-width: 0; }
code { font-size: .85em; overflow-wrap: anywhere; }
details { margin: .4rem 0; }
summary { cursor: pointer; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { font-weight: 600; } }
""".strip()


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


def render(notebook, title: str) -> str:
    """The notebook's outputs as a page without code, scripts or anything fetched from elsewhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic", exclude_input=True, exclude_input_prompt=True, exclude_output_prompt=True
    )
    body, _ = exporter.from_notebook_node(notebook)
    return PAGE.format(title=html.escape(title), style=STYLE, body=body.strip())


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--notebook", type=Path, required=True, help="the source notebook")
    parser.add_argument("--executed", type=Path, required=True, help="where the executed notebook goes, a log")
    parser.add_argument("--out", type=Path, required=True, help="the page")
    parser.add_argument("--title", default="SDFT, reproduced", help="title of the page")
    parser.add_argument("--parameters", nargs="*", default=[], metavar="NAME=VALUE", help="text, never a number")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    try:
        values = parameters(options.parameters, options.notebook)
        page = render(execute(options.notebook, options.executed, values), options.title)
        if len(page.encode()) > LARGEST:
            raise SdftError(f"The page would be {len(page.encode()) / 1e6:.1f} MB; simplify its figures.")
    except BaseException:
        # A page of an earlier run would pass for the result of this one.
        options.out.unlink(missing_ok=True)
        raise
    write_text(options.out, page)


if __name__ == "__main__":
    run_main(main)
