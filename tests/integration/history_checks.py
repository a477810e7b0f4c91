"""A transcript as every reader sees it, compared with what was said."""

from __future__ import annotations

from typing import Any

from langchain_core.runnables import RunnableConfig

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.integration.spoken import PENDING, Branch, Shown, shown, title
from tests.integration.transcripts import TableReader

PAGE = 3


class Reader:
    """Compares what the API gives, whole and in pages, and what plain boto3 reads of the row.

    Args:
        table: The table as another program sees it.
    """

    def __init__(self, table: TableReader) -> None:
        self._table = table

    def compare(self, saver: DynamoDBConversationSaver, config: RunnableConfig, branch: Branch) -> None:
        """Assert that every reader is told the branch, and its title."""
        self.compare_shown(saver, config, shown(branch))
        asked = config["configurable"]
        found = saver.conversations.get(asked["thread_id"], asked["user_id"], limit=0)
        (listed,) = saver.conversations.list(asked["user_id"])[:1]
        for name, got in (("title", found.title), ("listed title", listed.title)):
            assert is_title(got, title(branch)), f"the {name} is {got!r}, not {title(branch)!r}"

    def compare_shown(self, saver: DynamoDBConversationSaver, config: RunnableConfig, wanted: list[Shown]) -> None:
        """Assert that every reader is told these messages."""
        asked = config["configurable"]
        found = saver.conversations.get(asked["thread_id"], asked["user_id"])
        told = [as_shown(message.to_dict()) for message in found.messages]
        same(told, wanted, "the transcript")
        assert found.message_count == len(told), f"message_count {found.message_count} for {len(told)} messages"
        same(paged(saver, config), wanted, "the pages")
        self._compare_row(config, wanted)

    def _compare_row(self, config: RunnableConfig, wanted: list[Shown]) -> None:
        row = self._table.row(config)
        assert row["message_count"] == len(wanted), f"the row counts {row['message_count']}, not {len(wanted)}"
        told = row["messages"]
        assert told or not wanted, "the row has no messages"
        assert len(told) <= len(wanted), f"the row has {len(told)} messages of {len(wanted)}"
        for message, whole in zip(told, wanted[len(wanted) - len(told) :], strict=True):
            if message.get("shortened"):
                tools = [call["tool"] for call in message.get("tool_calls", ())]
                first = [call[0] for call in whole[2][: len(tools)]]
                assert (message["role"], tools) == (whole[0], first), f"the row has {message}, not {whole}"
            else:
                same([as_shown(message)], [whole], "the row")


def compare_state(messages: Any, branch: Branch) -> None:
    """Assert that the state of an agent that keeps everything is the branch: if not, the log or the state is wrong."""
    roles = {"human": "user", "ai": "assistant"}
    held = [(roles.get(message.type, message.type), str(message.text), ()) for message in messages]
    same(held, [(said.role, said.text, ()) for said in branch], "the state")


def as_shown(message: dict[str, Any]) -> Shown:
    """A message of the API or of the row."""
    calls = [
        (call["tool"], call["args"], call.get("result", PENDING), call.get("status"))
        for call in message.get("tool_calls", ())
    ]
    return message["role"], message["content"], tuple(calls)


def paged(saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[Shown]:
    """The pages put together, read from the newest back."""
    asked = config["configurable"]
    told: list[Shown] = []
    before: int | None = None
    while before is None or before > 0:
        page = saver.conversations.get(asked["thread_id"], asked["user_id"], limit=PAGE, before=before)
        told = [*(as_shown(message.to_dict()) for message in page.messages), *told]
        assert before is None or page.first < before, "a page that goes nowhere"
        before = page.first
    return told


def same(told: list[Shown], wanted: list[Shown], what: str) -> None:
    """Assert that two transcripts are the same, and say where they differ."""
    if told == wanted:
        return
    lines = [f"  {'  ' if a == b else '->'} {_line(a)}   | {_line(b)}" for a, b in _side_by_side(told, wanted)]
    raise AssertionError(f"{what} differs (told | said):\n" + "\n".join(lines))


def is_title(got: str, first: str | None) -> bool:
    """Whether a title is the first text of the user, in one line and perhaps cut."""
    if first is None or not got.endswith("…"):
        return first is None or got == first
    return len(got) <= 80 and first.startswith(got[:-1].rstrip())


def _side_by_side(told: list[Shown], wanted: list[Shown]) -> list[tuple[Shown | None, Shown | None]]:
    most = max(len(told), len(wanted))
    return list(zip([*told, *[None] * (most - len(told))], [*wanted, *[None] * (most - len(wanted))], strict=True))


def _line(message: Shown | None) -> str:
    if message is None:
        return "(nothing)"
    role, content, calls = message
    text = content if len(content) < 30 else f"{content[:24]}... ({len(content)})"
    return f"{role} {text!r}" + "".join(f" {tool}{tuple(args.values())}={result!r}" for tool, args, result, _ in calls)
