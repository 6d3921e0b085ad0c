"""A Markdown page of the figures' pngs, each with its caption, for which a png has no room.

`python -m sdft.pages.figures_page --results results/mini --out docs/mini/figures.md` writes it to lie beside the pngs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdft.common.errors import SdftError, run_main
from sdft.common.files import read_json, write_text
from sdft.common.locks import publish_alone
from sdft.evidence.published import document
from sdft.pages.writers import wrapped
from sdft.study.exhibits import find, names

NUMBERS = (
    "The file of numbers that a caption names lies beside its figure under `results/mini/figures`, once the figures "
    "have been made: [from the shipped scores](../reviewers.md#tables-again-without-training) in a minute or two."
)


def captions(results: str | Path) -> dict[str, dict[str, Any]]:
    """The numbers of each figure that was drawn, by name. Raises SdftError naming a broken file."""
    paths = {name: Path(results) / f"figures/{name}.json" for name in names("figure")}
    return {name: read_json(path) for name, path in paths.items() if path.exists()}


def figures_page(found: dict[str, dict[str, Any]]) -> str:
    """Every figure's png with its caption, which says n and seeds; one that was not drawn is NOT RUN."""
    parts = ["# Figures", wrapped(NUMBERS)]
    for name in names("figure"):
        subject = document()["items"].get(name, {}).get("subject", "not in the paper")
        picture = [f"![{find(name).title}]({name}.png)"] if name in found else []
        caption = wrapped(found[name]["caption"] if name in found else f"NOT RUN: {subject}")
        parts += [f"## {find(name).title}", *picture, caption]
    return "\n\n".join(parts) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.figures_page",
        description="Write a page of the figures' pngs with their captions.",
        epilog="example: python -m sdft.pages.figures_page --results results/mini --out docs/mini/figures.md",
    )
    parser.add_argument("--results", required=True, metavar="DIR", help="results/{scale}, whose figures are shown")
    parser.add_argument("--out", required=True, metavar="FIGURES.md", help="the page, to lie beside the pngs")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    found = captions(options.results)
    if not found:
        raise SdftError(f"{options.results}/figures holds no figure; ask snakemake for one first.")
    write_text(options.out, figures_page(found))


if __name__ == "__main__":
    run_main(main)
