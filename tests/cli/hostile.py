"""Hostile text in every field that is stored: fields are found by walking what was stored, not by a list of them."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver
from markdown_it import MarkdownIt

from langgraph_dynamo_conv._format.keys import Scope
from tests.cli.test_transcripts import Page

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from tests.cli.conftest import Ended

MARK = "zq7"
QUIET = f"{MARK}\u202egpj.\u200b\u2066\ufeff\U000e0041<script>alert(1)</script>[/nope]"
"""Text that an id may have: it moves no cursor, but reorders and hides."""

HOSTILE = (
    f"{QUIET}\x1b]0;owned\x07\x1b[2J\x1b[9A\x9b31m\x90q\x9c\x08\r\nerror: x\x00\x7f\u2028</pre><img src=x onerror=y>"
    "<!-- [a](javascript:x) ![i](http://e.x/i) `|b| ``` --- {{ 7 * 7 }} [bold]x[/nope]"
)

OURS = re.compile(r"\x1b\[[0-9;]*m|\r?\x1b\[(?:2K|1A|\?25[lh])")
"""Colours, and what draws the bar of `migrate`; hostile text has none of these."""

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAGS = {
    "html", "head", "meta", "title", "style", "body", "article", "h1", "p", "section", "h2", "time", "details",
    "summary", "pre", "div", "span",
}  # fmt: skip
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class"}

Path = tuple[str, ...]


def variants(item: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """An item with one of its texts, numbers or names replaced by hostile text, for each of them, but for its keys."""
    for path in _paths({"M": item}):
        if path[1] in ("conversation_id", "user_id"):
            continue
        changed = {"M": copy.deepcopy(item)}
        _replace(changed, path)
        yield path, {**changed["M"], "conversation_id": {"S": str(uuid.uuid4())}}


def _paths(attribute: dict[str, Any]) -> Iterator[Path]:
    """The way to each leaf of an attribute, and to each name in a map; the latter ends in "name"."""
    (kind, value), *_ = attribute.items()
    if kind == "M":
        for name, inner in value.items():
            yield ("M", name, "name")
            yield from (("M", name, *path) for path in _paths(inner))
    elif kind == "L":
        for number, inner in enumerate(value):
            yield from (("L", str(number), *path) for path in _paths(inner))
    else:
        yield (kind,)


def _replace(attribute: dict[str, Any], path: Path) -> None:
    kind, *rest = path
    if not rest:
        attribute.clear()
        attribute["S"] = HOSTILE
    elif rest[1:] == ["name"]:
        attribute["M"] = {HOSTILE if name == rest[0] else name: value for name, value in attribute["M"].items()}
    else:
        _replace(attribute[kind][rest[0] if kind == "M" else int(rest[0])], tuple(rest[1:]))


def foreign_row() -> dict[str, Any]:
    """A row as another program may write it."""
    call = {"id": {"S": "c1"}, "type": {"S": "function"}, "function": {"M": {"name": {"S": "find"}}}}
    call["function"]["M"]["arguments"] = {"S": '{"q": 1}'}
    blocks = [{"M": {"type": {"S": "text"}, "text": {"S": "Found"}}}, {"M": {"type": {"S": "image_url"}}}]
    messages = [
        {"M": {"type": {"S": "human"}, "text": {"S": "Where?"}, "timestamp": {"N": "1700000000"}}},
        {"M": {"role": {"S": "assistant"}, "content": {"L": blocks}, "tool_calls": {"L": [{"M": call}]}}},
        {"S": "Thanks"},
        {"L": [{"S": "ai"}, {"S": "Welcome"}]},
    ]
    attributes = {"title": {"S": "Flats"}, "created_at": {"S": "2026"}, "tags": {"M": {"team": {"S": "red"}}}}
    return {"user_id": {"S": "alice"}, "messages": {"L": messages}, **attributes}


def put_state(saver: BaseCheckpointSaver[Any], config: RunnableConfig, text: str = HOSTILE, ns: str = "") -> None:
    """A checkpoint and task writes in which every text and every name is hostile."""
    given: dict[str, Any] = {
        "v": 4,
        "id": f"1f{len(ns):06x}-0000-6000-8000-000000000000",
        "ts": text,
        "channel_values": {text: {text: [text, {text: text}]}, "messages": []},
        "channel_versions": {text: f"{1:032}.0", "messages": f"{1:032}.0"},
        "versions_seen": {text: {text: f"{1:032}.0"}},
        "updated_channels": [text],
    }
    assert set(given) == set(Checkpoint.__annotations__)
    metadata = {**dict.fromkeys(CheckpointMetadata.__annotations__, text), "parents": {text: text}, text: text}
    metadata["counters_since_delta_snapshot"] = {text: (1, 2)}
    at: Any = {"configurable": {**config["configurable"], "checkpoint_ns": ns}}
    stored = saver.put(at, given, metadata, given["channel_versions"])  # type: ignore[arg-type]
    saver.put_writes(stored, [(text, {text: text}), ("__interrupt__", text)], text, text)


def foreign_saver() -> InMemorySaver:
    """A saver with threads that can't be copied, for `migrate`."""
    saver = InMemorySaver()
    for thread, owner in ((HOSTILE, "alice"), (QUIET, HOSTILE)):
        put_state(saver, {"configurable": {"thread_id": thread, "checkpoint_ns": "", "owner": owner}})
    return saver


def quiet_saver() -> InMemorySaver:
    """A saver with a thread that can be copied."""
    saver = InMemorySaver()
    put_state(saver, {"configurable": {"thread_id": QUIET, "checkpoint_ns": ""}})
    return saver


def check_terminal(text: str) -> None:
    """Nothing but lines of text, and what the program itself draws."""
    raw = {char for char in OURS.sub("", text) if not char.isprintable()} - {"\n"}
    assert raw == set(), text[:2000]


def check_page(text: str) -> None:
    """A page of these elements alone."""
    page = Page(text)
    assert {tag for tag, _ in page.elements} <= TAGS
    assert {name for _, attributes in page.elements for name in attributes} <= ATTRIBUTES


def check_markdown(text: str) -> None:
    """Markdown without anything active, whose links lead to the web."""
    tokens = PARSER.parse(text)
    inline = [child for token in tokens for child in token.children or ()]
    assert not {"html_block", "html_inline", "image"} & {token.type for token in [*tokens, *inline]}
    assert all(str(token.attrs["href"]).startswith("http://e.x/") for token in inline if token.type == "link_open")


PRINT_LINES = ("migrate", "rekey-user")
"""Commands whose JSON is a line for each result, as it comes."""


def check(ended: Ended, arguments: list[str]) -> None:
    """All that is true of what a command printed, whatever it is."""
    check_terminal(ended.out)
    check_terminal(ended.err)
    if ended.err and "migrate" not in arguments:
        assert len(ended.err.splitlines()) == 1, ended.err
    if "--json" in arguments and ended.code in (0, 1):
        lines = ended.out.splitlines() if arguments[0] in PRINT_LINES else [ended.out]
        assert all(json.loads(line) is not None for line in lines)
    if ended.code == 0 and "html" in arguments:
        check_page(ended.out)
    if ended.code == 0 and "markdown" in arguments:
        check_markdown(ended.out)


def texts_in(value: Any) -> Iterator[str]:
    """All texts in JSON, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from (name, *texts_in(one))
    elif isinstance(value, list):
        for one in value:
            yield from texts_in(one)


def items_of_others(user_id: str) -> Iterator[dict[str, Any]]:
    """Items under keys that no program of ours makes."""
    thread_id = str(uuid.uuid4())
    for kind in ("", *(f"#{kind}#" for kind in "cwsmp")):
        parts = "#".join([HOSTILE.replace("#", "")] * {"": 0, "#w#": 3, "#s#": 3, "#m#": 1}.get(kind, 2))
        key = f"{Scope(thread_id, user_id).row().sk}{kind}{parts}"
        yield {"conversation_id": {"S": thread_id}, "user_id": {"S": key}, HOSTILE: {"S": HOSTILE}}
