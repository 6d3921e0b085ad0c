"""Figures of the paper from scores.

`python -m sdft.pages.figures figure4 --plan PLAN.json --style STYLE --out DIR/figure4` writes
figure4.pdf, .svg and .png, and figure4.json, which holds every number drawn. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean

from sdft.pages.figures import style  # isort: skip  (chooses matplotlib's backend)

import matplotlib.pyplot as plt

from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest
from sdft.evidence.outcomes import read_study
from sdft.pages.figures import figure1, figure2, figure3, figure4, figure5, figure6, figure7, figure8
from sdft.pages.figures.style import LOOKS as LOOKS

FIGURES = {
    "figure1": figure1.figure1,
    "figure2": figure2.figure2,
    "figure3": figure3.figure3,
    "figure4": figure4.figure4,
    "figure5": figure5.figure5,
    "figure6": figure6.figure6,
    "figure7": figure7.figure7,
    "figure8": figure8.figure8,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m sdft.pages.figures", description=__doc__.split("\n")[0])
    parser.add_argument("figure", help="which figure: " + ", ".join(FIGURES))
    parser.add_argument("--plan", required=True, help="PLAN.json that names the runs and files behind the figure")
    parser.add_argument("--style", required=True, help="a matplotlib style file")
    parser.add_argument("--out", required=True, help="path of the files without their suffix")
    options = parser.parse_args(arguments)
    if options.figure not in FIGURES:
        raise SdftError(f"There is no figure {options.figure!r}; {did_you_mean(options.figure, FIGURES)}")
    if not Path(options.style).exists():
        raise SdftError(f"The style {options.style} does not exist; the project's own is sdft/pages/figures.mplstyle.")
    clock, study, out = Clock(), read_study(options.plan), Path(options.out)
    with plt.style.context(["default", options.style]):
        figure, numbers = FIGURES[options.figure](study)
        style.save(figure, out)
    write_json(
        out.with_name(f"{out.name}.json"),
        {
            "figure": options.figure,
            "scale": study.scale,
            **numbers,
            "manifest": manifest("figures", clock=clock, seeds=sorted({run.seed for run in study.base})),
        },
    )
