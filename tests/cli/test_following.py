"""`show --follow`: what is news, how often it asks, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from langgraph_dynamo_conv.cli.output import Exit
from langgraph_dynamo_conv.cli.views import following
from langgraph_dynamo_conv.cli.views.following import FIRST_SECONDS, RECHECKED, SLOWEST_SECONDS, News, follow
from langgraph_dynamo_conv.conversations import Conversation, Message
from tests.cli.chats import HOSTILE, chat, id_of, say

if TYPE_CHECKING:
    from langgraph_dynamo_conv import DynamoDBConversationSaver
    from tests.cli.conftest import Cli


def conversation(*texts: str, status: str = "idle", newest: int | None = None) -> Conversation:
    """A conversation of messages with these texts, or the newest of them."""
    messages = tuple(Message("user", text, "2026-11-24T02:14:00Z") for text in texts)
    first = 0 if newest is None else max(len(texts) - newest, 0)
    facts = ("c", "alice", "title", "2026-11-24", "2026-11-24", len(texts), status)
    return Conversation(*facts, messages=messages[first:], first=first)


class Live:
    """A conversation that becomes another one with each wait; Ctrl-C comes after the last."""

    def __init__(self, *states: tuple[tuple[str, ...], str]) -> None:
        self._states = list(states)
        self._now: tuple[tuple[str, ...], str] = ((), "idle")
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if not self._states:
            raise KeyboardInterrupt
        self._now = self._states.pop(0)

    def read(self, newest: int | None) -> Conversation:
        texts, status = self._now
        return conversation(*texts, status=status, newest=newest)


def news_of(live: Live, first: Conversation) -> list[tuple[Any, ...]]:
    told: list[News] = []
    with pytest.raises(KeyboardInterrupt):
        told.extend(follow(live.read, first, live.sleep))
    return [(one.number, one.message.content, one.changed) if one.message else (one.status,) for one in told]


def test_new_and_changed_messages_are_told_once() -> None:
    live = Live((("a", "b"), "idle"), (("a", "b"), "idle"), (("a", "B", "c"), "idle"))

    assert news_of(live, conversation("a")) == [(1, "b", False), (1, "B", True), (2, "c", False)]


def test_another_status_is_told() -> None:
    live = Live((("a",), "running"), (("a",), "running"), (("a", "b"), "idle"))

    assert news_of(live, conversation("a")) == [("running",), (1, "b", False), ("idle",)]


def test_messages_that_were_not_asked_for_are_no_news() -> None:
    texts = tuple(map(str, range(10)))
    live = Live((texts, "idle"), ((*texts, "new"), "idle"))

    assert news_of(live, conversation(*texts, newest=2)) == [(10, "new", False)]
    assert news_of(Live(((*texts, "new"), "idle")), conversation(*texts, newest=0)) == [(10, "new", False)]


def test_none_of_many_new_messages_is_left_out() -> None:
    texts = tuple(map(str, range(3 * RECHECKED)))

    told = news_of(Live((texts, "idle")), conversation("0"))

    assert [number for number, *_ in told] == list(range(1, 3 * RECHECKED))


def test_a_fork_is_told_as_what_it_replaced() -> None:
    live = Live((("a", "x"), "idle"), (("a", "x", "y"), "idle"))

    assert news_of(live, conversation("a", "b", "c")) == [(1, "x", True), (2, "y", False)]


def test_it_asks_less_often_while_nothing_happens() -> None:
    quiet = [(("a",), "idle")] * 12
    live = Live(*quiet, (("a", "b"), "idle"))

    news_of(live, conversation("a"))

    waits = live.slept[:13]
    assert waits[0] == FIRST_SECONDS
    assert waits == sorted(waits)
    assert waits[-1] == SLOWEST_SECONDS
    assert live.slept[13] == FIRST_SECONDS


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Lets something happen while `show --follow` waits for the first time; Ctrl-C is typed the second time."""

    def set_up(happens: Callable[[], object]) -> None:
        steps = iter([happens])

        def sleep(_: float) -> None:
            for step in steps:
                step()
                return
            raise KeyboardInterrupt

        monkeypatch.setattr(following.follow, "__defaults__", (sleep,))

    return set_up


def test_a_live_conversation_is_followed_until_ctrl_c(
    cli: Cli, saver: DynamoDBConversationSaver, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    config = chat(saver, "alice", "flats")
    meanwhile(lambda: say(saver, config, HOSTILE))

    ended = cli("show", id_of(config), "--follow")

    assert (ended.code, ended.err.strip()) == (Exit.DONE, "")
    assert ended.out.count("user  ") == 2
    assert r"\x1b]0;owned" in ended.out
    assert {char for char in ended.out if not char.isprintable()} == {"\n"}


def test_a_followed_conversation_as_json_is_a_line_for_each_news(
    cli: Cli, saver: DynamoDBConversationSaver, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    conversation_id = saver.conversations.create("alice", title="Chat").conversation_id
    meanwhile(lambda: saver.conversations.add_message(conversation_id, "user", "hello", user_id="alice"))

    first, *news = cli("show", conversation_id, "--follow", "--json").lines

    assert (first["title"], first["messages"]) == ("Chat", [])
    assert (news[0]["number"], news[0]["content"], news[0]["changed"]) == (0, "hello", False)


def test_changed_messages_and_statuses_are_marked(
    cli: Cli, saver: DynamoDBConversationSaver, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    config = chat(saver, "alice", "flats")
    table = saver._runtime.table

    def change() -> None:
        table.client.update_item(
            TableName=table.name,
            Key={"conversation_id": {"S": id_of(config)}, "user_id": {"S": "alice"}},
            UpdateExpression="SET #s = :failed, messages[1].content = :text",
            ExpressionAttributeNames={"#s": "status"},
            ExpressionAttributeValues={":failed": {"S": "failed"}, ":text": {"S": "better"}},
        )

    meanwhile(change)
    ended = cli("show", id_of(config), "--follow")

    assert "(changed)\n" in ended.out
    assert "  better\n" in ended.out
    assert "— failed\n" in ended.out


def test_following_ends_with_an_error_when_the_conversation_is_deleted(
    cli: Cli, saver: DynamoDBConversationSaver, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    config = chat(saver, "alice", "flats")
    meanwhile(lambda: saver.conversations.delete(id_of(config), "alice"))

    assert cli("show", id_of(config), "--follow").code == Exit.MISSING
