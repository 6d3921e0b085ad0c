"""The frame of a page: it fetches nothing from elsewhere, reads in light and dark, prints whole, works by keyboard."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

STYLE = Path(__file__).with_name("site.css")


def style() -> str:
    """The style of every page."""
    return STYLE.read_text(encoding="utf-8").strip()


def page(title: str, body: str, links: Sequence[tuple[str, str]] = (), sheet: str | None = None) -> str:
    """A whole page: title and text of the links (target, text) at its top are escaped, the body is HTML.

    sheet: the file beside it that holds the style; without one the page holds it itself.
    """
    own = f"<style>\n{style()}\n</style>" if sheet is None else f'<link rel="stylesheet" href="{escape(sheet)}">'
    shown = "".join(f'<li><a href="{escape(target)}">{escape(text)}</a></li>' for target, text in links)
    nav = f'<nav aria-label="Pages"><ul>{shown}</ul></nav>\n' if shown else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n{own}\n</head>\n"
        f"<body>\n{nav}<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
