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
        assert listed.conversation_id == asked["thread_id"], "the list shows another conversation"
        count = len(shown(branch))
        assert listed.message_count == count, f"the list counts {listed.message_count} messages, not {count}"
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
        self._compare_table(config, wanted)

    def told(self, saver: DynamoDBConversationSaver, config: RunnableConfig) -> list[Shown]:
        """What the API tells, whole."""
        asked = config["configurable"]
        found = saver.conversations.get(asked["thread_id"], asked["user_id"])
        return [as_shown(message.to_dict()) for message in found.messages]

    def compare_status(self, config: RunnableConfig, status: str | None) -> None:
        """Assert that the row has a status, if one is given, and that it says what is asked while it waits."""
        row = self._table.row(config)
        assert status is None or row["status"] == status, f"the status is {row['status']}, not {status}"
        asked = [str(one["value"])[:6] for one in row.get("waiting_for", ())]
        wanted = ["may I,"] if row["status"] == "waiting" else []
        assert asked == wanted, f"a row that is {row['status']} waits for {asked}"

    def _compare_table(self, config: RunnableConfig, wanted: list[Shown]) -> None:
        """Compare what a program without this package reads: the row first, then what the pages add to it."""
        row = self._table.row(config)
        pages = self._table.items(config, "#m#")
        newest: dict[int, tuple[int, dict[str, Any]]] = {}
        for page in pages:
            if page["incarnation"] != row["incarnation"]:
                continue
            assert page["version"] <= row["version"], "a page is newer than the row, and nobody is at work"
            first = int(page["user_id"].rpartition("#")[2])
            for number, message in enumerate(page["messages"], first):
                if newest.get(number, (-1, {}))[0] < page["version"]:
                    newest[number] = (page["version"], message)
        first = row.get("first", 0)
        assert not set(range(first)) - newest.keys(), "a message is neither in the row nor in a page"
        self._compare_raw([newest[number][1] for number in range(first)], wanted[:first], "the pages in the table")
        self._compare_row(row, wanted)

    def _compare_row(self, row: dict[str, Any], wanted: list[Shown]) -> None:
        assert row["message_count"] == len(wanted), f"the row counts {row['message_count']}, not {len(wanted)}"
        told = row["messages"]
        assert told or not wanted, "the row has no messages"
        assert row.get("first", 0) + len(told) == len(wanted), f"the row has {len(told)} messages of {len(wanted)}"
        self._compare_raw(told, wanted[len(wanted) - len(told) :], "the row")

    def _compare_raw(self, told: list[dict[str, Any]], wanted: list[Shown], what: str) -> None:
        for message, whole in zip(told, wanted, strict=True):
            if message.get("shortened"):
                tools = [call["tool"] for call in message.get("tool_calls", ())]
                first = [call[0] for call in whole[2][: len(tools)]]
                assert (message["role"], tools) == (whole[0], first), f"{what}: {message}, not {whole}"
            else:
                same([as_shown(message)], [whole], what)


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
