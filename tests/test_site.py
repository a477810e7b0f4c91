"""The site of the documents: it builds without a warning, no page needs another host, and no link leads nowhere.

Its home page is its own, its colours can be read, and its diagrams say what the code does.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree

import pytest
import yaml

import langgraph_dynamo_conv
from dev import SITE_VARIABLES
from langgraph_dynamo_conv import conversations, errors
from langgraph_dynamo_conv._format.keys import INDEX, parse_sk
from tests.conftest import MakeSaver
from tests.played_turns import ReferenceChat
from website.pages import FENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parent.parent
LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
"""What `<link rel=…>` makes a browser fetch, or connect to."""

ELSEWHERE = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)
"""An address of another host; `data:` and relative addresses are none."""

IN_STYLES = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
"""What a style sheet makes a browser fetch."""

IMAGES = ROOT / "docs" / "images"
ASSETS = ROOT / "website" / "theme" / "assets"
DRAWN = [IMAGES / "turn.svg", IMAGES / "table.svg", ASSETS / "logo.svg"]
"""The drawings that are written by hand."""

SVG = "{http://www.w3.org/2000/svg}"
COLOUR = re.compile(r"#[0-9a-f]{6}\b")
SCHEMES = ("default", "slate")
"""Material's names of light and dark."""

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3, level AA, of text that is not large: https://www.w3.org/TR/WCAG22/#contrast-minimum"""

ON_GROUNDS = {
    "--md-default-bg-color": (
        "--md-typeset-color",
        "--md-typeset-a-color",
        "--md-default-fg-color--light",
        "--md-accent-fg-color",
    ),
    "--md-typeset-table-color--light": ("--md-typeset-color", "--md-typeset-a-color"),
    "--md-primary-fg-color": ("--md-primary-bg-color", "--md-primary-bg-color--light"),
    "--md-accent-fg-color": ("--md-accent-bg-color",),
    "--md-accent-fg-color--transparent": ("--md-typeset-color", "--md-accent-fg-color"),
    "--md-footer-bg-color": ("--md-footer-fg-color", "--md-footer-fg-color--light", "--md-footer-fg-color--lighter"),
    "--md-code-bg-color": ("--md-code-fg-color", "--md-typeset-a-color"),
}
"""What Material writes on what, beside the words of code."""


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

    assert {drawing.name for drawing in DRAWN} <= set(found)
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

    assert documents | {"overview.html", "changelog.html", "contributing.html", "examples/lambda.html"} <= searched
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


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")], ids=["phone", "desktop"])
def test_no_page_is_wider_than_the_screen(site: Path, browser: Browser, width: int, scheme: Any) -> None:
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    wider = {}
    for document in sorted(site.glob("*.html")):
        page.goto(document.as_uri())
        excess = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if excess > 0:
            wider[document.name] = excess
    page.close()

    assert wider == {}


def test_a_reader_notices_what_a_page_would_load_from_another_host() -> None:
    reader = Reader()
    reader.feed(
        '<link rel="preconnect" href="https://a.test"><link rel="canonical" href="https://b.test">'
        '<script src="//c.test/x.js"></script><img srcset="x.png 1x, https://d.test/y.png 2x">'
        "<p style=\"background: url('https://e.test/z.png')\"><a href='https://f.test'>"
    )

    hosts = [urlsplit(one).netloc for one in reader.loaded if ELSEWHERE.match(one)]
    assert hosts == ["a.test", "c.test", "d.test", "e.test"]


def test_the_home_page_comes_first_and_is_not_the_readme(site: Path) -> None:
    source = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    pages = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    readme = re.findall(r"^##? (.+)$", FENCE.sub("", (ROOT / "README.md").read_text(encoding="utf-8")), re.MULTILINE)
    readme = [re.sub(r"[`*]", "", heading) for heading in readme]
    home, overview = ((site / name).read_text(encoding="utf-8") for name in ("index.html", "overview.html"))

    assert pages[0] == {"Home": "index.md"}
    assert len(source.split()) <= 350
    assert headings(home)[0] != headings(overview)[0] == readme[0]
    assert headings(overview) == readme
    assert "overview.html" in read(site / "index.html").links


def headings(page: str) -> list[str]:
    """The texts of a page's headings of the first two levels."""
    found = re.findall(r"<h[12] id=[^>]*>(.*?)<a class=\"headerlink", page)
    return [unescape(re.sub("<[^>]+>", "", text)) for text in found]


def test_prices_on_the_home_page_are_among_the_measured_ones() -> None:
    prices = set(re.findall(r"\$[\d.,]*\d", (ROOT / "docs" / "index.md").read_text(encoding="utf-8")))

    assert prices
    assert prices <= set(re.findall(r"\$[\d.,]*\d", (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_and_links_stand_out_from_what_is_behind_them(scheme: str) -> None:
    colours = colours_of(scheme)
    code = tuple(name for name in colours if re.fullmatch(r"--md-code-hl-\w+-color", name))
    pairs = [(text, ground) for ground, texts in ON_GROUNDS.items() for text in texts]
    pairs += [(text, "--md-code-bg-color") for text in code]

    faint = {pair: contrast(*(colours[name] for name in pair)) for pair in pairs}

    assert len(code) > 10
    assert {pair: ratio for pair, ratio in faint.items() if ratio < LEAST_CONTRAST} == {}


def test_the_site_has_the_colours_of_the_chat_page() -> None:
    chat = (ROOT / "examples/chat/page/src/styles/base.css").read_text(encoding="utf-8")
    pairs = {name: both for name, *both in re.findall(r"(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\)", chat)}
    ours = [{name: one for name, one in colours_of(scheme).items() if name[:5] != "--md-"} for scheme in SCHEMES]

    assert len(ours[0]) > 10
    assert {name: [one[name] for one in ours] for name in ours[0]} == {name: pairs[name] for name in ours[0]}


def colours_of(scheme: str) -> dict[str, str]:
    """The colours of a scheme by the names of their properties, each as `#rrggbb`."""
    style = (ASSETS / "colours.css").read_text(encoding="utf-8")
    named: dict[str, str] = {}
    for selectors, rules in re.findall(r"([^{}]+)\{([^}]*)\}", style):
        if f'"{scheme}"' in selectors:
            named |= dict(re.findall(r"(--[\w-]+):\s*([^;]+);", rules))
    return {name: named[value[4:-1]] if value.startswith("var(") else value for name, value in named.items()}


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of the luminances of two colours."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """WCAG's relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes


@pytest.mark.parametrize("drawing", DRAWN, ids=lambda path: path.name)
def test_drawings_have_a_title_and_need_nothing_from_elsewhere(drawing: Path) -> None:
    text = drawing.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    attributes = {name.rpartition("}")[2] for element in root.iter() for name in element.attrib}

    assert root.tag == f"{SVG}svg"
    assert (root.findtext(f"{SVG}title") or "").strip()
    assert {"href", "src", "onload"} & attributes == set()
    assert {"script", "image", "use", "foreignObject"} & {
        element.tag.removeprefix(SVG) for element in root.iter()
    } == set()
    assert [one for one in loaded_by_style(text) if not one.startswith("#")] == []


@pytest.mark.parametrize("drawing", DRAWN[:2], ids=lambda path: path.name)
def test_diagrams_have_the_site_s_colours_in_both_schemes(drawing: Path) -> None:
    light, dark = drawing.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")

    assert set(COLOUR.findall(light)) <= set(colours_of("default").values())
    assert set(COLOUR.findall(dark)) <= set(colours_of("slate").values())


def test_the_diagram_of_the_table_shows_every_kind_of_item_by_its_key() -> None:
    shown = [text.text or "" for text in ElementTree.parse(IMAGES / "table.svg").iter(f"{SVG}text")]
    kinds = [parse_sk(text).kind for text in shown if text.startswith("alice") and " " not in text]

    assert set(kinds) == {"row", "c", "w", "s", "m", "p"}
    assert INDEX in shown


def test_the_diagram_of_a_turn_shows_as_many_writes_as_a_turn_has(make_saver: MakeSaver, client: Any) -> None:
    drawn = [element.get("class", "").split() for element in ElementTree.parse(IMAGES / "turn.svg").iter(f"{SVG}rect")]
    shown = {kind: sum(["write", kind] == one for one in drawn) for kind in ("checkpoint", "task", "row")}

    turn = ReferenceChat(make_saver(), client).play(2)[-1]
    checkpoints, tasks, every = (len(turn.writes(kind)) for kind in ("#c#", "#w#", ""))

    assert shown == {"checkpoint": checkpoints, "task": tasks, "row": every - checkpoints - tasks}
