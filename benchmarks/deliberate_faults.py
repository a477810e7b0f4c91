"""How many of twenty faults the tests find: `python benchmarks/deliberate_faults.py`, twenty minutes on two cores.

Each is a slip that a person could make, put into a copy of the package; then the tests run on the copy until one
fails. Those that the default run does not find are given to `--all`, which is what CI runs too. The names of faults as
arguments choose among them. It needs what `python3 dev.py test` installs, and DynamoDB Local.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "langgraph_dynamo_conv"
COPIED = (PACKAGE, "tests", "benchmarks", "docs", "examples", "website")
SIDE_BY_SIDE = 2

NEAR_FIRST = ("unit", "store", "migration", "faults", "integration", "conformance", "cli", "costs", "examples")
"""Folders of tests in the order in which they run: the sooner one fails, the better."""

NOT_OF_THE_CODE = ("--ignore=tests/contract", "--ignore=tests/test_benchmarks.py")
"""The in-memory engine, and the harness of the benchmarks."""


class Fault(NamedTuple):
    """A slip.

    Args:
        name: What went wrong.
        file: Where, in the package.
        right: What stands there.
        wrong: What the slip made of it.
    """

    name: str
    file: str
    right: str
    wrong: str


FAULTS = (
    Fault(
        "a changed order of keys is not stored",
        "_format/changes.py",
        "if replayed == list(new) else",
        "if set(replayed) == set(new) else",
    ),
    Fault(
        "an element that moved is referred to twice",
        "_format/changes.py",
        "left.popleft(), 1])",
        "left[0], 1])",
    ),
    Fault(
        "the bound of a prefix is too low",
        "_format/keys.py",
        '_HIGHEST = "\\x7f"',
        '_HIGHEST = "f"',
    ),
    Fault(
        "a checksum ignores the place",
        "_format/frames.py",
        "zlib.crc32(context.encode(), codec)",
        "codec",
    ),
    Fault(
        "plain data pass for encrypted ones",
        "_format/frames.py",
        "        if not self.accepts_plaintext:",
        "        if not self.accepts_plaintext and self.encryptor is None:",
    ),
    Fault(
        "a chain grows until it is too long and too large",
        "_state/planning.py",
        "not is_looked_at(chain_items) and chain_bytes < CHAIN_BYTES",
        "not is_looked_at(chain_items) or chain_bytes < CHAIN_BYTES",
    ),
    Fault(
        "a fork is stored as a change",
        "_state/planning.py",
        "    if not linear:",
        "    if not linear and not parent.lineage:",
    ),
    Fault(
        "a conversation is over a moment too late",
        "_state/expiry.py",
        "at is not None and at <= self.clock()",
        "at is not None and at < self.clock()",
    ),
    Fault(
        "the third page is not followed",
        "_storage/table.py",
        'if "LastEvaluatedKey" not in answer:',
        'if "LastEvaluatedKey" not in answer or "ExclusiveStartKey" in params:',
    ),
    Fault(
        "an item is read without consistency",
        "_storage/table.py",
        '{"Key": key_attributes(key), "ConsistentRead": self._consistent}',
        '{"Key": key_attributes(key)}',
    ),
    Fault(
        "a failed server counts as a wrong request",
        "_storage/failures.py",
        "_SERVER_ERROR = 500",
        "_SERVER_ERROR = 501",
    ),
    Fault(
        "a task that is repeated replaces its writes",
        "_checkpoints/writes.py",
        'if name[0] == "w" else',
        'if name[0] == "x" else',
    ),
    Fault(
        "many writes are stored without a condition",
        "_checkpoints/writes.py",
        "            **condition,\n",
        "",
    ),
    Fault(
        "a segment that a run is about to refer to is swept",
        "_history/removal.py",
        "        oldest = self._clock() - GRACE_SECONDS",
        "        oldest = self._clock() + GRACE_SECONDS",
    ),
    Fault(
        "the row is deleted before the rest",
        "_history/removal.py",
        "in (*leaves_first(checkpoints), others):",
        "in (map(key_of, rows), *leaves_first(checkpoints), others):",
    ),
    Fault(
        "`before` is among what comes before it",
        "_history/listing.py",
        "checkpoint_id < self.before",
        "checkpoint_id <= self.before",
    ),
    Fault(
        "a row is written over another program's messages",
        "_rows/row.py",
        'for name in ("version", "message_count", "updated_at", "title"):',
        'for name in ("version", "title"):',
    ),
    Fault(
        "a repaired call stays an error",
        "_transcript/folding.py",
        'elif call.get("status") == "error":',
        "elif False:",
    ),
    Fault(
        "a config's owner counts more than its user",
        "_calls/config.py",
        "(authenticated, claimed, owner)",
        "(owner, authenticated, claimed)",
    ),
    Fault(
        "the next page begins one conversation too late",
        "conversations/_listing.py",
        "_cursor(query, entries[-2])",
        "_cursor(query, entries[-1])",
    ),
)


class Found(NamedTuple):
    """What found a fault.

    Args:
        run: "default", "all", or "no" run at all.
        test: The test that failed.
        seconds: How long it took, in both runs.
    """

    run: str
    test: str
    seconds: float


@contextmanager
def copy_with(fault: Fault) -> Iterator[Path]:
    """A copy of the project with this fault."""
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines():
            if file.split("/")[0] in COPIED or "/" not in file:
                (copy / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, copy / file)
        path = copy / PACKAGE / fault.file
        path.write_text(with_fault(path.read_text(encoding="utf-8"), fault), encoding="utf-8")
        yield copy


def with_fault(text: str, fault: Fault) -> str:
    """The source with the fault in it. Raises `ValueError` where the place is not there, or not the only one."""
    if text.count(fault.right) != 1:
        raise ValueError(f"{fault.file} has {text.count(fault.right)} times what {fault.name!r} replaces")
    return text.replace(fault.right, fault.wrong)


def first_failure(copy: Path, options: Sequence[str]) -> str:
    """The first test that fails in the copy, or ""."""
    tests = [*(f"tests/{name}" for name in NEAR_FIRST), *sorted(map(str, copy.glob("tests/test_*.py")))]
    pytest = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    variables = {**os.environ, "PYTHONPATH": str(copy), **dynamodb_local()}
    run = subprocess.run(
        [*pytest, *NOT_OF_THE_CODE, *options, *tests], cwd=copy, env=variables, capture_output=True, text=True
    )
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", run.stdout, re.MULTILINE)
    if run.returncode and not failed:
        raise RuntimeError(run.stdout[-2000:] + run.stderr[-2000:])
    return failed[1] if failed else ""


def dynamodb_local() -> dict[str, str]:
    """Where `dev.py` has put DynamoDB Local, unless the environment says it."""
    home = os.environ.get("DYNAMODB_LOCAL_HOME", str(ROOT / ".cache" / "dynamodb-local"))
    return {"DYNAMODB_LOCAL_HOME": home, "DYNAMODB_LOCAL_JAVA": os.environ.get("DYNAMODB_LOCAL_JAVA", "java")}


def found(fault: Fault) -> Found:
    """Which run finds the fault."""
    began = time.monotonic()
    with copy_with(fault) as copy:
        for run, options in (("default", ()), ("all", ("--all",))):
            test = first_failure(copy, options)
            if test:
                return Found(run, test, time.monotonic() - began)
    return Found("no", "", time.monotonic() - began)


def main() -> None:
    chosen = [fault for fault in FAULTS if not sys.argv[1:] or fault.name in sys.argv[1:]]
    print("| fault | in | found by the run | first failure | s |\n|---|---|---|---|---|", flush=True)
    results = []
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for fault, result in zip(chosen, pool.map(found, chosen), strict=True):
            cells = (fault.name, f"`{fault.file}`", result.run, f"`{result.test}`", f"{result.seconds:.0f}")
            print(f"| {' | '.join(cells)} |", flush=True)
            results.append(result.run)
    print(f"\n{results.count('default')} of {len(chosen)} by the default run, {results.count('all')} more by --all")


if __name__ == "__main__":
    main()
