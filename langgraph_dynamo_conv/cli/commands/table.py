"""Commands about the table itself: setup, doctor, iam-policy, cloudformation, terraform. None changes an item."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
import yaml
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from rich.table import Table as Grid

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv._arguments import shown
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli import infrastructure
from langgraph_dynamo_conv.cli.app import Run, command
from langgraph_dynamo_conv.cli.aws import caller, table_arn
from langgraph_dynamo_conv.cli.diagnosis.checks import diagnose
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, WRONG, Finding
from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions
from langgraph_dynamo_conv.cli.options import SharedOptions
from langgraph_dynamo_conv.cli.output import Exit, Shown

_ACCOUNT = re.compile(r"[0-9]{12}")
_MARKS = {OK: ("✓", "green"), NOTE: ("!", "yellow"), WRONG: ("✗", "bold red")}
_SETTINGS = {
    "index": "the index user_id-created_at-index",
    "ttl": "time-to-live on expires_at",
    "pitr": "point-in-time recovery",
    "tags": "tags",
    "protection": "deletion protection",
}
_OPTIONS = {"protection": "protect", "tags": "tag"}
_DONE = {"index": "added", "tags": "set"}

TagOption = Annotated[list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="A tag; can be repeated.")]
TtlOption = Annotated[bool, typer.Option("--ttl/--no-ttl", help="Let DynamoDB delete what has expired.")]
PitrOption = Annotated[bool, typer.Option("--pitr/--no-pitr", help="Point-in-time recovery: restore any second.")]
ProtectOption = Annotated[bool, typer.Option("--protect/--no-protect", help="Deletion protection.")]
ExistingOption = Annotated[bool, typer.Option("--existing", help="The table is there: leave it out, and as it is.")]
ScanOption = Annotated[
    bool, typer.Option("--scan/--no-scan", help="Whether the role may read the whole table; few agents do.")
]
KeyOption = Annotated[
    str | None, typer.Option("--kms-key", metavar="ARN", help="Your own key, which encrypts the table.")
]
MaxWritesOption = Annotated[
    int | None, typer.Option("--max-write-units", help="The most write units a second, of table and index each.")
]
ProvisionedOption = Annotated[
    bool, typer.Option("--provisioned", help="Provisioned capacity of table and index, which scales.")
]
ConsumerOption = Annotated[
    bool, typer.Option("--consumer", help="A function that deletes the S3 objects of what has expired.")
]


@command(
    "setup",
    "--table conversations",
    "-t conversations --add-index",
    "-t conversations --pitr --protect --tag team=chat",
)
def setup(
    run: Run,
    ttl: Annotated[bool | None, typer.Option("--ttl/--no-ttl", help="Let DynamoDB delete what has expired.")] = None,
    pitr: Annotated[bool, typer.Option("--pitr", help="Also turn on point-in-time recovery.")] = False,
    tag: TagOption = None,
    add_index: Annotated[bool, typer.Option("--add-index", help="Add the index to a table that lacks it.")] = False,
    protect: Annotated[bool, typer.Option("--protect", help="Also turn on deletion protection.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until table and index are active.")] = True,
) -> None:
    """Create the table and its index, or check what is there.

    Can be repeated. A new table gets time-to-live; one that is there, only with --ttl. What is on already stays on.
    DynamoDB builds an added index from the rows that are there, and bills a write for each.
    """
    options = provision.SetupOptions(ttl, pitr, _tags_of(tag), wait, add_index, protect)
    done = provision.setup_table(run.table, wanted=options)
    state = f"{'created' if done.created else 'was there'}, {'active' if done.active else 'not active yet'}"
    lines = [f"{run.table_name}: {state}"]
    lines += [f"{_DONE.get(name, 'turned on')}: {_SETTINGS[name]}" for name in done.changed]
    lines += [
        f"not yet: {_SETTINGS[name]} (once the table is active: setup --{_OPTIONS.get(name, name)})"
        for name in done.pending
    ]
    run.out.result({"table": run.table_name, **asdict(done)}, *lines)


@command("doctor", "--table conversations", "-t conversations --profile agent --json")
def doctor(run: Run) -> None:
    """Say what is wrong with the table, and how to mend it.

    Checks the permissions, the clock and this environment too. Tries each of the six actions that an agent's role
    needs, without writing anything; with --s3-bucket, those on the bucket, with a few bytes that are deleted again.
    Ends with 1 if anything is wrong; what works but deserves a thought is marked with an exclamation mark.
    """

    with closing(run.client("sts")) as sts:
        # as LangGraph makes it for a saver that is given none
        serde = run.serializer(JsonPlusSerializer())
        findings = list(diagnose(run.table, lambda: caller(sts)[1], serde, bucket=run.bucket))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    for finding in findings:
        grid.add_row(*_cells(finding))
    wrong = [finding for finding in findings if finding.verdict == WRONG]
    end = f"{len(wrong)} wrong" if wrong else "nothing is wrong"
    run.out.result({"ok": not wrong, "findings": [one.to_dict() for one in findings]}, grid, end)
    if wrong:
        run.end(Exit.FOUND)


@command(
    "iam-policy",
    "--table conversations --region eu-west-1 --account 123456789012 > policy.json",
    "-t conversations --s3-bucket chat-values --s3-prefix conversations/",
    "-t conversations --no-scan --kms-key arn:aws:kms:eu-west-1:123456789012:key/1234abcd",
    "-t conversations --for setup",
)
def iam_policy(
    run: Run,
    account: Annotated[
        str | None, typer.Option(envvar="AWS_ACCOUNT_ID", help="The AWS account's number; any account if not given.")
    ] = None,
    role: Annotated[
        Literal["runtime", "setup"], typer.Option("--for", help="An agent's role, or whoever sets up.")
    ] = "runtime",
    scan: ScanOption = True,
    kms_key: KeyOption = None,
) -> None:
    """Print the minimum permissions for an agent's role.

    With --for setup, those for set-up. An IAM policy, always JSON. Sends nothing: account and region come from the
    options or the environment (AWS_ACCOUNT_ID, AWS_REGION); what is not known is * in it.
    """
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise ValueError(f"--account is the AWS account's number, 12 digits; got {shown(account)}")
    arn = table_arn(run.table_name, account, run.options.region, run.options.profile)
    if role == "setup":
        run.out.document(provision.setup_policy(arn))
    else:
        bucket = _bucket_of(run.options)
        run.out.document(provision.iam_policy(arn, scan=scan, kms_key_arn=kms_key, **bucket))


@command(
    "cloudformation",
    "--table conversations > table.yaml",
    "-t conversations --tag team=chat --max-write-units 500 --json > table.json",
    "-t conversations --existing --no-scan --s3-bucket chat-values --consumer > consumer.yaml",
)
def cloudformation(
    run: Run,
    ttl: TtlOption = True,
    pitr: PitrOption = True,
    tag: TagOption = None,
    protect: ProtectOption = True,
    existing: ExistingOption = False,
    scan: ScanOption = True,
    kms_key: KeyOption = None,
    max_write_units: MaxWritesOption = None,
    provisioned: ProvisionedOption = False,
    consumer: ConsumerOption = False,
) -> None:
    """Print a CloudFormation template of the table and a policy.

    The table, its index, and the minimum permissions for an agent's role. Sends nothing. Without --table, the name is a
    parameter that must be given.
    """
    of_table = {"ttl": ttl, "recovery": pitr, "protect": protect, "existing": existing}
    capacity = {"max_write_units": max_write_units, "provisioned": provisioned}
    options = _template_options(run, tag, scan=scan, kms_key_arn=kms_key, consumer=consumer, **of_table, **capacity)
    text = infrastructure.cloudformation(options)
    run.out.document(yaml.safe_load(text), text)


@command("terraform", "--table conversations > table.tf", "-t conversations --json > table.tf.json")
def terraform(
    run: Run,
    ttl: TtlOption = True,
    pitr: PitrOption = True,
    tag: TagOption = None,
    protect: ProtectOption = True,
    existing: ExistingOption = False,
    scan: ScanOption = True,
    kms_key: KeyOption = None,
    max_write_units: MaxWritesOption = None,
    provisioned: ProvisionedOption = False,
    consumer: ConsumerOption = False,
) -> None:
    """Print Terraform of the table and a policy.

    The table, its index, and the minimum permissions for an agent's role. Sends nothing. Without --table, the name is a
    variable that must be given.
    """
    of_table = {"ttl": ttl, "recovery": pitr, "protect": protect, "existing": existing}
    capacity = {"max_write_units": max_write_units, "provisioned": provisioned}
    options = _template_options(run, tag, scan=scan, kms_key_arn=kms_key, consumer=consumer, **of_table, **capacity)
    run.out.document(yaml.safe_load(infrastructure.terraform_json(options)), infrastructure.terraform(options))


def _template_options(run: Run, tags: list[str] | None, **wanted: Any) -> TemplateOptions:
    return TemplateOptions(run.options.table, tags=_tags_of(tags), **_bucket_of(run.options), **wanted)


def _tags_of(pairs: list[str] | None) -> dict[str, str]:
    """The tags `KEY=VALUE` of a command line. Raises `ValueError` for one without a key."""
    tags = [pair.partition("=") for pair in pairs or ()]
    wrong = [key for key, equals, _ in tags if not key or not equals]
    if wrong:
        raise ValueError(f"--tag is KEY=VALUE; got {wrong[0]!r}")
    return {key: value for key, _, value in tags}


def _bucket_of(options: SharedOptions) -> dict[str, Any]:
    """The bucket of a command line, as arguments. Raises `ValueError` for a prefix without a bucket."""
    if options.s3_bucket is None and options.s3_prefix:
        raise ValueError("--s3-prefix needs --s3-bucket")
    return {"s3_bucket": options.s3_bucket, "s3_prefix": options.s3_prefix}


def _cells(finding: Finding) -> tuple[Shown, Shown, Shown]:
    mark, style = _MARKS[finding.verdict]
    said = Shown(one_line(finding.said))
    if finding.remedy is not None:
        said.append(f"\n→ {one_line(finding.remedy)}", style)
    return Shown(mark, style), Shown(finding.check, "bold"), said
