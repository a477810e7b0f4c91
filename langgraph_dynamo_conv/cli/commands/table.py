"""Commands about the table itself: setup, doctor, iam-policy, cloudformation, terraform."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import typer
import yaml
from rich.table import Table as Grid
from rich.text import Text

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv.cli import infrastructure
from langgraph_dynamo_conv.cli.app import Place, Run, command
from langgraph_dynamo_conv.cli.aws import caller, table_arn
from langgraph_dynamo_conv.cli.doctor import NOTE, OK, WRONG, Finding, diagnose
from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions
from langgraph_dynamo_conv.cli.output import Exit, one_line

_MARKS = {OK: ("✓", "green"), NOTE: ("!", "yellow"), WRONG: ("✗", "bold red")}
_WORDS = {"ttl": "time-to-live on expires_at", "pitr": "point-in-time recovery", "tags": "tags"}

TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; can be repeated.")]
TtlOption = Annotated[bool, typer.Option("--ttl/--no-ttl", help="Let DynamoDB delete what has expired.")]
PitrOption = Annotated[bool, typer.Option("--pitr/--no-pitr", help="Point-in-time recovery: restore any second.")]


class Role(str, Enum):
    """Whom a policy is for."""

    RUNTIME = "runtime"
    SETUP = "setup"


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    command(app, "setup", examples=["--table conversations", "-t conversations --pitr --tag team=chat"])(setup)
    command(app, "doctor", examples=["--table conversations", "-t conversations --profile agent --json"])(doctor)
    command(
        app,
        "iam-policy",
        examples=[
            "--table conversations --region eu-west-1 --account 123456789012 > policy.json",
            "-t conversations --s3-bucket chat-values --s3-prefix conversations/",
            "-t conversations --for setup",
        ],
    )(iam_policy)
    command(
        app,
        "cloudformation",
        examples=["--table conversations > table.yaml", "-t conversations --tag team=chat --json > table.json"],
    )(cloudformation)
    command(app, "terraform", examples=["--table conversations > table.tf", "-t conversations --json > table.tf.json"])(
        terraform
    )


def setup(
    run: Run,
    ttl: TtlOption = True,
    pitr: Annotated[bool, typer.Option("--pitr", help="Also turn on point-in-time recovery.")] = False,
    tag: TagOption = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until table and index are active.")] = True,
) -> None:
    """Create the table and its index, or check those that are there. Can be repeated.

    What is on already stays on: --no-ttl and a missing --pitr turn nothing off.
    """
    wanted = provision.SetupOptions(ttl=ttl, recovery=pitr, tags=tags_of(tag), wait=wait)
    done = provision.setup_table(run.table, wanted=wanted)
    said = f"{run.table_name}: {'created' if done.created else 'was there'}, "
    said += "active" if done.active else "not active yet"
    lines = [said, *(f"turned on: {_WORDS[name]}" for name in done.changed if name != "tags")]
    lines += ["set: tags"] if "tags" in done.changed else []
    lines += [f"not yet: {_WORDS[name]} (run setup again once the table is active)" for name in done.pending]
    run.out.result({"table": run.table_name, **vars(done)}, *lines)


def doctor(run: Run) -> None:
    """Check the table, the permissions, the clock and the versions; say how to mend what is wrong.

    Tries each of the six actions that an agent's role needs, without writing anything. Ends with 1 if anything is
    wrong; what works but deserves a thought is marked with an exclamation mark.
    """

    def identity() -> str:
        sts = run.client("sts")
        try:
            return caller(sts)[1]
        finally:
            sts.close()

    findings = []
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for finding in diagnose(run.table, identity):
        findings.append(finding)
        grid.add_row(*_cells(finding))
    wrong = [finding for finding in findings if finding.verdict == WRONG]
    end = f"{len(wrong)} wrong" if wrong else "nothing is wrong"
    run.out.result({"ok": not wrong, "findings": [one.to_dict() for one in findings]}, grid, end)
    if wrong:
        run.end(Exit.FOUND)


def iam_policy(
    run: Run,
    account: Annotated[str | None, typer.Option(help="The AWS account's number; asked of STS if not given.")] = None,
    role: Annotated[Role, typer.Option("--for", help="An agent's role, or whoever sets up.")] = Role.RUNTIME,
) -> None:
    """Print the least that a role needs, as an IAM policy (always JSON)."""
    sts = run.client("sts")
    try:
        arn = table_arn(sts, account or caller(sts)[0], run.table_name)
    finally:
        sts.close()
    if role is Role.SETUP:
        run.out.document(provision.setup_policy(arn))
    else:
        run.out.document(provision.iam_policy(arn, **bucket_of(run.place)))


def cloudformation(
    run: Run,
    ttl: TtlOption = True,
    pitr: PitrOption = True,
    tag: TagOption = None,
) -> None:
    """Print a CloudFormation template: the table, its index, and a policy for the agent's role. Sends nothing."""
    text = infrastructure.cloudformation(template_options(run, ttl, pitr, tag))
    run.out.document(yaml.safe_load(text), text)


def terraform(
    run: Run,
    ttl: TtlOption = True,
    pitr: PitrOption = True,
    tag: TagOption = None,
) -> None:
    """Print Terraform: the table, its index, and a policy for the agent's role. Sends nothing."""
    options = template_options(run, ttl, pitr, tag)
    run.out.document(yaml.safe_load(infrastructure.terraform_json(options)), infrastructure.terraform(options))


def tags_of(given: list[str] | None) -> dict[str, str]:
    """The tags `KEY=VALUE` of a command line. Raises `ValueError` for one without a key."""
    pairs = [one.partition("=") for one in given or ()]
    wrong = [key for key, equals, _ in pairs if not key or not equals]
    if wrong:
        raise ValueError(f"--tag is KEY=VALUE; got {wrong[0]!r}")
    return {key: value for key, _, value in pairs}


def bucket_of(place: Place) -> dict[str, Any]:
    """The bucket of a command line, as arguments. Raises `ValueError` for a prefix without a bucket."""
    if place.s3_bucket is None and place.s3_prefix:
        raise ValueError("--s3-prefix needs --s3-bucket")
    return {"s3_bucket": place.s3_bucket, "s3_prefix": place.s3_prefix}


def template_options(run: Run, ttl: bool, recovery: bool, tags: list[str] | None) -> TemplateOptions:
    """What a template is made for, as a command line says it."""
    return TemplateOptions(run.table_name, ttl, recovery, tags_of(tags), **bucket_of(run.place))


def _cells(finding: Finding) -> tuple[Text, Text, Text]:
    mark, style = _MARKS[finding.verdict]
    said = Text(one_line(finding.said))
    if finding.remedy is not None:
        said.append(f"\n→ {one_line(finding.remedy)}", style)
    return Text(mark, style), Text(finding.check, "bold"), said
