"""Commands about checkpoints: history, state, prune, verify. Nothing that the stored state names is imported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Annotated, Any

import typer
from langgraph.checkpoint.base import CheckpointTuple
from pydantic import BaseModel
from rich.table import Table

from langgraph_dynamo_conv._calls.config import config_for
from langgraph_dynamo_conv._format.items import is_revision, key_of
from langgraph_dynamo_conv._format.keys import Scope, check_checkpoint_id, check_user_id, component, parse_sk
from langgraph_dynamo_conv._visible import one_line
from langgraph_dynamo_conv.cli.app import ConversationArgument, Run, UserOption, YesOption, command
from langgraph_dynamo_conv.cli.output import Exit, Shown, counted, moment, shortened, table_of, to_json
from langgraph_dynamo_conv.cli.statistics import item_bytes
from langgraph_dynamo_conv.cli.views.tree import Node, drawn
from langgraph_dynamo_conv.errors import ConversationNotFoundError

_PREVIEW_CHARACTERS = 101

_HISTORY_WIDTH = 100
"""Columns of a terminal from which on a history shows all that it has."""

_YEAR_CHARACTERS = 5

_HISTORY_COLUMNS = ("checkpoint", ">step", "source", "created", ">bytes", ">writes")

NsOption = Annotated[str, typer.Option("--ns", help="The namespace of a subgraph; the root graph's if not given.")]


@command("history", "CONVERSATION --user alice", "CONVERSATION --limit 20 --json")
def history(
    run: Run,
    conversation: ConversationArgument,
    user: UserOption = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the newest so many.")] = None,
) -> None:
    """Show a conversation's checkpoints, with forks as a tree.

    The newest come first. The sizes are those of the items: a checkpoint's holds what changed, or what was stored
    whole. LangGraph goes on from any of them: pass its id as checkpoint_id.
    """
    scope = run.scope(conversation, user)
    nodes = _nodes(run, scope, limit)
    if not nodes:
        run.out.note("no checkpoints: no graph has run in this conversation")
    trees: list[Any] = []
    for ns in sorted({node.ns for node in nodes}):
        trees += [Shown(f"subgraph {one_line(ns)}", "bold")] if ns else []
        rows = [_row(graph, node) for graph, node in drawn(node for node in nodes if node.ns == ns)]
        trees.append(_tree(rows, run.out.console.width))
    data = {"conversation_id": scope.thread_id, "user_id": scope.user_id, "checkpoints": list(map(asdict, nodes))}
    run.out.result(data, *trees)


@command("state", "CONVERSATION", "CONVERSATION --checkpoint 1f0c… --channel messages", "CONVERSATION --json")
def state(
    run: Run,
    conversation: ConversationArgument,
    user: UserOption = None,
    checkpoint: Annotated[str | None, typer.Option(help="An older checkpoint, by its id; see history.")] = None,
    ns: NsOption = "",
    channel: Annotated[str | None, typer.Option(help="Only this channel, whole.")] = None,
) -> None:
    """Show the state that an agent would continue with.

    Its channels, and what is pending. Objects of your own types are shown as their fields: nothing that the data name
    is imported.
    """
    if checkpoint is not None:
        check_checkpoint_id(checkpoint)
    saved = run.saver.get_tuple(config_for(run.scope(conversation, user), ns, checkpoint))
    if saved is None:
        raise ConversationNotFoundError("there is no such checkpoint: `history` lists those there are")
    values: dict[str, Any] = {name: jsonable(one) for name, one in saved.checkpoint["channel_values"].items()}
    if channel is not None:
        if channel not in values:
            raise ValueError(f"the state has no channel {channel!r}; it has {', '.join(sorted(values)) or 'none'}")
        run.out.result(values[channel], Shown(to_json(values[channel])))
        return
    pending = [
        {"task_id": task_id, "channel": name, "value": jsonable(value)}
        for task_id, name, value in saved.pending_writes or ()
    ]
    facts = _facts(saved)
    line = " · ".join(f"{name} {one_line(str(one))}" for name, one in facts.items() if one is not None)
    rows = [[name, _preview(one)] for name, one in values.items()]
    rows += [[f"{one['channel']} (pending)", _preview(one["value"])] for one in pending]
    table = table_of(["channel", "value"], rows, whole=("channel",))
    run.out.result({**facts, "values": values, "pending_writes": pending}, Shown(line, "dim"), table)


@command("prune", "CONVERSATION --user alice", "--user alice --all --yes")
def prune(
    run: Run,
    conversations: Annotated[
        list[str] | None, typer.Argument(metavar="[CONVERSATION]...", help="The conversations.")
    ] = None,
    user: UserOption = None,
    every: Annotated[bool, typer.Option("--all", help="All conversations of --user.")] = False,
    yes: YesOption = False,
) -> None:
    """Forget old checkpoints, and keep the messages.

    The newest checkpoint stays; time travel to the old ones ends. Asks first. Can be repeated if it was interrupted.
    """
    if every == bool(conversations) or every and user is None:
        raise ValueError("which conversations? give CONVERSATION, or --user and --all")
    if every:
        scopes = list(run.runtime.directory.of_user(check_user_id(user)))
    else:
        scopes = [run.scope(one, user) for one in conversations or ()]
    run.confirm(f"Forget the old checkpoints of {counted(len(scopes), 'conversation')}?", yes=yes)
    pruned = [_prune(run, scope) for scope in scopes]
    rows = [list(map(str, one.values())) for one in pruned]
    table = table_of(["conversation", ">checkpoints", ">left"], rows, whole=("conversation",))
    run.out.result({"user_id": user, "conversations": pruned}, table)


@command("verify", "CONVERSATION", "CONVERSATION --user alice --json")
def verify(run: Run, conversation: ConversationArgument, user: UserOption = None) -> None:
    """Read all of a conversation, and name what is damaged.

    Every item that is damaged, and every turn that LangGraph has forgotten. A turn is forgotten where the clock of its
    host was behind. Changes nothing. Ends with 1 if anything is damaged.
    """
    scope = run.scope(conversation, user)
    report = run.conversations.verify(scope.thread_id, scope.user_id)
    counts = {"items": report.items, "checkpoints": report.checkpoints, "messages": report.messages}
    summary = ", ".join(counted(count, name[:-1]) for name, count in counts.items())
    summary += f": {len(report.damage)} damaged" if report.damage else ": whole"
    rows = [[one.key, one.problem] for one in report.damage]
    tables = [table_of(["damaged", "problem"], rows)] if rows else []
    if report.forgotten:
        summary += f", {counted(len(report.forgotten), 'turn')} forgotten by LangGraph"
        late = [[one.key, one.last_checkpoint_id, _seconds(one.seconds_behind)] for one in report.forgotten]
        tables.append(table_of(["forgotten turn", "to go on from it", ">clock behind"], late))
    found = {"damage": list(map(asdict, report.damage)), "forgotten": list(map(asdict, report.forgotten))}
    run.out.result({"ok": report.ok, **counts, **found}, *tables, summary)
    if not report.ok:
        run.end(Exit.FOUND)


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.1f} s or more"


def jsonable(value: Any) -> Any:
    """Any value of a state as JSON has it; a value of a type that JSON lacks becomes a string."""
    if isinstance(value, BaseModel):
        return jsonable(value.model_dump(exclude_none=True))
    if is_dataclass(value) and not isinstance(value, type):
        return jsonable(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): jsonable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [jsonable(one) for one in value]
    if isinstance(value, (bytes, bytearray)):
        return f"[bytes: {len(value)}]"
    return value if value is None or isinstance(value, (str, bool, int, float)) else str(value)


def _nodes(run: Run, scope: Scope, limit: int | None) -> list[Node]:
    checkpoint_sizes, write_sizes = _sizes(run, scope, "c"), _sizes(run, scope, "w")
    nodes = []
    for one in run.saver.list(config_for(scope), limit=limit):
        ns, facts = one.config["configurable"]["checkpoint_ns"], _facts(one)
        place = component(ns), facts["checkpoint_id"]
        nodes.append(Node(ns=ns, item_bytes=checkpoint_sizes[place], write_bytes=write_sizes[place], **facts))
    return nodes


def _facts(one: CheckpointTuple) -> dict[str, Any]:
    """What `history` and `state` both say of a checkpoint."""
    parent = one.parent_config["configurable"]["checkpoint_id"] if one.parent_config else None
    return {
        "checkpoint_id": one.checkpoint["id"],
        "parent_id": parent,
        "created_at": one.checkpoint["ts"],
        "step": one.metadata.get("step"),
        "source": one.metadata.get("source"),
    }


def _sizes(run: Run, scope: Scope, kind: str) -> Counter[tuple[str, str]]:
    """Bytes of items of a kind, by namespace (as in keys) and checkpoint."""
    sizes: Counter[tuple[str, str]] = Counter()
    for page in run.table.query(scope.thread_id, scope.prefix(kind)):
        for item in page:
            ns, checkpoint_id, *_ = parse_sk(key_of(item).sk).parts
            sizes[ns, checkpoint_id] += item_bytes(item)
    return sizes


def _prune(run: Run, scope: Scope) -> dict[str, Any]:
    before = _count(run, scope)
    run.saver.prune([scope.thread_id], user_id=scope.user_id)
    return {"conversation_id": scope.thread_id, "before": before, "after": _count(run, scope)}


def _count(run: Run, scope: Scope) -> int:
    pages = run.table.query(scope.thread_id, scope.prefix("c"), keys_only=True)
    return sum(not is_revision(item) for page in pages for item in page)


def _tree(rows: list[list[str]], width: int) -> Table:
    """A table of checkpoints; in a narrow terminal without the year, and without the bytes of task writes."""
    if width < _HISTORY_WIDTH:
        rows = [[*row[:3], row[3][_YEAR_CHARACTERS:], row[4]] for row in rows]
        return table_of(_HISTORY_COLUMNS[:-1], rows, whole=("checkpoint", "created"))
    return table_of(_HISTORY_COLUMNS, rows, whole=("checkpoint", "created"))


def _row(graph: str, node: Node | None) -> list[str]:
    if node is None:
        return [graph, "", "", "", "", ""]
    step = "" if node.step is None else str(node.step)
    created, writes = moment(node.created_at), str(node.write_bytes or "")
    return [f"{graph} {node.checkpoint_id}", step, node.source or "", created, str(node.item_bytes), writes]


def _preview(value: Any) -> str:
    return shortened(one_line(to_json(value, indent=None)), _PREVIEW_CHARACTERS)
