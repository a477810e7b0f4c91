"""The offline model's plain answers as Markdown: lists and code are drawn, no other character means anything."""

from __future__ import annotations

import re
from itertools import groupby

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_LISTED = re.compile(r"  (\d+)\. (.+) \((.*)\)")
CODE = "    "
"""What lines of a file are indented by."""


def as_markdown(text: str) -> str:
    """The same words; a list's paths and the lines of a file as code."""
    parts = []
    for kind, lines in groupby(text.split("\n"), _kind):
        if kind == "code":
            content = [line.removeprefix(CODE) for line in lines]
            fence = "`" * max(3, *(len(run) + 1 for line in content for run in re.findall("`+", line) or [""]))
            parts.append("\n".join([fence, *content, fence]))
        elif kind == "list":
            parts.append("\n".join(_LISTED.sub(r"\1. `\2` (\3)", line) for line in lines))
        else:
            parts += [_SPECIAL.sub(r"\\\1", line.strip()) for line in lines if line.strip()]
    return "\n\n".join(parts)


def _kind(line: str) -> str:
    if line.startswith(CODE):
        return "code"
    return "list" if _LISTED.fullmatch(line) else "words"
