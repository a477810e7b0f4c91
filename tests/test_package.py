"""The package's own rules: imports run downwards, boto stays at the edge, files and functions are short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import langgraph_dynamo_conv

PACKAGE = Path(langgraph_dynamo_conv.__file__).parent
NAME = PACKAGE.name

ORDER = (
    "_visible",
    "errors",
    "_arguments",
    "_format",
    "_state",
    "_storage",
    "_checkpoints",
    "_history",
    "_content",
    "_transcript",
    "_rows",
    "_calls",
    "_policies",
    "provision",
    "conversations",
    "saver",
    "server",
    "migration",
    "__init__",
    "cli",
    "__main__",
)
"""Rooms: a room imports only from those before it, and from itself."""

APART = {"_state": "_storage", "_storage": "_state"}
"""Neighbours that know nothing of each other: what is stored, and how it is sent."""

BOTO_MODULES = {"_storage.client", "_storage.failures", "cli.aws", "cli.templates.expired_objects"}
"""The last is no part of the program: templates carry its text to Lambda, where there is nothing but boto3."""
OPTIONAL_PACKAGES: set[str] = set()
"""Top-level packages of optional extras: a function may import these."""

PUBLIC = {"conversations", "migration", "cli"}
ALLOWED = {"saver": {"conversations._api", "conversations._records"}, "cli.sources": {"migration._source"}}
"""Private modules of a public room that another one may import."""

MAX_FILES = 11
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 40

MODULES = sorted(".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py"))
each_module = pytest.mark.parametrize("module", MODULES)


def path_of(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def tree_of(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def imported(node: ast.AST) -> Iterator[str]:
    """Full names that the import statements in a node name, those for type checkers left out."""
    if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = ".".join(filter(None, [NAME if node.level else "", node.module]))
        yield from (f"{source}.{alias.name}" for alias in node.names)
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


def room_of(module: str) -> str:
    return module.split(".")[0]


def imported_modules(module: str) -> set[str]:
    """The package's modules that a module imports."""
    names = [name.split(".") for name in imported(tree_of(module)) if name.split(".")[0] == NAME]
    return {named_module(name[1:]) for name in names}


def named_module(parts: list[str]) -> str:
    """The module that an imported name is, or is in: the longest that there is."""
    for length in range(len(parts), -1, -1):
        for module in (".".join(parts[:length]), ".".join([*parts[:length], "__init__"])):
            if module in MODULES:
                return module
    raise ValueError(parts)


def functions_of(module: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(tree_of(module))
    return [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_every_module_is_in_a_room() -> None:
    assert {room_of(module) for module in MODULES} == set(ORDER)


@each_module
def test_imports_run_down_the_rooms(module: str) -> None:
    room = room_of(module)
    below = set(ORDER[: ORDER.index(room) + 1]) - {APART.get(room)}

    assert {room_of(name) for name in imported_modules(module)} - below == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = TopologicalSorter({module: imported_modules(module) - {module} for module in MODULES})

    assert set(graph.static_order()) >= set(MODULES)


@each_module
def test_private_modules_of_public_rooms_are_imported_by_these_alone(module: str) -> None:
    private = {name for name in imported_modules(module) if room_of(name) in PUBLIC and "._" in f".{name}"}
    foreign = {name for name in private if room_of(name) != room_of(module) and not name.endswith("__init__")}

    assert foreign - ALLOWED.get(module, set()) == set()


@pytest.mark.parametrize("room", sorted({PACKAGE, *(path.parent for path in PACKAGE.rglob("*.py"))}))
def test_a_room_has_at_most_11_files(room: Path) -> None:
    assert len(list(room.glob("*.py"))) <= MAX_FILES


@each_module
def test_boto_is_imported_only_at_the_edge(module: str) -> None:
    boto = {name for name in imported(tree_of(module)) if name.split(".")[0] in {"boto3", "botocore"}}

    assert module in BOTO_MODULES or boto == set()


@each_module
def test_functions_import_nothing_but_optional_extras(module: str) -> None:
    names = {name for function in functions_of(module) for name in imported(function)}

    assert {name for name in names if name.split(".")[0] not in OPTIONAL_PACKAGES} == set()


@each_module
def test_no_file_is_longer_than_400_lines(module: str) -> None:
    lines = path_of(module).read_text(encoding="utf-8").splitlines()

    assert len(lines) <= MAX_FILE_LINES


@each_module
def test_no_function_body_is_longer_than_40_lines(module: str) -> None:
    lengths = {function.name: body_lines(function) for function in functions_of(module)}

    assert {name: lines for name, lines in lengths.items() if lines > MAX_FUNCTION_LINES} == {}


def test_public_names_are_sorted_and_exist() -> None:
    names = langgraph_dynamo_conv.__all__

    assert list(names) == sorted(names)
    assert [name for name in names if not hasattr(langgraph_dynamo_conv, name)] == []


def test_public_names_say_where_they_are_imported_from() -> None:
    named = {name: getattr(langgraph_dynamo_conv, name) for name in langgraph_dynamo_conv.__all__}
    classes = {name: value for name, value in named.items() if isinstance(value, type)}

    assert {name for name, value in classes.items() if not value.__module__.startswith(NAME)} == set()


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").exists()
