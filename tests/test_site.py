"""The site of the documents: it builds without a warning, no page needs another host, and no link leads nowhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import langgraph_dynamo_conv
from dev import SITE_VARIABLES
from langgraph_dynamo_conv import conversations, errors

ROOT = Path(__file__).parent.parent
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
"""What `<link rel=…>` makes a browser fetch, or connect to."""

ELSEWHERE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
"""An address of another host; `data:` and relative addresses are none."""

IN_STYLES = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
"""What a style sheet makes a browser fetch."""


@dataclass
class Reader(HTMLParser):
    """What a page loads, links to and can be linked at."""

    loaded: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    policy: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attributes}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a":
            self.links += [found["href"]] if "href" in found else []
        elif tag != "link" or LOADING_LINKS & set(found.get("rel", "").split()):
            names = {"src", "href", "data", "poster", "xlink:href"} & set(found)
            self.loaded += [found[name] for name in sorted(names)]
            self.loaded += [one.split()[0] for one in found.get("srcset", "").split(",") if one.strip()]
        self.loaded += loaded_by_style(found.get("style", ""))
        if found.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = found["content"]


def loaded_by_style(text: str) -> list[str]:
    return [url or imported for url, imported in IN_STYLES.findall(text)]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    target = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)]
    built = subprocess.run(command, cwd=ROOT, env={**os.environ, **SITE_VARIABLES}, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return target


@cache
def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    return reader


def pages_of(site: Path) -> list[Path]:
    """All pages; that for missing ones is left out of links, since it names them from the root of a host."""
    return [page for page in sorted(site.rglob("*.html")) if page.name != "404.html"]


def test_pages_load_nothing_from_other_hosts(site: Path) -> None:
    found = {page.name: [one for one in read(page).loaded if ELSEWHERE.match(one)] for page in site.rglob("*.html")}

    assert len(found) > 15
    assert {page: loaded for page, loaded in found.items() if loaded} == {}


def test_what_pages_load_is_part_of_the_site(site: Path) -> None:
    for page in pages_of(site):
        local = [urlsplit(one).path for one in read(page).loaded if not one.startswith(("data:", "#"))]

        assert [one for one in local if not (page.parent / unquote(one)).is_file()] == [], page


def test_styles_and_drawings_load_nothing_from_other_hosts(site: Path) -> None:
    files = [*site.rglob("*.css"), *site.rglob("*.svg")]
    found = {file.name: loaded_by_style(file.read_text(encoding="utf-8")) for file in files}
    found |= {file.name: [*found[file.name], *read(file).loaded] for file in site.rglob("*.svg")}

    assert "items.svg" in found
    assert {name: one for name, loaded in found.items() for one in loaded if ELSEWHERE.match(one)} == {}


def test_every_page_forbids_the_browser_to_ask_other_hosts(site: Path) -> None:
    for page in site.rglob("*.html"):
        sources = {word for rule in read(page).policy.split(";") for word in rule.split()[1:]}

        assert "default-src 'self'" in read(page).policy, page
        assert sources <= {"'self'", "'unsafe-inline'", "data:", "blob:"}, page


def test_links_within_the_site_lead_to_pages_and_places(site: Path) -> None:
    for page in pages_of(site):
        for link in map(urlsplit, read(page).links):
            if link.scheme or link.netloc:
                continue
            target = (page.parent / unquote(link.path)).resolve() if link.path not in ("", ".") else page
            target = target / "index.html" if target.is_dir() else target

            assert target.is_file(), (page.name, link)
            if link.fragment and target.suffix == ".html":
                assert {link.fragment, unquote(link.fragment)} & read(target).anchors, (page.name, link)


def test_every_document_is_a_page_and_can_be_searched(site: Path) -> None:
    documents = {path.with_suffix(".html").name for path in (ROOT / "docs").glob("*.md")}
    index = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))
    searched = {urlsplit(entry["location"]).path for entry in index["docs"]}

    assert documents | {"index.html", "changelog.html", "contributing.html", "examples/lambda.html"} <= searched
    assert documents <= {page.name for page in pages_of(site)}


def test_the_reference_has_every_public_name(site: Path) -> None:
    anchors = set().union(*(read(page).anchors for page in site.glob("api-*.html")))
    names = {f"{errors.__name__}.{name}" for name in errors.__all__}
    names |= {f"{conversations.__name__}.{name}" for name in conversations.__all__}
    names |= {f"{langgraph_dynamo_conv.saver.__name__}.DynamoDBConversationSaver"}
    methods = [name for name in vars(langgraph_dynamo_conv.DynamoDBConversationSaver) if not name.startswith("_")]
    names |= {f"{langgraph_dynamo_conv.saver.__name__}.DynamoDBConversationSaver.{name}" for name in methods}
    calls = [name for name in dir(conversations.Conversations) if not name.startswith("_")]
    names |= {f"{conversations.__name__}.Conversations.{name}" for name in calls}

    assert names - anchors == set()


def test_a_reader_notices_what_a_page_would_load_from_another_host() -> None:
    reader = Reader()
    reader.feed(
        '<link rel="preconnect" href="https://a.test"><link rel="canonical" href="https://b.test">'
        '<script src="//c.test/x.js"></script><img srcset="x.png 1x, https://d.test/y.png 2x">'
        "<p style=\"background: url('https://e.test/z.png')\"><a href='https://f.test'>"
    )

    hosts = [urlsplit(one).netloc for one in reader.loaded if ELSEWHERE.match(one)]
    assert hosts == ["a.test", "c.test", "d.test", "e.test"]
