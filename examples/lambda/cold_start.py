"""How long a new container takes: imports, making clients and graph, the first request, and a later one.

    python cold_start.py --endpoint-url http://localhost:8000    # DynamoDB Local: python3 dev.py dynamodb-local

Each run is a new process, which imports `app` as Lambda does and answers `events/chat.json`, on a table that is created
first. Processor time is given too, which other programs of the machine disturb less. `--imports` adds which packages
the imports are spent on, by `python -X importtime`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATHS = [str(HERE), str(HERE.parent)]
DUMMIES = {"AWS_ACCESS_KEY_ID": "dummy", "AWS_SECRET_ACCESS_KEY": "dummy", "AWS_DEFAULT_REGION": "us-east-1"}
PHASES = ("import and set up", "first request", "later request")
CHILD = """
import json, sys, time
clocks = lambda: (time.perf_counter(), time.process_time())
spent = lambda began: [now - then for now, then in zip(clocks(), began)]
began = clocks()
from app import handler
class context:
    aws_request_id = "cold-start"
    get_remaining_time_in_millis = staticmethod(lambda: 25000)
event = json.load(open(sys.argv[1]))
times = [spent(began)]
for _ in range(2):
    began = clocks()
    answer = handler(event, context)
    assert answer["statusCode"] == 200, answer
    times.append(spent(began))
print(json.dumps(times))
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; the result is the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint-url", required=True, help="where DynamoDB Local is")
    parser.add_argument("--table", default="cold-start", help="a table that is created if it is missing")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--imports", action="store_true", help="also say which packages the imports are spent on")
    args = parser.parse_args(argv)
    environment = {
        **os.environ,
        **DUMMIES,
        "AWS_ENDPOINT_URL_DYNAMODB": args.endpoint_url,
        "DYNAMODB_TABLE_NAME": args.table,
        "LANGGRAPH_STRICT_MSGPACK": "true",
        "PYTHONPATH": os.pathsep.join(PATHS),
    }
    set_up = f"from langgraph_dynamo_conv import DynamoDBConversationSaver as S; S({args.table!r}).setup()"
    subprocess.run([sys.executable, "-c", set_up], env=environment, check=True)
    runs = [json.loads(child(environment).stdout) for _ in range(args.runs)]
    print(f"{f'medians of {args.runs}':<18}    passed  processor")
    for phase, times in zip(PHASES, zip(*runs, strict=True), strict=True):
        passed, processor = (statistics.median(each) * 1000 for each in zip(*times, strict=True))
        print(f"{phase:<18} {passed:6.0f} ms  {processor:6.0f} ms")
    if args.imports:
        print_imports(child(environment, "-X", "importtime").stderr)
    return 0


def child(environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """A new process that answers two requests."""
    command = [sys.executable, *options, "-c", CHILD, str(HERE / "events" / "chat.json")]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True)


def print_imports(report: str) -> None:
    """The packages whose own modules took longest, from the report of `-X importtime`."""
    spent: Counter[str] = Counter()
    for line in report.splitlines():
        head, _, name = line.rpartition("|")
        microseconds = head.removeprefix("import time:").partition("|")[0].strip()
        if microseconds.isdigit():
            spent[name.strip().partition(".")[0]] += int(microseconds)
    total = spent.total()
    print(f"imports, measured one by one: {total / 1000:.0f} ms")
    for package, own in spent.most_common(10):
        print(f"  {package:<24} {own / 1000:6.0f} ms {own / total:4.0%}")


if __name__ == "__main__":
    sys.exit(main())
