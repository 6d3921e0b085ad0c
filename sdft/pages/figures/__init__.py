"""Figures of the paper from scores, one file each: the function of the file's own name draws it.

Where there is more to show than the paper does, a function `supplement` of the file draws further figures from the same
numbers: (title, caption, figure) each.

`python -m sdft.pages.figures figure4 --plan PLAN.json --style STYLE --out DIR/figure4` writes
figure4.pdf, .svg and .png, and figure4.json, which holds every number drawn. Equal input gives equal bytes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean
from sdft.common.locks import publish_alone

from sdft.pages.figures import style  # isort: skip  (chooses matplotlib's backend)

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from sdft.common.files import write_json
from sdft.common.provenance import Clock, manifest
from sdft.evidence.outcomes import read_results
from sdft.study.exhibits import names


def _supplement(entry: tuple[str, str, Figure], out: Path, number: int) -> dict[str, str]:
    """Write a further drawing of a figure beside it; its title, its caption and the name of its file."""
    title, caption, figure = entry
    path = out.with_name(f"{out.name}-supplement{number}")
    style.save(figure, path, ("svg",))
    return {"title": title, "caption": f"{caption} {_source(out)}", "file": f"{path.name}.svg"}


def _source(out: Path) -> str:
    """Where a figure's data are, as its captions end."""
    return f"Every number drawn is in {out.name}.json."


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
    publish_alone(options.out)
    if options.figure not in names("figure"):
        raise SdftError(f"There is no figure {options.figure!r}; {did_you_mean(options.figure, names('figure'))}")
    if not Path(options.style).exists():
        raise SdftError(f"The style {options.style} does not exist; the project's own is sdft/pages/figures.mplstyle.")
    clock, results, out = Clock(), read_results(options.plan), Path(options.out)
    module = import_module(f"{__package__}.{options.figure}")
    with plt.style.context(["default", options.style]):
        figure, numbers = getattr(module, options.figure)(results)
        style.save(figure, out)
        further = getattr(module, "supplement", lambda *_: [])(results, numbers)
        numbers["supplements"] = [_supplement(entry, out, k) for k, entry in enumerate(further, start=1)]
    write_json(
        out.with_name(f"{out.name}.json"),
        {
            "figure": options.figure,
            "scale": results.scale,
            "standing": results.exhibit.standing,
            **numbers,
            "caption": f"{numbers['caption']} {_source(out)}",
            "manifest": manifest("figures", clock=clock, seeds=sorted({run.seed for run in results.base})),
        },
    )
