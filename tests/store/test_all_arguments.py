"""Every argument of every public call is checked before any request: the error names it and says what it may be.

The calls and their arguments are found by looking at them, so that a new one fails here until it has a row.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import Conversations, DynamoDBConversationSaver, migration, provision
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.conversations import _functions
from tests.factories import checkpoint, config

Values = list[Any]

NO_TEXT: Values = [5, b"a", ["a"], True]
NO_ID: Values = [*NO_TEXT, "", "a#b", "a\nb", "x" * 2000]
NO_FLAG: Values = [1, "yes", None]
NO_CONFIG: Values = [5, "thread", ["thread"], {"configurable": 5}, {"configurable": ["thread"]}]
NO_IDS: Values = ["abc", b"abc", 5, None, [5], [None]]
NO_FUNCTION: Values = [5, "f", None]
NO_LIMIT: Values = ["5", 5.0, True, -1, [1]]

BY_NAME: dict[str, Values] = {
    "accept_plaintext": NO_FLAG,
    "assign": NO_FUNCTION,
    "before": NO_CONFIG,
    "cache_bytes": [*NO_LIMIT, None],
    "channels": NO_IDS,
    "checkpoint": [None, 5, "x", {}, {"channel_values": {}}, {**checkpoint(1, {}), "id": 5}],
    "client": [5, "client", dict],
    "clock": NO_FUNCTION,
    "config": [*NO_CONFIG, None],
    "consistent": NO_FLAG,
    "content": [*NO_TEXT, None],
    "conversation_id": NO_ID,
    "created_after": [*NO_TEXT, "yesterday", ""],
    "created_before": [*NO_TEXT, "yesterday", ""],
    "current": ["x", [], {}, 1.5],
    "cursor": [*NO_TEXT, "", "x"],
    "default_user_id": NO_ID,
    "description": [None, 5, "x"],
    "dry_run": NO_FLAG,
    "encrypt_transcript": NO_FLAG,
    "endpoint_url": NO_TEXT,
    "filter": [5, "source", ["source"], {5: 1}],
    "format": [*NO_TEXT, None, "", "html"],
    "key": [*NO_TEXT, "", None],
    "limit": NO_LIMIT,
    "message_id": NO_TEXT,
    "messages_channel": [*NO_TEXT, "", None],
    "metadata": [None, 5, "x", {5: 1}],
    "most_per_second": ["5", 0, -1, True, float("nan"), float("inf")],
    "newest_first": NO_FLAG,
    "order_by": [*NO_TEXT, "title", "", None],
    "path": [5, None, ["a"], "no/such/file"],
    "region_name": NO_TEXT,
    "role": [*NO_TEXT, "", "human", None],
    "row_bytes": ["512", 511, 512.0, True, -1],
    "run_ids": NO_IDS,
    "s3_bucket": [*NO_TEXT, "", "a/b"],
    "s3_client": [5, "client", dict],
    "s3_prefix": [*NO_TEXT, None, "..", "a//b", "a\nb"],
    "s3_threshold_bytes": [*NO_LIMIT, None],
    "saver": [5, None, "saver"],
    "scan": NO_FLAG,
    "serde": [5, "serde", dict],
    "skip_unassigned": NO_FLAG,
    "sleep": NO_FUNCTION,
    "source": [5, None, "sqlite:x"],
    "source_thread_id": NO_ID,
    "status": [*NO_TEXT, "done", ""],
    "strategy": [*NO_TEXT, "", "all", None],
    "table": [5, None, "table"],
    "table_arn": [*NO_TEXT, "", None, "conversations"],
    "table_name": NO_TEXT,
    "target_thread_id": NO_ID,
    "task_id": [*NO_TEXT, None, "\ud800"],
    "task_path": [*NO_TEXT, None, "\ud800"],
    "thread_id": [*NO_ID, None],
    "thread_ids": [*NO_IDS, ["a#b"], [""]],
    "threads": ["abc", 5, [5]],
    "title": NO_TEXT,
    "title_contains": NO_TEXT,
    "tool_calls": [5, "x", {"tool": "f"}, ["f"], [{}], [{"tool": 5}], [{"tool": "f", "args": "x"}]],
    "transcript": NO_FLAG,
    "ttl": [5, "1h", timedelta(0), timedelta(days=-1)],
    "user_id": NO_ID,
    "users": [5, None, "alice", ["alice"], {5: "alice"}],
    "wanted": [5, "ttl", {}],
    "writes": [5, None, "ab", b"ab", [5], ["ab"], [("a",)], [(5, 1)], [("a", 1, 2)]],
}
OF_CALL: dict[tuple[str, str], Values] = {
    ("DynamoDBConversationSaver.list", "config"): NO_CONFIG,
    ("DynamoDBConversationSaver.setup", "ttl"): [1, "yes", timedelta(days=1)],
    ("DynamoDBConversationSaver.setup", "add_index"): [1, "yes", None],
    ("DynamoDBConversationSaver.setup", "protect"): [1, "yes", None],
    ("DynamoDBConversationSaver", "title"): [5, "title"],
    ("Conversations.get", "before"): NO_LIMIT,
    ("Conversations.rename", "title"): [*NO_TEXT, None],
    ("Conversations.edit_message", "message_id"): [*NO_TEXT, None],
    ("Conversations.remove_message", "message_id"): [*NO_TEXT, None],
    ("SetupOptions", "ttl"): [1, "yes"],
    ("SetupOptions", "add_index"): [1, "yes", None],
    ("SetupOptions", "protect"): [1, "yes", None],
    ("SetupOptions", "recovery"): NO_FLAG,
    ("SetupOptions", "wait"): NO_FLAG,
    ("SetupOptions", "tags"): [5, None, ["a"], {5: "a"}, {"a": 5}],
    ("table_definition", "table_name"): [*NO_TEXT, None],
    ("iam_policy", "s3_bucket"): [*NO_TEXT, ""],
    ("iam_policy", "kms_key_arn"): [5, "", "alias/chat", "arn:aws:kms:eu-west-1:123456789012:alias/chat"],
    ("iam_policy", "scan"): NO_FLAG,
    ("setup_table", "sleep"): NO_FUNCTION,
}
UNCHECKED = {
    ("DynamoDBConversationSaver.put", "new_versions"): "LangGraph's; what changed is found by comparing",
    ("DynamoDBConversationSaver.get_next_version", "channel"): "LangGraph's; a version follows from the one before",
}
WORDS = {
    "conversation_id": "conversation_id",
    "source_thread_id": "thread_id",
    "target_thread_id": "thread_id",
    "default_user_id": "user_id",
    "current": "channel version",
    "path": "path|mapping",
    "checkpoint": "checkpoint",
}
"""What an error calls an argument that it does not name; ids have one rule wherever they are."""

GOOD: dict[str, Any] = {
    "assign": migration.everyone("alice"),
    "channels": ["messages"],
    "checkpoint": checkpoint(1, {}),
    "config": config(number=1),
    "content": "hello",
    "conversation_id": "thread",
    "current": None,
    "description": {},
    "key": "user",
    "message_id": "id",
    "metadata": {},
    "new_versions": {},
    "path": "file",
    "role": "assistant",
    "run_ids": ["run"],
    "source": InMemorySaver(),
    "source_thread_id": "one",
    "table_arn": "arn:aws:dynamodb:eu-west-1:1:table/t",
    "table_name": "table",
    "target_thread_id": "two",
    "task_id": "task",
    "thread_id": "thread",
    "thread_ids": ["thread"],
    "title": "title",
    "user_id": "alice",
    "users": {},
    "writes": [("a", 1)],
}
"""A value for each argument that a call can't do without."""


class NoRequests:
    """A client that sends nothing: a call that asks it to has not checked its arguments."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.meta = SimpleNamespace(
            config=SimpleNamespace(max_pool_connections=4), region_name="eu-west-1", endpoint_url="none"
        )

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def send(**_: Any) -> Any:
            self.sent.append(method)
            raise AssertionError(f"sent {method}")

        return send

    def close(self) -> None:
        """There is nothing to close."""


def public(owner: Any) -> Iterator[tuple[str, Any]]:
    """The calls that a class of this package defines, but for those without arguments of the caller's."""
    own = [kind for kind in owner.__mro__ if kind.__module__.startswith("langgraph_dynamo_conv")]
    for name, member in (pair for kind in own for pair in vars(kind).items()):
        if not name.startswith("_") and inspect.isfunction(member):
            yield f"{owner.__name__}.{name}", member


def everything() -> dict[str, Any]:
    """Every public call, by its name."""
    calls = {DynamoDBConversationSaver.__name__: DynamoDBConversationSaver, Conversations.__name__: Conversations}
    for owner in (DynamoDBConversationSaver, Conversations):
        calls |= dict(public(owner))
    modules = [(provision, vars(provision)), (_functions, vars(_functions)), (migration, migration.__all__)]
    for module, names in modules:
        for name in names:
            member = getattr(module, name)
            if (
                inspect.isfunction(member)
                and not name.startswith("_")
                and module.__name__ in (member.__module__, member.__module__.rpartition(".")[0])
            ):
                calls[name] = member
    return {**calls, "SetupOptions": provision.SetupOptions}


CALLS = everything()


def original_of(name: str) -> str:
    """The call that an async twin is of, or the call itself."""
    owner, _, method = name.rpartition(".")
    base = f"{owner}.{method[1:]}"
    return base if method.startswith("a") and base in CALLS else name


def arguments_of(name: str) -> list[inspect.Parameter]:
    """The arguments of a call; a twin has those of its original, `Conversations` those of the bucket too."""
    parameters = dict(inspect.signature(CALLS[original_of(name)]).parameters)
    if parameters.pop("s3", None) is not None:
        bucket = inspect.signature(DynamoDBConversationSaver).parameters.items()
        parameters |= {one: parameter for one, parameter in bucket if one.startswith("s3_")}
    return [one for one in parameters.values() if one.name != "self"]


CHECKED = [
    (name, one.name) for name in CALLS for one in arguments_of(name) if (original_of(name), one.name) not in UNCHECKED
]


def wrong_values(name: str, argument: str) -> Values:
    return OF_CALL.get((original_of(name), argument)) or BY_NAME[argument]


def bound(name: str, client: NoRequests) -> Callable[..., Any]:
    """The call, as a function of its arguments alone."""
    owner, _, method = name.rpartition(".")
    if owner:
        saver = DynamoDBConversationSaver("table", client=client)  # type: ignore[arg-type]
        return getattr(saver if owner == "DynamoDBConversationSaver" else saver.conversations, method)  # type: ignore[no-any-return]
    return CALLS[name]  # type: ignore[no-any-return]


def good_arguments(name: str, argument: str, client: NoRequests) -> dict[str, Any]:
    parameters = arguments_of(name)
    others = [one for one in parameters if one.name != argument]
    needed = [one.name for one in others if one.default is one.empty or one.name == "user_id"]
    made = {
        "saver": lambda: DynamoDBConversationSaver("table", client=client),  # type: ignore[arg-type]
        "table": lambda: Table("table", client=client),  # type: ignore[arg-type]
    }
    good = {one: made[one]() if one in made else GOOD[one] for one in needed}
    if argument.startswith("s3_") and argument != "s3_bucket" and "s3_bucket" in {one.name for one in parameters}:
        good["s3_bucket"] = "bucket"
    if name in ("DynamoDBConversationSaver", "Conversations"):
        good |= {"client": client} if argument not in ("client", "region_name", "endpoint_url") else {}
        good |= {"table_name": "table"} if argument != "table_name" else {}
    return good


def ended(result: Any) -> Any:
    """What a call gives, read to its end."""
    if inspect.isawaitable(result):
        return asyncio.run(_awaited(result))
    if inspect.isasyncgen(result):
        return asyncio.run(_all_of(result))
    return list(result) if inspect.isgenerator(result) else result


async def _awaited(result: Any) -> Any:
    return await result


async def _all_of(results: Any) -> list[Any]:
    return [one async for one in results]


@pytest.mark.parametrize(("name", "argument"), CHECKED)
def test_a_wrong_argument_is_refused_by_name_before_any_request(
    name: str, argument: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNAMODB_TABLE_NAME", "table")
    client = NoRequests()
    monkeypatch.setattr("boto3.session.Session.client", lambda *_, **__: client)
    words = WORDS.get(argument, argument.rstrip("s"))
    for value in wrong_values(name, argument):
        call, good = bound(name, client), good_arguments(name, argument, client)
        with pytest.raises((ValueError, TypeError), match=rf"(?i){words}") as refused:
            ended(call(**good, **{argument: value}))
        assert client.sent == [], (value, client.sent)
        assert len(str(refused.value)) < 400
        is_list = argument in ("thread_ids", "run_ids", "channels", "threads")
        assert isinstance(refused.value, ValueError) or is_list, (value, refused.value)


def test_there_is_a_row_for_each_argument() -> None:
    assert {(name, argument) for name, argument in CHECKED if not wrong_values(name, argument)} == set()
    assert {original_of(name) for name in CALLS} >= {name for name, _ in (*OF_CALL, *UNCHECKED)}
    assert {argument for _, argument in CHECKED} >= BY_NAME.keys()
