"""`python -m langgraph_dynamo_conv`, and the program `langgraph-dynamo-conv`."""

from __future__ import annotations

import sys

_EXTRA = {"jinja2", "packaging", "rich", "typer", "yaml"}
_REMEDY = "error: the command line needs the extra 'cli': pip install 'langgraph-dynamo-conv[cli]'"

try:
    from langgraph_dynamo_conv import cli as _cli
except ModuleNotFoundError as error:
    if error.name not in _EXTRA:
        raise
    _cli = None  # type: ignore[assignment]


def main() -> int:
    """Run the command line that this process was started with; gives the exit code."""
    if _cli is None:
        sys.stderr.write(f"{_REMEDY}\n")
        return 2
    return _cli.main()


if __name__ == "__main__":
    sys.exit(main())
