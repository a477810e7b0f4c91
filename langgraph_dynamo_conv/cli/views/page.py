"""Conversations as one HTML page that needs nothing else: no script, no font, no image, no other host.

Everything that the table holds is escaped by the template; the page's own policy forbids scripts and requests as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from langgraph_dynamo_conv.cli.output import visible
from langgraph_dynamo_conv.conversations import Conversation


def page(conversations: Iterable[Conversation], title: str) -> Iterator[str]:
    """Pieces of the page; one conversation in memory at a time."""
    environment = Environment(
        loader=PackageLoader("langgraph_dynamo_conv.cli"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(visible=visible, pretty=_pretty)
    template = environment.get_template("conversations.html")
    yield from template.generate(conversations=conversations, title=title)


def _pretty(value: Any) -> str:
    return visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True))
