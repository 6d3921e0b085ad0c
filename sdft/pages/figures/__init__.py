"""Figures of the paper from scores, one file each: the function of the file's own name draws it.

`python -m sdft.pages.figures figure4 --plan PLAN.json --style STYLE --out DIR/figure4` writes
figure4.pdf, .svg and .png, and figure4.json, which holds every number drawn. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean

from sdft.pages.figures import style  # isort: skip  (chooses matplotlib's backend)

import matplotlib.pyplot as plt

from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest
from sdft.evidence.outcomes import read_results
from sdft.study.exhibits import names


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.pages.figures",
        description=__doc__.split("\n")[0],
        epilog="example: python -m sdft.pages.figures figure4 --plan PLAN.json --style figures.mplstyle --out F",
    )
    parser.add_argument("figure", help="which figure: " + ", ".join(names("figure")))
    parser.add_argument("--plan", required=True, help="PLAN.json that names the runs and files behind the figure")
    parser.add_argument("--style", required=True, help="a matplotlib style file")
    parser.add_argument("--out", required=True, help="path of the files without their suffix")
    options = parser.parse_args(arguments)
    if options.figure not in names("figure"):
        raise SdftError(f"There is no figure {options.figure!r}; {did_you_mean(options.figure, names('figure'))}")
    if not Path(options.style).exists():
        raise SdftError(f"The style {options.style} does not exist; the project's own is sdft/pages/figures.mplstyle.")
    clock, results, out = Clock(), read_results(options.plan), Path(options.out)
    with plt.style.context(["default", options.style]):
        figure, numbers = getattr(import_module(f"{__package__}.{options.figure}"), options.figure)(results)
        style.save(figure, out)
    write_json(
        out.with_name(f"{out.name}.json"),
        {
            "figure": options.figure,
            "scale": results.scale,
            "standing": results.exhibit.standing,
            **numbers,
            "manifest": manifest("figures", clock=clock, seeds=sorted({run.seed for run in results.base})),
        },
    )
