"""An article is the pinned version's text and no other, or the reason says how to pin one."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from sdft.common.errors import SdftError
from sdft.data.fetch import fetch
from sdft.data.knowledge import articles
from sdft.data.knowledge.articles import plain_text, read_article, windows
from sdft.data.schema import Article, Source

HTML = """<div><div class="hatnote">Not to be confused</div>
<table class="infobox"><tr><th>Magnitude</th><td>7.7<br>moment</td></tr></table>
<p>The <b>quake</b> struck on 28&nbsp;March.<sup class="reference">[1]</sup></p>
<div class="mw-heading"><h2>Impact</h2><span class="mw-editsection">edit</span></div>
<ul><li>A bridge fell.<ul><li>Nobody was on it.</li></ul></li></ul>
<h2>References</h2><ul><li>A newspaper</li></ul><div class="navbox"><p>Quakes</p></div></div>"""
TEXT = "Magnitude | 7.7 moment\nThe quake struck on 28 March.\n\nImpact\nA bridge fell.Nobody was on it."


def test_the_text_is_what_a_reader_reads():
    assert plain_text(HTML) == TEXT


def answer(revision=7, title="A quake", text=HTML):
    return {"parse": {"title": title, "revid": revision, "text": text}}


@pytest.fixture
def wikipedia(monkeypatch):
    asked = []

    def start(reply):
        def ask(article):
            asked.append(article.revision)
            return reply

        monkeypatch.setattr(articles, "_ask", ask)
        return asked

    return start


def test_a_pinned_article_is_downloaded_once(wikipedia, tmp_path):
    asked = wikipedia(answer())
    article = Article(title="A quake", revision=7)
    assert read_article(article, tmp_path) == read_article(article, tmp_path)
    assert read_article(article, tmp_path)[0] == TEXT
    assert asked == [7]


def test_an_unpinned_article_is_refused_with_the_address_of_its_revision(tmp_path):
    with pytest.raises(SdftError, match=r"api\.php\?action=query.*titles=A\+quake.*revid as `revision`"):
        read_article(Article(title="A quake"), tmp_path)


def test_another_article_other_content_and_no_network_are_refused(wikipedia, tmp_path, monkeypatch):
    wikipedia(answer(title="A flood"))
    with pytest.raises(SdftError, match="of the article 'A flood' and not of 'A quake'"):
        read_article(Article(title="A quake", revision=7), tmp_path)
    wikipedia(answer())
    with pytest.raises(SdftError, match="sha256"):
        read_article(Article(title="A quake", revision=8, sha256="0" * 64), tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(articles, "API", "http://127.0.0.1:9/api.php")
    with pytest.raises(SdftError, match="is there a network"):
        read_article(Article(title="A quake", revision=9), tmp_path)


class CutOff(BaseHTTPRequestHandler):
    """Promises more than it sends."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"{")

    def log_message(self, *_):
        pass


def test_a_download_that_breaks_off_is_named_with_the_remedy(tmp_path, monkeypatch):
    with HTTPServer(("127.0.0.1", 0), CutOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(articles, "API", address)
        with pytest.raises(SdftError, match=r"broke off .*IncompleteRead.*Repeat the command"):
            read_article(Article(title="A quake", revision=9), tmp_path)
        monkeypatch.setattr("sdft.data.fetch.GITHUB", address + "/{repository}/{revision}/{file}")
        source = Source(github="a/b", revision="0" * 40, file="data/train.json")
        with pytest.raises(SdftError, match=r"broke off .*IncompleteRead.*Repeat the command"):
            fetch(source, tmp_path)
        server.shutdown()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_local_text_needs_no_revision(tmp_path):
    path = tmp_path / "quake.txt"
    path.write_text("One.\r\n\n\n\nTwo. \n")
    article = Article(title="A quake", path=str(path))
    assert read_article(article, tmp_path) == ("One.\n\nTwo.", str(path))
    path.write_text(" ")
    with pytest.raises(SdftError, match="no text"):
        read_article(article, tmp_path)
    path.unlink()
    with pytest.raises(SdftError, match="does not exist"):
        read_article(article, tmp_path)


def test_windows_cover_the_text_in_whole_lines():
    text = "\n".join(f"line {number} " + "x" * (number % 40) for number in range(200))
    parts = windows(text, 500)
    assert "\n".join(parts) == text
    assert max(map(len, parts)) <= 500
    assert min(map(len, parts[:-1])) > 250
    assert windows("short", 500) == ["short"]
    assert json.loads(json.dumps(windows("a" * 900, 500))) == ["a" * 900]
