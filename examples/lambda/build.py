"""Put everything that the function needs into `.build/`, which the template deploys. Needs pip, and no Docker.

    python build.py                         # for the template's runtime: Python 3.13 on arm64
    python build.py --platform x86_64

Only wheels are taken, at the versions that the repository's `constraints.txt` pins. Run it with the runtime's own
version of Python: then it compiles all modules too, which otherwise every container does anew, as it can't keep them.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BUILD = HERE / ".build"
OWN = ("app", "chat_api", "chat_service", "table_errors", "time_left", "turn_counts", "turn_lease")
SHARED = (
    *("answer_sizes", "answers", "assistant", "chat_pages", "chat_requests", "failure_facts"),
    *("forks", "library", "notes", "offline_model", "phrases", "plan_runs", "problems", "run_bounds", "turn_plans"),
)
REQUIREMENTS = ("aws-lambda-powertools", "langchain", "langchain-aws")
MOST_BYTES = 250 * 1024 * 1024
"""A function's code, unpacked. AWS Lambda Developer Guide, "Lambda quotas"."""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--platform", choices=("aarch64", "x86_64"), default="aarch64")
    parser.add_argument("--python", default="3.13", help="the runtime's version (default: %(default)s)")
    args = parser.parse_args(argv)
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir()
    install(args.platform, args.python)
    for name in OWN:
        shutil.copy(HERE / f"{name}.py", BUILD)
    for name in SHARED:
        shutil.copy(HERE.parent / f"{name}.py", BUILD)
    for name in ("docs", "examples"):  # something to ask the assistant about
        shutil.copytree(REPOSITORY / name, BUILD / "files" / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    if sys.version_info[:2] == tuple(map(int, args.python.split("."))):
        # By content: a file's time changes on its way through an archive.
        mode = ["--invalidation-mode", "unchecked-hash"]
        subprocess.run([sys.executable, "-m", "compileall", "-q", "-j", "0", *mode, BUILD], check=True)
    else:
        print(f"not compiled: this is not Python {args.python}; every cold start will do it")
    size = sum(path.stat().st_size for path in BUILD.rglob("*") if path.is_file())
    print(f"{BUILD.name}/ has {size / 1024**2:.0f} MB of the {MOST_BYTES / 1024**2:.0f} MB that Lambda admits")
    return 0 if size <= MOST_BYTES else 1


def install(platform: str, python: str) -> None:
    """The package of this repository, and what it and the handler need, for Lambda's machine."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    wheels = BUILD.with_name(".build-wheels")
    shutil.rmtree(wheels, ignore_errors=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, REPOSITORY], check=True)
    target: list[str | Path] = [
        "--target",
        BUILD,
        "--platform",
        f"manylinux2014_{platform}",
        "--platform",
        f"manylinux_2_28_{platform}",
    ]
    which: list[str | Path] = [
        "--only-binary=:all:",
        "--python-version",
        python,
        "--constraint",
        REPOSITORY / "constraints.txt",
    ]
    subprocess.run([*pip, "install", "--no-compile", *target, *which, *wheels.glob("*.whl"), *REQUIREMENTS], check=True)
    shutil.rmtree(wheels)


if __name__ == "__main__":
    sys.exit(main())
