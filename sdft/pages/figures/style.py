"""What every figure shares: looks of methods and tasks, the mark of what was not run, and the files of a figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sdft.common.files import atomic_path
from sdft.evidence import verdicts
from sdft.evidence.names import TASK_NAMES
from sdft.evidence.outcomes import Results
from sdft.evidence.published import document
from sdft.methods import find_method, method_names
from sdft.study.exhibits import find
from sdft.tasks import find_task

# Okabe and Ito's colour-blind-safe palette, ordered in lightness; the marker alone tells methods apart in grey.
LOOKS = {"base": ("#000000", "*"), "oracle_rag": ("#009e73", "P")}
LOOKS |= {name: find_method(name).look for name in method_names()}
FORMATS = {
    "pdf": {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": "sdft.figures"},
    "svg": {"Date": None, "Creator": "sdft.figures"},
    "png": {"Software": "sdft.figures"},
}
# A task has a colour, a marker and a line of its own, none of them SDFT's or SFT's.
TASK_LOOKS = {name: find_task(name).look for name in TASK_NAMES}
PAPER_FACE = "#f6f6f6"
QUIET = "#555555"


def notice(results: Results) -> str:
    """Whose numbers these are, as every figure says below itself."""
    return results.exhibit.notice


def opening(results: Results, item: str) -> str:
    """How a caption begins."""
    return f"{_place(item)}, scale {results.scale}. {verdicts.notice(results)}".strip()


def _place(item: str) -> str:
    """Where the paper has a figure; the title of one that it does not have."""
    return document()["items"].get(item, {}).get("place") or find(item).title


def span(values: Sequence[int]) -> str:
    """A set of counts as text: one number, or the smallest to the largest."""
    found = sorted(value for value in set(values) if value)
    return " to ".join(map(str, dict.fromkeys((found[0], found[-1])))) if found else "0"


def counted(entries: Sequence[dict[str, Any] | None]) -> str:
    """How many seeds and items are behind some values, as text."""
    found = [entry for entry in entries if entry]
    seeds = span([entry["n_seeds"] for entry in found])
    return f"n = {seeds} seed{'' if seeds == '1' else 's'}, {span([entry['n_items'] for entry in found])} items"


def ends(value: dict[str, Any]) -> list[list[float]]:
    """Lengths of an interval's two arms, for errorbar; zero where it is unbounded."""
    low, high = (value[name] if value[name] is not None else value["mean"] for name in ("low", "high"))
    return [[max(value["mean"] - low, 0.0)], [max(high - value["mean"], 0.0)]]


def gap(axes: Axes, text: str = "NOT RUN") -> None:
    """A panel of which nothing was run."""
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    for side in axes.spines.values():
        side.set(visible=True, linestyle=(0, (4, 4)), color="#999999")
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=QUIET, fontsize=9)


def missing(axes: Axes, x: float, text: str = "NOT RUN", *, y: float = 0.03) -> None:
    """The place of one value that was not run, on the axes' categories; no line of the axes runs through it."""
    look = {"rotation": 90, "ha": "center", "va": "bottom", "color": QUIET, "fontsize": 8}
    back = {"facecolor": axes.get_facecolor(), "edgecolor": "none", "pad": 1}
    axes.text(x, y, text, transform=axes.get_xaxis_transform(), bbox=back, **look)


def paper_panel(axes: Axes, title: str = "the paper's numbers") -> None:
    """Mark a panel as the paper's own."""
    axes.set_title(title, fontsize=8, color=QUIET, style="italic")
    axes.set_facecolor(PAPER_FACE)


def bar(axes: Axes, x: float, value: dict[str, Any], colour: str, hatch: str = "", width: float = 0.62) -> None:
    """A bar with its interval and a dot a seed."""
    axes.bar(x, value["mean"], width, color=colour, alpha=0.75, hatch=hatch, edgecolor="white", linewidth=0.8, zorder=2)
    seeds = value.get("by_seed") or []
    spread = [x + width * 0.3 * (k / max(len(seeds) - 1, 1) - 0.5) for k in range(len(seeds))]
    axes.plot(spread, seeds, "o", ms=2.6, color="#222222", mew=0, zorder=4)
    axes.errorbar(x, value["mean"], yerr=ends(value), fmt="none", ecolor="#000000", elinewidth=1.2, capsize=3, zorder=3)


def band(
    axes: Axes, points: Sequence[dict[str, Any]], x: str, colour: str, marker: str, line: str = "-", **options: Any
) -> None:
    """A curve with its intervals as a band."""
    at = [point[x] for point in points]
    low, high = (
        [point[name] if point[name] is not None else point["mean"] for point in points] for name in ("low", "high")
    )
    axes.fill_between(at, low, high, color=colour, alpha=0.13, lw=0)
    axes.plot(at, [point["mean"] for point in points], line, color=colour, marker=marker, ms=3.6, **options)


def page_not_run(results: Results, item: str, claims: Sequence[dict[str, Any]] = ()) -> tuple[Figure, dict[str, Any]]:
    """The page of a study that is switched off: NOT RUN, and what it would cost."""
    absence = results.exhibit.absence
    subject = document()["items"].get(item, {}).get("subject", "not in the paper")
    figure, axes = plt.subplots(figsize=(6.6, 2.6), layout="constrained")
    gap(axes, "")
    axes.text(0.5, 0.62, "NOT RUN", ha="center", va="center", transform=axes.transAxes, fontsize=20, weight="bold")
    text = f"{_place(item)}: {subject}\n\n{absence}"
    axes.text(0.5, 0.3, text, ha="center", va="center", transform=axes.transAxes, color=QUIET, wrap=True)
    caption = f"{opening(results, item)} NOT RUN: {subject}. {absence}"
    gone = [{"what": item, "why": "NOT RUN", "cost_hours": results.exhibit.cost_hours}]
    return figure, {"caption": caption, "enabled": False, "not_drawn": gone, "claims": list(claims)}


def save(figure: Figure, out: Path, kinds: Iterable[str] = tuple(FORMATS)) -> None:
    """Write OUT.pdf, OUT.svg and OUT.png, without dates, so that equal figures are equal files."""
    for kind in kinds:
        metadata = FORMATS[kind]
        with atomic_path(out.with_name(f"{out.name}.{kind}")) as part:
            figure.savefig(part, format=kind, metadata=metadata)
    plt.close(figure)
