"""What student and teacher said in training, side by side, with how far they are apart at each token."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import starmap
from typing import Any

from sdft.pages.html import folded

# Nats at which a token gets the next colour.
LEVELS = (0.02, 0.1, 0.5, 2.0)


def samples(record: dict[str, Any] | None) -> str:
    """The samples of a run, those of the first step and those of the end; empty where none were kept."""
    if not record or not record.get("samples"):
        return ""
    parts = [
        "<h2>What student and teacher say</h2>",
        f"<p>{escape(record['definition'])}</p>",
        f"<p>Nats a token: {_legend()}</p>",
    ]
    for when, words in (("start", "Before the first step"), ("end", "After the last step")):
        own = [entry for entry in record["samples"] if entry["at"] == when]
        if own:
            parts.append(folded(f"{words}: {len(own)} questions", "".join(map(_pair, own))))
    return "".join(parts)


def _legend() -> str:
    bounds = [f"below {LEVELS[0]:g}", *(f"{level:g} or more" for level in LEVELS)]
    shown = (f'<span class="d{k}">{escape(text)}</span>' for k, text in enumerate(bounds))
    return f'<span class="said">{" ".join(shown)}</span>'


def _pair(entry: dict[str, Any]) -> str:
    student = entry["student"]
    mean = sum(student["divergence"]) / max(1, len(student["divergence"]))
    return (
        f"<h3>{escape(entry['id'])}</h3>"
        f'<p class="said">{escape(entry["question"], quote=False)}</p>'
        '<div class="pair">'
        f'<div>Student, the question alone ({mean:.3g} nats a token)<p class="said">{_coloured(student)}</p></div>'
        f'<div>Teacher, shown a demonstration<p class="said">{escape(entry["teacher"], quote=False)}</p></div>'
        "</div>"
    )


def _coloured(said: dict[str, Sequence[Any]]) -> str:
    """Tokens as text; neighbours of one level share an element, whose tooltip says the largest of their values.

    What lies below the first level is plain.
    """
    parts: list[tuple[int, str, float]] = []
    for token, value in zip(said["tokens"], said["divergence"], strict=True):
        level = sum(value >= bound for bound in LEVELS)
        if parts and parts[-1][0] == level:
            parts[-1] = (level, parts[-1][1] + token, max(parts[-1][2], value))
        else:
            parts.append((level, token, value))
    return "".join(starmap(_part, parts))


def _part(level: int, text: str, most: float) -> str:
    shown = escape(text, quote=False)
    return f'<span class="d{level}" title="up to {most:.2g} nats">{shown}</span>' if level else shown
