"""`python -m langgraph_dynamo_conv`, and the program `langgraph-dynamo-conv`."""

from __future__ import annotations

import importlib
import sys

_EXTRA = {"jinja2", "packaging", "rich", "typer", "yaml"}
_REMEDY = "error: the command line needs the extra 'cli': pip install 'langgraph-dynamo-conv[cli]'"

_INTERRUPTED = 130
"""`Exit.INTERRUPTED`, also before that is imported."""


def main() -> int:
    """Run the command line that this process was started with; gives the exit code."""
    try:
        code = int(importlib.import_module("langgraph_dynamo_conv.cli").main())
        sys.stdout.flush()
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.stderr.write(f"{_REMEDY}\n")
        return 2
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        return int(importlib.import_module("langgraph_dynamo_conv.cli.output").closed())
    return code


if __name__ == "__main__":
    sys.exit(main())
