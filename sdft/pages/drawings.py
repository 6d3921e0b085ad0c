"""Drawings within a page: figures of matplotlib, made harmless, and small curves."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from html import escape
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
WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 300, 130, 56, 8, 18
# More points than this are thinned out: they would lie on the same pixels.
POINTS = 40
# A path's numbers are in points of a drawing, of which a screen shows no thousandth.
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def inline(drawing: str, name: str = "the drawing") -> str:
    """An SVG file as an element of a page: nothing in it runs, and nothing is fetched for it.

    Kept are the elements of ELEMENTS without event handlers, and references only to its own parts and to pictures that
    it holds. Raises SdftError where it is no SVG.
    """
    try:
        root = ElementTree.fromstring(drawing.encode())
    except ElementTree.ParseError as error:
        raise SdftError(f"{name} is not an SVG file ({error}); delete it and run the same command again.") from None
    _clean(root)
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


def _clean(element: ElementTree.Element) -> None:
    element.tag = _local(element.tag)
    for name in list(element.attrib):
        value = element.attrib.pop(name)
        own = _local(name)
        if _harmless(own.lower(), value):
            element.set(own, LONG_NUMBER.sub(lambda found: f"{float(found[0]):.2f}", value) if own == "d" else value)
    for child in list(element):
        if not isinstance(child.tag, str) or _local(child.tag) not in ELEMENTS:
            element.remove(child)
        else:
            _clean(child)


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

    def at(point: tuple[float, float]) -> str:
        x = LEFT + (WIDTH - LEFT - 6) * (point[0] - first) / wide
        y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (point[1] - low) / tall
        return f"{x:.0f},{y:.1f}"

    lines = "".join(
        f'<polyline class="c{k}" points="{" ".join(map(at, shown[name]))}"/>' for k, name in enumerate(shown)
    )
    label = f"{title}{f' ({unit})' if unit else ''}"
    ends = "; ".join(f"{name + ': ' if len(shown) > 1 else ''}{_text(points[-1][1])}" for name, points in shown.items())
    spoken = f"{label} over the steps {first:g} to {last:g}, from {_text(low)} to {_text(high)}. At the end {ends}."
    keys = (
        " ".join(f'<span class="key c{k}">{escape(name)}</span>' for k, name in enumerate(shown))
        if len(shown) > 1
        else ""
    )
    return (
        f'<figure class="curve"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(spoken)}">'
        f'<path class="axis" d="M{LEFT},{TOP}V{HEIGHT - BOTTOM}H{WIDTH - 6}"/>'
        f'<text x="{LEFT - 4}" y="{TOP + 8}" text-anchor="end">{_text(high)}</text>'
        f'<text x="{LEFT - 4}" y="{HEIGHT - BOTTOM}" text-anchor="end">{_text(low)}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 4}">{first:g}</text>'
        f'<text x="{WIDTH - 6}" y="{HEIGHT - 4}" text-anchor="end">step {last:g}</text>{lines}</svg>'
        f"<figcaption>{escape(label)}: {escape(ends)} at the end {keys}</figcaption></figure>"
    )


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
    if len(found) <= POINTS:
        return found
    stride = (len(found) - 1) / (POINTS - 1)
    return [found[round(k * stride)] for k in range(POINTS)]


def _text(value: float) -> str:
    return f"{value:.3g}"
