"""What importing the package brings with it: a Lambda function pays for it at every cold start."""

from __future__ import annotations

import subprocess
import sys

import pytest

GIVEN = "import langgraph.checkpoint.base, boto3"
"""What no saver on DynamoDB can do without."""

OWN = {"langgraph_dynamo_conv", "zstandard"}

HEAVY = (
    "Crypto",
    "cryptography",
    "flask",
    "langchain",
    "langgraph.graph",
    "langgraph.pregel",
    "langgraph.prebuilt",
    "moto",
    "numpy",
    "rich",
    "tiktoken",
    "unittest",
)


def modules_after(code: str) -> set[str]:
    """Names of all modules that a new process has after running the code."""
    shown = "import sys; print(*sys.modules, sep='\\n')"
    ran = subprocess.run([sys.executable, "-c", f"{code}\n{shown}"], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.fixture(scope="module")
def imported() -> set[str]:
    return modules_after("import langgraph_dynamo_conv")


def test_importing_the_package_brings_nothing_beyond_langgraph_checkpoint_and_boto3_but_zstandard(
    imported: set[str],
) -> None:
    more = {name for name in imported - modules_after(GIVEN) if name.partition(".")[0] not in OWN}

    assert {name for name in more if name.partition(".")[0] not in sys.stdlib_module_names} == set()
    assert len(more) <= 5


@pytest.mark.parametrize("module", HEAVY)
def test_a_heavy_module_is_not_imported(module: str, imported: set[str]) -> None:
    assert module not in imported
