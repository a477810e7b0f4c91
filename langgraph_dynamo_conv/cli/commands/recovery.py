"""Commands for what was lost and who has changed: restore-conversation, restore-objects, rekey-user."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from typing import Annotated, Any, Literal

import typer

from langgraph_dynamo_conv._arguments import check_name
from langgraph_dynamo_conv._calls.runtime import Options, Runtime, Shared
from langgraph_dynamo_conv._format.keys import Scope, check_user_id
from langgraph_dynamo_conv._format.tree import content_digest
from langgraph_dynamo_conv._history.rekeying import Rekeying
from langgraph_dynamo_conv._history.restoring import Objects, Restoring, objects_of, pointers_of
from langgraph_dynamo_conv._rows.row import RUNNING, iso, times_of
from langgraph_dynamo_conv._state.expiry import Expiry
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, YesOption, command
from langgraph_dynamo_conv.cli.output import Exit, counted
from langgraph_dynamo_conv.cli.output import moment as moment_of
from langgraph_dynamo_conv.conversations import Conversations, Damage
from langgraph_dynamo_conv.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    BucketRequiredError,
    ConflictError,
    ConversationNotFoundError,
    CorruptDataError,
    CredentialsError,
    DynamoConvError,
    RunNotEndedError,
    TableNotFoundError,
)

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, change nothing.")]

_DAMAGED = (
    "{source} has this conversation damaged, so that of {table} stays as it is: {first.key}: {first.problem}. "
    "Restore to an earlier moment"
)

_OF_ALL = (AccessDeniedError, BucketNotFoundError, BucketRequiredError, CredentialsError, TableNotFoundError)
"""What stops one conversation stops all of them."""

Outcome = Literal["moved", "checked", "over", "failed"]


@dataclass(frozen=True)
class Rekeyed:
    """What became of one conversation.

    Args:
        conversation_id: Its id.
        outcome: "moved"; "checked", in a dry run; "over", if its time to live has passed; or "failed".
        items: Items that the old user had of it.
        reason: Why it failed, or None.
    """

    conversation_id: str
    outcome: Outcome
    items: int = 0
    reason: str | None = None


@command(
    "restore-conversation",
    "CONVERSATION --from-table conversations-restored --dry-run",
    "CONVERSATION --from-table conversations-restored --user alice --s3-bucket chat-values --replace",
)
def restore_conversation(
    run: Run,
    conversation: ConversationArgument,
    from_table: Annotated[str, typer.Option(help="The table that has it, such as one restored from a backup.")],
    user: UserOption = None,
    replace: Annotated[bool, typer.Option("--replace", help="Remove what --table has of it first.")] = False,
    ttl_days: Annotated[
        int | None, typer.Option(min=1, max=36_500, help="Let it live so many days from now, also if it had expired.")
    ] = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Bring one conversation back from another table.

    Verifies it there, copies all of its items, and lets its objects in S3 that were deleted be current again, if the
    bucket keeps versions. Then verifies the copy. Without --replace it is refused where --table has any of it; with it,
    it asks first, and a damaged one replaces nothing. After a failure, repeat it with --replace.

    Ends with 1 if anything is damaged.
    """
    if check_name("from_table", from_table) == run.table_name:
        raise ValueError("--from-table is the same table as --table")
    with closing(_source(run, from_table, time.time)) as source:
        scope = source._runtime.directory.scope_of(conversation, user)
        moment = _last_moment(source._runtime, scope, ttl_days)
    with closing(_source(run, from_table, lambda: moment)) as source:
        times = None if ttl_days is None else Expiry(timedelta(days=ttl_days)).fresh()
        places = source._runtime.table, run.table, run.runtime.blobs, run.runtime.removal
        restoring = Restoring(*places, source._runtime.expiry, times)
        is_there = restoring.is_there(scope)
        if is_there and not replace:
            raise ValueError(f"{run.table_name} has {scope.thread_id} of {scope.user_id}: --replace removes that first")
        damage = source.verify(scope.thread_id, scope.user_id).damage
        if is_there and damage:
            raise CorruptDataError(_DAMAGED.format(source=from_table, table=run.table_name, first=damage[0]))
        if is_there and not dry_run:
            run.confirm(f"Replace {scope.thread_id} of {scope.user_id} in {run.table_name}?", yes=yes)
        items, objects = restoring.look(scope) if dry_run else restoring.restore(scope)
    if not dry_run:
        run.runtime.removal.forget(scope.thread_id, scope.user_id)
        run.runtime.forget(scope.thread_id, scope.user_id)
        damage = run.conversations.verify(scope.thread_id, scope.user_id).damage
    _print_restored(run, scope, items, objects, damage, dry_run=dry_run)
    if damage:
        run.end(Exit.FOUND)


@command("restore-objects", "-t conversations-restored --s3-bucket chat-values --s3-prefix chats")
def restore_objects(run: Run, dry_run: DryRunOption = False) -> None:
    """Bring back the objects in S3 that a restored table needs.

    Reads the whole table. Where an object was deleted that an item of the table points to, and the bucket keeps its
    versions, the newest becomes current again. Can be repeated.

    Ends with 1 if an object is missing: then its bucket has no version of it.
    """
    if run.options.s3_bucket is None:
        raise ValueError("which bucket? give --s3-bucket, and --s3-prefix, as the savers have them")
    objects: Objects = Counter()
    for pointers in pointers_of(run.table):
        objects += objects_of(run.table, run.runtime.blobs, pointers, bring_back=not dry_run)
    run.out.result(_of_objects(objects), _objects_said(objects, dry_run=dry_run))
    if objects["missing"]:
        run.end(Exit.FOUND)


@command("rekey-user", "OLD NEW --dry-run", "OLD NEW --yes --json")
def rekey_user(
    run: Run,
    old: Annotated[str, typer.Argument(metavar="OLD", help="The user id that the conversations have.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The user id that they get.")],
    force: Annotated[bool, typer.Option("--force", help="Also those whose status is running.")] = False,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
) -> None:
    """Give all conversations of a person another user id.

    As when `sub` changes with a Cognito user pool. Stop the person's runs first. Ids, times, order and checkpoints
    stay. Each conversation is copied, both are compared, and the old one is removed only if it has not changed
    meanwhile. Run it with --dry-run first; run it again after a failure, until OLD has none. Asks first. A conversation
    that fails is told at once, and the others go on. With --json, each is a line.

    Ends with 1 if a conversation could not be moved, and tells why; with 3 if OLD has none.
    """
    old, new = check_user_id(old), check_user_id(new)
    if old == new:
        raise ValueError("OLD and NEW are the same user id")
    scopes = list(run.runtime.directory.of_user(old))
    if not scopes:
        what = f"{old} has no conversation: check the id, which is compared exactly, and --table"
        raise ConversationNotFoundError(what, table=run.table_name)
    if not dry_run:
        run.confirm(f"Give {counted(len(scopes), 'conversation')} of {old} to {new}?", yes=yes)
    total: Counter[str] = Counter()
    try:
        for scope in scopes:
            one = _settled(run, scope, Scope(scope.thread_id, new), force=force, dry_run=dry_run)
            total[one.outcome] += 1
            run.out.record(asdict(one), *_failure(one))
    finally:
        if not run.out.as_json:
            names = ("checked" if dry_run else "moved", "over", "failed")
            run.out.result({}, "conversations: " + ", ".join(f"{total[name]} {name}" for name in names))
    if total["failed"]:
        run.end(Exit.FOUND)


def _source(run: Run, name: str, clock: Callable[[], float]) -> Conversations:
    """Another table's conversations, as they were at a moment; of the bucket, deleted objects are read too."""
    bucket = None if run.bucket is None else run.bucket.with_deleted()
    shared = Shared(Table(name, client=run.table.client), Options(clock=clock), bucket)
    return Conversations._over(Runtime(shared, run.runtime.serde))


def _last_moment(source: Runtime, scope: Scope, ttl_days: int | None) -> float:
    """Now, or for a conversation that has expired when it last had not."""
    row = source.table.get(scope.row())
    if row is None:
        raise source.directory.not_found(scope)
    over = min((one for one in times_of(row) if one is not None and source.expiry.is_past(one)), default=None)
    if over is not None and ttl_days is None:
        what = f"this conversation expired on {moment_of(iso(over))} UTC: --ttl-days N lets it live N days from now"
        raise ConversationNotFoundError(what, table=source.table.name, key=str(scope.row()))
    return time.time() if over is None else over - 1.0


def _print_restored(
    run: Run, scope: Scope, items: int, objects: Objects, damage: Sequence[Damage], *, dry_run: bool
) -> None:
    data: dict[str, Any] = {"conversation_id": scope.thread_id, "user_id": scope.user_id, "items": items}
    data |= {**_of_objects(objects), "damage": list(map(asdict, damage))}
    lines = [f"{'to restore' if dry_run else 'restored'}: {counted(items, 'item')}"]
    lines += [_objects_said(objects, dry_run=dry_run)] if objects else []
    lines += [f"✗ {one_line(one.key)}: {one_line(one.problem)}" for one in damage]
    run.out.result(data, *lines)


def _of_objects(objects: Objects) -> dict[str, dict[str, int]]:
    return {"objects": {name: objects[name] for name in ("there", "deleted", "missing")}}


def _objects_said(objects: Objects, *, dry_run: bool) -> str:
    deleted = "to bring back" if dry_run else "brought back"
    return f"objects: {objects['there']} there, {objects['deleted']} {deleted}, {objects['missing']} missing"


def _settled(run: Run, old: Scope, new: Scope, *, force: bool, dry_run: bool) -> Rekeyed:
    try:
        return _rekeyed(run, old, new, force=force, dry_run=dry_run)
    except _OF_ALL:
        raise
    except DynamoConvError as error:
        return Rekeyed(old.thread_id, "failed", reason=str(error))


def _failure(one: Rekeyed) -> list[str]:
    return [] if one.reason is None else [f"✗ {one.conversation_id}: {one_line(one.reason)}"]


def _rekeyed(run: Run, old: Scope, new: Scope, *, force: bool, dry_run: bool) -> Rekeyed:
    runtime = run.runtime
    of_checkpoints = runtime.checkpoints, runtime.blobs, runtime.writes, runtime.removal
    rekeying = Rekeying(runtime.table, runtime.serializer, *of_checkpoints, runtime.expiry)
    if not rekeying.is_settled(old, new):
        row = runtime.rows.get(old)
        if row is None:
            return Rekeyed(old.thread_id, "over")
        if row.status == RUNNING and not force:
            raise RunNotEndedError("its status is running: wait, or give --force if that run was cut off")
        report = run.conversations.verify(old.thread_id, old.user_id)
        if report.damage:
            raise CorruptDataError(f"it is damaged; `verify` lists what: {report.damage[0].problem}")
        if dry_run:
            return Rekeyed(old.thread_id, "checked", report.items)
        digest = rekeying.copy(old, new)
        _compare(run, old, new)
        rekeying.settle(old, new, digest)
    elif dry_run:
        return Rekeyed(old.thread_id, "checked")
    return Rekeyed(old.thread_id, "moved", rekeying.remove(old, new))


def _compare(run: Run, old: Scope, new: Scope) -> None:
    """Read both conversations. Raises `ConflictError` if they are not the same."""
    reports = [run.conversations.verify(one.thread_id, one.user_id) for one in (old, new)]
    are_whole = reports[1].ok and len({(one.checkpoints, one.messages) for one in reports}) == 1
    is_said = replace(run.read(old), user_id=new.user_id) == run.read(new)
    if not are_whole or not is_said or _newest_state(run, old) != _newest_state(run, new):
        raise ConflictError("the copy is not the same. Nothing of the old user's is removed: repeat it")


def _newest_state(run: Run, scope: Scope) -> bytes:
    """A digest of the state that an agent would continue with; without the metadata, which name the user."""
    loaded = run.runtime.checkpoints.load(scope.namespace())
    return b"" if loaded is None else content_digest({**loaded.stored.tree, "metadata": {}})
