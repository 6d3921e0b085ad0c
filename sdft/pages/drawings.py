"""Drawings within a page: figures of matplotlib, made harmless, and small curves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from xml.etree import ElementTree

from sdft.common.errors import SdftError

# What a drawing may consist of; anything else, scripts and style sheets among it, is left out with all that it holds.
ELEMENTS = frozenset(
    (
        *("svg", "g", "defs", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text"),
        *(
            "tspan",
            "clipPath",
            "image",
            "title",
            "desc",
            "linearGradient",
            "radialGradient",
            "stop",
            "pattern",
            "marker",
        ),
    )
)
# A curve's panel, in units of half a pixel or less, so that whole numbers are exact enough.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 600, 260, 112, 588, 16, 224
# More points than this are thinned out: they would lie on the same pixels.
POINTS = 30
# Numbers of these are in points of a drawing, of which a screen shows no thousandth.
PLACES = frozenset(("d", "x", "y", "width", "height", "x1", "x2", "y1", "y2", "points"))
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")
# Blanks that mean nothing: around a path's commands, and around the colons and semicolons of a style.
BLANKS = {"d": re.compile(r"\s*([A-Za-z])\s*"), "style": re.compile(r"\s*([:;])\s*")}
# How a part of a drawing is referred to.
USED = re.compile(r"#([\w.:-]+)")


def inline(drawing: str, name: str = "the drawing") -> str:
    """An SVG file as an element of a page: nothing in it runs, and nothing is fetched for it.

    Kept are the elements of ELEMENTS without event handlers, and references only to its own parts and to pictures that
    it holds. Raises SdftError where it is no SVG.
    """
    try:
        root = ElementTree.fromstring(drawing.encode())
    except ElementTree.ParseError as error:
        raise SdftError(f"{name} is not an SVG file ({error}); delete it and run the same command again.") from None
    _clean(root, frozenset(USED.findall(drawing)))
    width = root.get("width", "").removesuffix("pt")
    # As wide as it was drawn, where there is room; on a narrow screen it scrolls before it is too small to read.
    size = ""
    if width.replace(".", "", 1).isdigit():
        most, least = 1.6 * float(width), 0.8 * float(width)
        size = f"; max-width: {most:.0f}px; min-width: min({least:.0f}px, 40rem)"
    root.set("style", f"stroke-linejoin: round; stroke-linecap: butt{size}")
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _clean(element: ElementTree.Element, used: frozenset[str]) -> None:
    """Leave out what could run, and what a page has no use for: blanks between elements, ids that nothing refers to."""
    element.tag = _local(element.tag)
    for name in list(element.attrib):
        value = element.attrib.pop(name)
        own = _local(name)
        if _harmless(own.lower(), value) and (own != "id" or value in used):
            value = LONG_NUMBER.sub(_rounded, value) if own in PLACES else value
            element.set(own, BLANKS[own].sub(r"\1", value) if own in BLANKS else value)
    for child in list(element):
        if not isinstance(child.tag, str) or _local(child.tag) not in ELEMENTS:
            element.remove(child)
        else:
            _clean(child, used)
    if element.tag not in ("text", "tspan", "title", "desc"):
        element.text = None
        for child in element:
            child.tail = None


def _rounded(number: re.Match[str]) -> str:
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _harmless(name: str, value: str) -> bool:
    text = "".join(value.split()).lower()
    if name.startswith("on"):
        return False
    if name in ("href", "src"):
        return text.startswith(("#", "data:image/png;base64,"))
    return "javascript:" not in text and text.replace("url(#", "").find("url(") < 0


def curves(title: str, unit: str, series: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """One panel of curves over the steps of a run, by name; points that are no finite numbers are left out.

    Empty where no point is left. The names and the last values stand below, so that nothing hangs on a colour.
    """
    shown = {name: kept for name, points in series.items() if (kept := _thinned(points))}
    if not shown:
        return ""
    every = [point for points in shown.values() for point in points]
    low, high = min(y for _, y in every), max(y for _, y in every)
    last = max(x for x, _ in every)
    first = min(x for x, _ in every)
    wide, tall = (last - first) or 1, (high - low) or 1

    def at(point: tuple[float, float]) -> tuple[int, int]:
        x = LEFT + (RIGHT - LEFT) * (point[0] - first) / wide
        return round(x), round(BOTTOM - (BOTTOM - TOP) * (point[1] - low) / tall)

    lines = "".join(f'<path class="c{k}" d="{_line([*map(at, shown[name])])}"/>' for k, name in enumerate(shown))
    label = f"{title}{f' ({unit})' if unit else ''}"
    ends = ", ".join(f"{name + ' ' if len(shown) > 1 else ''}{_text(points[-1][1])}" for name, points in shown.items())
    said = f"{label}, steps {first:g} to {last:g}: between {_text(low)} and {_text(high)}, at the end {ends}"
    keys = (
        "".join(f'<span class="key c{k}">{escape(name)}</span>' for k, name in enumerate(shown))
        if len(shown) > 1
        else ""
    )
    return (
        f'<figure class="curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">'
        f'<path class="axis" d="M{LEFT},{TOP}V{BOTTOM}H{RIGHT}"/>'
        f'<text x="{LEFT - 8}" y="{TOP + 16}">{_text(high)}</text><text x="{LEFT - 8}" y="{BOTTOM}">{_text(low)}</text>'
        f'<text x="{LEFT + 12}" y="{HEIGHT - 8}">{first:g}</text>'
        f'<text x="{RIGHT}" y="{HEIGHT - 8}">step {last:g}</text>{lines}</svg>'
        f"<figcaption>{escape(said)}{keys}</figcaption></figure>"
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
    if len(found) <= POINTS:
        return found
    stride = (len(found) - 1) / (POINTS - 1)
    return [found[round(k * stride)] for k in range(POINTS)]


def _line(points: Sequence[tuple[int, int]]) -> str:
    """A line through points as an SVG path: its start, then the way from each point to the next."""
    steps = (f"{x - before[0]},{y - before[1]}" for before, (x, y) in pairwise(points))
    return f"M{points[0][0]},{points[0][1]}l{' '.join(steps)}"


def _text(value: float) -> str:
    return f"{value:.3g}"
