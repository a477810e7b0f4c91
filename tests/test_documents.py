"""The code in README and docs runs as it is printed, and the links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from moto import mock_aws

import dev

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md"), *ROOT.glob("examples/*/*.md")]
)
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())


def code_of(document: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL))


@each_document
def test_python_code_in_documents_runs(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("document")  # a state's types are imported by the name of their module
    monkeypatch.setitem(sys.modules, "document", module)
    with mock_aws():
        exec(compile(code_of(document), str(document), "exec"), vars(module))


@pytest.mark.parametrize("document", [ROOT / "README.md", ROOT / "docs/quick-start.md"], ids=["README", "quick start"])
def test_the_quick_starts_run_in_strict_mode(document: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"from moto import mock_aws\n\nmock_aws().start()\n{code_of(document)}")
    variables = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}

    ended = subprocess.run(
        [sys.executable, program], env=variables, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )

    assert ended.returncode == 0, ended.stderr
    assert "Blocked deserialization" not in ended.stderr


def test_the_second_run_of_the_readmes_quick_start_continues_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    code = code_of(ROOT / "README.md").replace(
        '"conversations"', '"of-this-test"'
    )  # tests may share an imitation of AWS
    program = compile(code, "README.md", "exec")
    with mock_aws():
        exec(program, {"__name__": "first run"})
        first = capsys.readouterr().out
        exec(program, {"__name__": "second run"})
        second = capsys.readouterr().out
    turn = "  user: Show me 4K renders\n  assistant: I know {} messages of this conversation.\n"
    assert first == "Show me 4K renders 2\n" + turn.format(1)
    assert second == "Show me 4K renders 4\n" + turn.format(1) + turn.format(3)


@each_document
def test_links_to_files_lead_to_files(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
        assert (document.parent / link).exists(), link


@each_document
def test_tests_that_a_document_names_exist(document: Path) -> None:
    named = set(re.findall(r"\btest_\w+(?!\w|\.py)", document.read_text()))
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]

    assert {name for name in named if not any(f"def {name}(" in source for source in sources)} == set()


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


GENERATED = ("benchmarks.md", "cli.md")
"""Pages that are mostly what programs print."""

MOST_WORDS = {
    "existing-table.md": 600,
    "options.md": 600,
    "front-ends.md": 600,
    "concurrency.md": 600,
    "erasure.md": 600,
    "infrastructure.md": 600,
    "restoring.md": 600,
}
MOST_WORDS_OF_ALL_OTHERS = 18_000


def test_pages_are_short() -> None:
    words = {path.name: len(path.read_text().split()) for path in (ROOT / "docs").glob("*.md")}
    others = {name: count for name, count in words.items() if name not in {*MOST_WORDS, *GENERATED}}

    assert {name: words[name] for name, most in MOST_WORDS.items() if words[name] > most} == {}
    assert sum(others.values()) <= MOST_WORDS_OF_ALL_OTHERS


def test_the_map_of_the_code_names_every_room_and_module() -> None:
    package = ROOT / "langgraph_dynamo_conv"
    paths = [path for path in package.rglob("*.py") if not path.stem.startswith("__")]
    rooms = {f"{path.parent.name}/" for path in package.rglob("__init__.py") if path.parent != package}
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Map of the code")[2].partition("\n## ")[0]

    named = set(re.findall(r"`(\w+/?)`", text))

    assert ({path.stem for path in paths} | rooms) - named == set()


def test_contributing_names_no_module_that_is_not_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    places = set(re.findall(r"`((?:_\w+|cli|conversations|migration)/[\w/]*\w(?:\.py)?)`", text))

    missing = [place for place in places if not (ROOT / "langgraph_dynamo_conv" / place).with_suffix(".py").exists()]

    assert places
    assert missing == []


def test_the_variables_of_long_runs_are_documented_and_used() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("## Long runs")[2].partition("\n## ")[0]
    documented = dict(re.findall(r"^\| `([A-Z_]+)` \| [^|]+ \| (\w+)", text, re.MULTILINE))
    code = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))

    assert documented == dev.LONG_SEARCHES
    assert [name for name in documented if f'environ.get("{name}"' not in code] == []
