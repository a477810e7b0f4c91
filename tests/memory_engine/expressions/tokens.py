"""An expression as its words: names, placeholders, numbers of list elements, keywords and signs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.memory_engine.refusals import Invalid

KEYWORDS = frozenset({"AND", "OR", "NOT", "BETWEEN", "IN", "SET", "REMOVE", "ADD", "DELETE"})
RESERVED = frozenset((Path(__file__).parent / "reserved_words.txt").read_text().split())
"""Words that an expression cannot use as names; the developer guide, "Reserved words in DynamoDB"."""

LONGEST = 4096
END = "<EOF>"

_TOKEN = re.compile(
    r"\s*(?:(?P<name>[A-Za-z][A-Za-z0-9_]*)|(?P<placeholder>[#:][A-Za-z0-9_]+)|(?P<number>0|[1-9][0-9]*)"
    r"|(?P<sign><>|<=|>=|[=<>+\-(),.\[\]])|(?P<end>\Z))"
)


class Token(NamedTuple):
    """A word and where it stands.

    Args:
        kind: "name", "keyword", "function" (a name before a parenthesis), "#", ":", "number", "sign" or "end".
        text: As it is written; a keyword in capitals.
    """

    kind: str
    text: str
    start: int
    end: int


def tokens_of(expression: str) -> list[Token]:
    """The words of an expression, the last of which is its end. Raises `Invalid`, without the expression's kind."""
    if not expression:
        raise Invalid("The expression can not be empty;")
    size = len(expression.encode())
    if size > LONGEST:
        raise Invalid(f"Expression size has exceeded the maximum allowed size; expression size: {size}")
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        tokens.append(_token_at(expression, position))
        position = tokens[-1].end
    return tokens


def syntax_error(expression: str, tokens: list[Token], number: int) -> Invalid:
    """What is said of a token that cannot stand where it stands."""
    at = tokens[number]
    near = expression[tokens[max(number - 1, 0)].start : tokens[min(number + 1, len(tokens) - 1)].end]
    return _syntax_error(at.text, near)


def _token_at(expression: str, position: int) -> Token:
    found = _TOKEN.match(expression, position)
    if found is None:
        rest = expression[position:].lstrip()
        raise _syntax_error(rest[0], expression[max(position - 1, 0) : position] + rest[:2])
    kind = str(found.lastgroup)
    text, start, end = found[kind], found.start(kind), found.end()
    if kind == "end":
        return Token(kind, END, start, end)
    if kind == "placeholder":
        return Token(text[0], text, start, end)
    if kind == "name" and text.upper() in KEYWORDS:
        return Token("keyword", text.upper(), start, end)
    return Token(kind, text, start, end)


def _syntax_error(token: str, near: str) -> Invalid:
    return Invalid(f'Syntax error; token: "{token}", near: "{near}"')
