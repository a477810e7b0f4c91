"""A place in an expression that moves on, and what every expression has: paths, values, calls, lists."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tests.memory_engine.expressions.operands import Literal, Operand, Path
from tests.memory_engine.expressions.tokens import RESERVED, Token, syntax_error, tokens_of
from tests.memory_engine.refusals import Invalid

T = TypeVar("T")

MOST_OPERATORS = 300
DEEPEST_PATH = 32
LARGEST_NUMBER = 2**31 - 1
FUNCTIONS = {
    "attribute_exists": 1,
    "attribute_not_exists": 1,
    "attribute_type": 2,
    "begins_with": 2,
    "contains": 2,
    "size": 1,
    "if_not_exists": 2,
    "list_append": 2,
}
"""All functions of expressions, and how many arguments each has."""

_OF_A_PATH = ("attribute_exists", "attribute_not_exists", "if_not_exists")


@dataclass(frozen=True)
class Parsed(Generic[T]):
    """An expression.

    Args:
        node: What it says.
        names: The placeholders of names in it.
        values: The placeholders of values in it.
        opened: The first steps of paths that it reads and that go on, so that there must be a map or a list.
    """

    node: T
    names: frozenset[str]
    values: frozenset[str]
    opened: frozenset[str]


@dataclass
class Cursor:
    """A place in an expression, and what was seen before it.

    Args:
        text: The expression.
        at: The number of the next token.
        operators: Operators and functions so far.
        names: Names' placeholders so far.
        values: Values' placeholders so far.
        opened: First steps so far of paths that go on.
        group: Where the last pair of parentheses was, as numbers of tokens.
    """

    text: str
    at: int = 0
    operators: int = 0
    names: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    opened: set[str] = field(default_factory=set)
    group: tuple[int, int] = (-1, -1)

    def __post_init__(self) -> None:
        self.tokens = tokens_of(self.text)

    @property
    def next(self) -> Token:
        """The token at the place."""
        return self.tokens[self.at]

    def take(self) -> Token:
        """The next token; the place moves behind it."""
        self.at += 1
        return self.tokens[self.at - 1]

    def took(self, *texts: str) -> str | None:
        """The next token, taken, if it is one of these signs or keywords."""
        token = self.next
        if token.kind in ("sign", "keyword") and token.text in texts:
            self.at += 1
            return token.text
        return None

    def require(self, text: str) -> None:
        """Take this sign or keyword. Raises `Invalid` if another one is next."""
        if self.took(text) is None:
            raise self.error()

    def operator(self) -> None:
        """Count an operator or a function."""
        self.operators += 1
        if self.operators > MOST_OPERATORS:
            raise Invalid(f"The expression contains too many operators; operator count: {self.operators}")

    def error(self) -> Invalid:
        """What is said of the next token, which cannot stand there."""
        return syntax_error(self.text, self.tokens, self.at)

    def in_parentheses(self, read: Callable[[Cursor], T]) -> T:
        """What is between the parentheses, the first of which is next."""
        self.require("(")
        inner = read(self)
        self.require(")")
        return inner

    def grouped(self, read: Callable[[Cursor], T]) -> T:
        """The same for parentheses that are no function's: they cannot hold another pair alone."""
        start = self.at
        inner = self.in_parentheses(read)
        if self.group == (start + 1, self.at - 1):
            raise Invalid("The expression has redundant parentheses;")
        self.group = (start, self.at)
        return inner

    def parsed(self, node: T) -> Parsed[T]:
        """The end of the expression, which was read whole."""
        if self.next.kind != "end":
            raise self.error()
        return Parsed(node, frozenset(self.names), frozenset(self.values), frozenset(self.opened))


def read_list(cursor: Cursor, read: Callable[[Cursor], T]) -> list[T]:
    """What is between commas."""
    listed = [read(cursor)]
    while cursor.took(","):
        listed.append(read(cursor))
    return listed


def read_path(cursor: Cursor) -> Path:
    """A path that is read, for instance `#m.list[0]`."""
    path = read_target(cursor)
    if len(path.written) > 1:
        cursor.opened.add(str(path.written[0]))
    return path


def read_target(cursor: Cursor) -> Path:
    """A path that is updated."""
    steps: list[str | int] = [_step(cursor)]
    while sign := cursor.took(".", "["):
        steps.append(_step(cursor) if sign == "." else _number(cursor))
    if len(steps) > DEEPEST_PATH:
        raise Invalid(f"The document path has too many nesting levels; nesting levels: {len(steps)}")
    return Path(tuple(steps))


def _step(cursor: Cursor) -> str:
    if cursor.next.kind not in ("name", "#"):
        raise cursor.error()
    token = cursor.take()
    if token.kind == "#":
        cursor.names.add(token.text)
    elif token.text.lower() in RESERVED:
        raise Invalid(f"Attribute name is a reserved keyword; reserved keyword: {token.text}")
    return token.text


def _number(cursor: Cursor) -> int:
    if cursor.next.kind != "number":
        raise cursor.error()
    number = int(cursor.take().text)
    cursor.require("]")
    if number > LARGEST_NUMBER:
        raise Invalid(f"List index is not within the allowable range; index: [{number}]")
    return number


def read_literal(cursor: Cursor) -> Literal:
    """A value's placeholder."""
    if cursor.next.kind != ":":
        raise cursor.error()
    name = cursor.take().text
    cursor.values.add(name)
    return Literal(name)


def read_leaf(cursor: Cursor) -> Operand:
    """A path or a value's placeholder."""
    return read_literal(cursor) if cursor.next.kind == ":" else read_path(cursor)


def is_call(cursor: Cursor) -> bool:
    """Whether a function is next."""
    return cursor.next.kind == "name" and cursor.tokens[cursor.at + 1].text == "("


def function_name(cursor: Cursor, allowed: Collection[str], kind: str) -> str:
    """The function that is next, if this kind of expression allows it."""
    name = cursor.take().text
    if name not in FUNCTIONS:
        raise Invalid(f"Invalid function name; function: {name}")
    if name not in allowed:
        raise Invalid(f"The function is not allowed in {kind} expression; function: {name}")
    cursor.operator()
    return name


def check_arguments(name: str, arguments: list[Operand]) -> None:
    """Raises `Invalid` for another number of arguments than the function has, or a value where it needs a path."""
    if len(arguments) != FUNCTIONS[name]:
        raise Invalid(
            "Incorrect number of operands for operator or function; "
            f"operator or function: {name}, number of operands: {len(arguments)}"
        )
    if name in _OF_A_PATH and not isinstance(arguments[0], Path):
        raise Invalid(f"Operator or function requires a document path; operator or function: {name}")


def not_this_way(name: str) -> Invalid:
    """What is said of a function in a place that is for others."""
    return Invalid(f"The function is not allowed to be used this way in an expression; function: {name}")
