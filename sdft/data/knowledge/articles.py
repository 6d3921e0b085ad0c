"""Articles as plain text: from a local file, or from Wikipedia at a pinned revision."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from sdft.common.errors import SdftError, no_file
from sdft.common.files import write_json
from sdft.data.fetch import local_path
from sdft.data.schema import Article

API = "https://en.wikipedia.org/w/api.php"
AGENT = "sdft-reproduction (reproduction of arXiv 2601.19897)"
SECONDS = 60
# What a reader of the article's text does not read: notes, navigation, maintenance, edit links.
NOT_TEXT = (
    "style, script, sup.reference, .mw-editsection, .navbox, .reflist, .metadata, .ambox, .hatnote, .noprint, "
    ".sistersitebox, .portalbox, .authority-control, .mw-empty-elt, #toc, .toc"
)
BLOCKS = ("p", "h2", "h3", "h4", "h5", "li", "tr", "dd", "dt", "blockquote", "figcaption")
# Sections that list sources and links instead of telling anything.
APPENDICES = {"references", "external links", "see also", "notes", "further reading", "citations", "sources"}


def slug(title: str) -> str:
    """A title as a part of names: lower case, words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def revision_url(title: str) -> str:
    """The address that answers with the id of an article's revision at a date, to be pinned in config.yaml."""
    query = {
        "action": "query",
        "prop": "revisions",
        "titles": title,
        "rvprop": "ids|timestamp",
        "rvlimit": 1,
        "rvstart": "2026-01-27T00:00:00Z",
        "redirects": 1,
        "format": "json",
        "formatversion": 2,
    }
    return f"{API}?{urllib.parse.urlencode(query)}"


def article_url(revision: int) -> str:
    """The address of an article's rendered text at a revision."""
    query = {"action": "parse", "oldid": revision, "prop": "text|revid", "format": "json", "formatversion": 2}
    return f"{API}?{urllib.parse.urlencode(query)}"


def unpinned(article: Article) -> str:
    """What to do about an article that has neither a local text nor a revision."""
    return (
        f"pin the article {article.title!r}: open {revision_url(article.title)} and write its revid as `revision` "
        "under data.tasks.knowledge.articles in config.yaml, or give a local text as `path`"
    )


def read_article(article: Article, store: str | Path) -> tuple[str, str]:
    """The article's text and where it came from; kept in `store` when it was downloaded.

    Raises SdftError for an article that nothing pins, for one that cannot be had, and for other content than the
    pinned one.
    """
    path = local_path(article)
    if path is not None:
        if not path.is_file():
            raise SdftError(f"{no_file(path)}; mend the path of {article.title!r} in config.yaml, or remove it.")
        text, origin = tidy(path.read_text(encoding="utf-8")), str(path)
    elif article.revision is None:
        raise SdftError(f"nothing says which version of an article is meant: {unpinned(article)}.")
    else:
        text, origin = _download(article, Path(store)), f"{article_url(article.revision)}"
    if not text:
        raise SdftError(f"the article {article.title!r} from {origin} holds no text; check its path or revision.")
    found = hashlib.sha256(text.encode()).hexdigest()
    if article.sha256 and found != article.sha256:
        raise SdftError(
            f"the text of {article.title!r} from {origin} has sha256 {found} but config.yaml pins {article.sha256}: "
            "it is not the text that the study is defined on (Wikipedia fills old revisions with today's templates). "
            "Give the text itself as `path`, or change sha256 on purpose."
        )
    return text, origin


def _download(article: Article, store: Path) -> str:
    kept = store / f"{slug(article.title)}-{article.revision}.json"
    if kept.is_file():
        answer = json.loads(kept.read_text(encoding="utf-8"))
    else:
        answer = _ask(article)
        write_json(kept, answer)
    title = answer["parse"]["title"]
    if title != article.title:
        raise SdftError(
            f"revision {article.revision} is of the article {title!r} and not of {article.title!r}; mend the title or "
            "the revision under data.tasks.knowledge.articles in config.yaml."
        )
    return plain_text(answer["parse"]["text"])


def _ask(article: Article) -> dict:
    url = article_url(article.revision)

    def unavailable(reason: str) -> SdftError:
        return SdftError(
            f"{url} ({article.title}) could not be read: {reason}. Repeat the command where there is a network, or "
            "give the article's text as `path` in config.yaml."
        )

    try:
        request = urllib.request.Request(url, headers={"User-Agent": AGENT})
        with urllib.request.urlopen(request, timeout=SECONDS) as reply:
            answer = json.loads(reply.read())
    except urllib.error.HTTPError as error:
        raise unavailable(f"HTTP status {error.code}") from None
    except http.client.HTTPException as error:
        raise unavailable(f"the answer broke off ({error!r})") from None
    except OSError as error:
        raise unavailable(f"no answer ({getattr(error, 'reason', error)}); is there a network?") from None
    except ValueError:
        raise unavailable("the answer is not JSON") from None
    if not isinstance(answer, dict):
        raise unavailable("the answer is not an article")
    if "error" in answer:
        raise unavailable(f"{answer['error'].get('info', 'an error')}, so the revision is wrong or was removed")
    if answer.get("parse", {}).get("revid") != article.revision or "text" not in answer["parse"]:
        raise unavailable("the answer is not of that revision")
    return answer


def plain_text(html: str) -> str:
    """Headings, paragraphs, list items and table rows of a rendered article, a line each, up to its appendices."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for part in soup.select(NOT_TEXT):
        part.decompose()
    for pause in soup.find_all("br"):
        pause.replace_with("\n")
    lines, skipped = [], False
    for block in soup.find_all(BLOCKS):
        # A paragraph inside a table row or list item is a part of that line.
        if block.find_parent(("li", "tr", "blockquote")):
            continue
        if block.name == "tr":
            cells = (" ".join(cell.get_text().split()) for cell in block.find_all(("th", "td")))
            line = " | ".join(filter(None, cells))
        else:
            line = " ".join(block.get_text().split())
        if block.name == "h2":
            skipped = line.lower() in APPENDICES
        if line and not skipped:
            lines.append(f"\n{line}" if block.name.startswith("h") else line)
    return tidy("\n".join(lines))


def tidy(text: str) -> str:
    """Text without blanks at the ends of lines and with at most one empty line between others."""
    lines = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip()


def windows(text: str, characters: int) -> list[str]:
    """The text in pieces of about equal length, each of whole lines and at most so many characters.

    A single line that is longer than that is a piece of its own.
    """
    count = -(-len(text) // characters)
    goal = len(text) / count
    pieces: list[str] = []
    current = ""
    for line in text.split("\n"):
        if current and (len(current) + len(line) + 1 > characters or len(current) >= goal):
            pieces.append(current)
            current = ""
        current = f"{current}\n{line}" if current else line
    return [*pieces, current] if current.strip() else pieces
