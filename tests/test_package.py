"""The package's own rules: imports run downwards, boto stays at the edge, files and functions are short."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import langgraph_dynamo_conv

PACKAGE = Path(langgraph_dynamo_conv.__file__).parent
NAME = PACKAGE.name

# Each module imports only from those before it.
LAYERS = (
    "errors",
    "_forks",
    "_limits",
    "_keys",
    "_dictionary",
    "_codec",
    "_delta",
    "_expiry",
    "_marks",
    "_image",
    "_items",
    "_cache",
    "_chain",
    "_values",
    "_content",
    "_messages",
    "_transcript",
    "_config",
    "_refusals",
    "_table",
    "_bucket",
    "_segments",
    "_parts",
    "_draft",
    "_state",
    "_writes",
    "_liveness",
    "_checkpoints",
    "_history",
    "_removal",
    "_renewal",
    "_older",
    "_row",
    "_rows",
    "_follow",
    "_titles",
    "_engine",
    "_adopt",
    "_calls",
    "_records",
    "_listing",
    "_export",
    "_verification",
    "_conversations",
    "conversations",
    "provision",
    "_templates",
    "_diagnosis",
    "_session",
    "saver",
    "_migrants",
    "_peers",
    "_source",
    "migration",
    "_opening",
    "_prices",
    "_statistics",
    "_estimate",
    "__init__",
    "cli._output",
    "cli._context",
    "cli.table",
    "cli.conversations",
    "cli._transcript",
    "cli._following",
    "cli._page",
    "cli.transcripts",
    "cli._tree",
    "cli.checkpoints",
    "cli.costs",
    "cli.migration",
    "cli.__init__",
    "__main__",
)
BOTO_MODULES = {"_table", "_bucket", "provision", "_session"}
OPTIONAL_PACKAGES: set[str] = set()
"""Top-level packages of optional extras: a function may import these."""

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


def test_every_module_has_its_place_in_the_layers() -> None:
    assert set(MODULES) <= set(LAYERS)


@each_module
def test_imports_run_downwards(module: str) -> None:
    below = set(LAYERS[: LAYERS.index(module)])

    assert imported_modules(module) - below == set()


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
