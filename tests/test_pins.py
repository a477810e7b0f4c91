"""What is installed with digests is what all else is tested with, and no file of pins names a host."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HASHED = ROOT / "requirements-hashed.txt"
UPSTREAM = ROOT / "requirements-upstream.txt"
PIN_FILES = [HASHED, UPSTREAM, *sorted(ROOT.glob("constraints*.txt"))]


def pins(path: Path) -> dict[str, str]:
    """Version by name and marker, of a file of pins."""
    lines = re.findall(r"^([\w.-]+)==([^\s\\;]+)(?: ; ([^\\\n]+))?", path.read_text(), re.MULTILINE)
    return {f"{name} ; {marker.strip()}": version for name, version, marker in lines}


def names(found: dict[str, str]) -> set[str]:
    return {pin.partition(" ")[0] for pin in found}


def test_versions_with_digests_are_the_pinned_ones() -> None:
    tested = {(pin.partition(" ")[0], version) for pin, version in pins(ROOT / "constraints.txt").items()}

    assert {(pin.partition(" ")[0], version) for pin, version in pins(HASHED).items()} <= tested


def test_langgraphs_own_tests_are_those_of_the_pinned_release_and_have_a_digest() -> None:
    assert pins(UPSTREAM).items() <= pins(ROOT / "constraints.txt").items()
    assert names(pins(UPSTREAM)) == {"langgraph"}
    assert re.fullmatch(r"langgraph==\S+ \\\n    --hash=sha256:[0-9a-f]{64}\n", UPSTREAM.read_text())


def test_every_dependency_of_the_package_has_digests() -> None:
    wanted = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert wanted
    assert set(re.findall(r'^  "([\w-]+)', wanted[1], re.MULTILINE)) <= names(pins(HASHED))
    blocks = re.split(r"\n(?=\w)", HASHED.read_text().strip())
    assert len(blocks) == len(pins(HASHED))
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []


@pytest.mark.parametrize("path", PIN_FILES, ids=lambda path: path.name)
def test_no_file_of_pins_names_a_host(path: Path) -> None:
    assert not re.search(r"://|--(extra-)?index-url|--find-links|--trusted-host| @ ", path.read_text())


def test_every_direct_dependency_has_its_reason_in_the_documents() -> None:
    direct = re.findall(r'^  "([\w-]+)>=', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    told = (ROOT / "docs" / "security.md").read_text()

    assert direct[:6] == ["boto3", "langchain-core", "langgraph", "langgraph-checkpoint", "ormsgpack", "zstandard"]
    assert [name for name in direct[:6] if f"| `{name}` |" not in told] == []
