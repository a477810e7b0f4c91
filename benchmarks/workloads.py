"""What is played: the reference chat, the same chat on other shapes of state, and agents of other shapes.

All text comes from the seed and the turn alone, so every saver gets the same bytes. Agents of other shapes say what is
in Python's own documentation, to which nothing here was tuned.
"""

from __future__ import annotations

import operator
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from langchain_core.messages import AnyMessage, SystemMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Durability
from typing_extensions import TypedDict

from tests.costs import flat_shapes
from tests.costs.flat_shapes import Shape, Topics
from tests.integration.agents import DeltaState
from tests.reference_chat import Prose, chat_graph, user_message

WINDOW = 20
SUMMARISED_ABOVE = 80
SECTIONS = 100
SECTION_CHARACTERS = 2_000
DOCUMENT_CHANGES_EVERY = 10
FILES = 500
FILE_CHARACTERS = 500
NODES = 60

Build = Callable[[Prose], "StateGraph[Any]"]
Inputs = Callable[[Prose, int], dict[str, Any]]
"""What the user brings in a turn, counted from 1."""


def added(held: list[Any], new: Any) -> list[Any]:
    return list(add_messages(held, new))


def keep_the_newest(held: list[Any], new: Any) -> list[Any]:
    return added(held, new)[-WINDOW:]


def keep_a_summary(held: list[Any], new: Any) -> list[Any]:
    messages = added(held, new)
    if len(messages) <= SUMMARISED_ABOVE:
        return messages
    last = messages[-1].id
    summary = SystemMessage(Prose(zlib.crc32(last.encode())).text(2000), id=f"summary-{last}")
    return [summary, *messages[-WINDOW:]]


class Trimmed(TypedDict):
    messages: Annotated[list[AnyMessage], keep_the_newest]


class Summarised(TypedDict):
    messages: Annotated[list[AnyMessage], keep_a_summary]


class WithDocument(MessagesState):
    document: str


class WithFiles(MessagesState):
    files: Annotated[dict[str, str], operator.or_]


def chat_on(schema: Any) -> Build:
    return lambda prose: chat_graph(prose, schema)


def say(prose: Prose, _turn: int) -> dict[str, Any]:
    return user_message(prose)


def say_and_edit_the_document(prose: Prose, turn: int) -> dict[str, Any]:
    """One section of the document is new in every tenth turn."""
    if (turn - 1) % DOCUMENT_CHANGES_EVERY:
        return user_message(prose)
    first = Prose(1)
    sections = [first.text(SECTION_CHARACTERS) for _ in range(SECTIONS)]
    for edit in range(1, (turn - 1) // DOCUMENT_CHANGES_EVERY + 1):
        sections[(SECTIONS // 2 + edit) % SECTIONS] = Prose(1 + edit).text(SECTION_CHARACTERS)
    return {**user_message(prose), "document": "\n".join(sections)}


def say_and_edit_a_file(prose: Prose, turn: int) -> dict[str, Any]:
    changed = range(FILES) if turn == 1 else [turn * 37 % FILES]
    return {
        **user_message(prose),
        "files": {f"src/module_{number}.py": prose.text(FILE_CHARACTERS) for number in changed},
    }


def wide_graph(_prose: Prose) -> StateGraph[Any]:
    """A fan of 60 nodes, each of which writes 200 characters in every turn, and one that joins them."""

    class Wide(TypedDict):
        turn: int
        found: Annotated[dict[str, str], operator.or_]
        answer: str

    def look(number: int) -> Any:
        # The nodes run in threads, in any order: each has text of its own.
        return lambda state: {"found": {f"source_{number}": Prose(1000 * state["turn"] + number).text(200)}}

    builder = StateGraph(Wide)
    names = [f"search_source_{number}" for number in range(NODES)]
    for number, name in enumerate(names):
        builder.add_node(name, look(number))
        builder.add_edge(START, name)
    builder.add_node("join", lambda state: {"answer": Prose(state["turn"]).text(350)})
    builder.add_edge(names, "join")
    builder.add_edge("join", END)
    return builder


def count_turn(_prose: Prose, turn: int) -> dict[str, Any]:
    return {"turn": turn}


@dataclass(frozen=True)
class Workload:
    """A graph and what its user brings.

    Args:
        key: Its name in the JSON.
        title: Its name in the document.
        build: The graph, on a source of text.
        inputs: The input of a turn.
        stateless: Whether every turn has a new saver and a new graph, as in a new process.
        durability: LangGraph's. With "sync" the counts repeat exactly where "async" lets a read of the same turn
            overtake a write, or be overtaken by it.
        prose: Its text.
        turns: How many are played; None for the share of the reference chat's that shapes of state have.
        is_begun_here: Whether the saver makes up the conversation's id, where it can.
        seen: What of a state is the same in every run; all of it unless given. Where it is not all, bytes vary.
        is_overtaken: Whether a read of a turn can find an item more or less, as another thread stores one just then:
            then the bytes that are received vary, by less than a unit.
    """

    key: str
    title: str
    build: Build
    inputs: Inputs = say
    stateless: bool = False
    durability: Durability = "async"
    prose: Callable[[], Prose] = Prose
    turns: int | None = None
    is_begun_here: bool = False
    seen: Callable[[Any], Any] | None = None
    is_overtaken: bool = False


def without_ids_and_times(state: dict[str, Any]) -> Any:
    """A deep agent's messages and files: it makes up ids of its tools' messages, and files have the time of day."""
    files = {path: data["content"] for path, data in state["files"].items()}
    return [(message.type, message.content) for message in state["messages"]], files


REFERENCE = Workload("reference", "the reference chat", chat_graph)
SHAPES = (
    Workload("trimming", f"an agent that keeps its newest {WINDOW} messages", chat_on(Trimmed)),
    Workload("summarising", f"an agent that summarises above {SUMMARISED_ABOVE} messages", chat_on(Summarised)),
    Workload(
        "document",
        f"a {SECTIONS * SECTION_CHARACTERS // 1000} KB document, edited every {DOCUMENT_CHANGES_EVERY}th turn",
        chat_on(WithDocument),
        say_and_edit_the_document,
    ),
    Workload("files", f"{FILES} files, one edited a turn", chat_on(WithFiles), say_and_edit_a_file),
    Workload("wide", f"a fan of {NODES} nodes", wide_graph, count_turn),
    Workload("delta", "the chat on a `DeltaChannel`", chat_on(DeltaState), durability="sync", is_overtaken=True),
    Workload("stateless", "the chat, a new process's saver every turn", chat_graph, stateless=True),
    Workload("exit", 'the chat, `durability="exit"`', chat_graph, durability="exit"),
)


def of_shape(key: str, title: str, shape: Shape, turns: int, **more: Any) -> Workload:
    return Workload(key, title, shape.build, shape.given, prose=Topics, turns=turns, is_begun_here=True, **more)


FLAT = (
    of_shape("short", "a chat of two turns", flat_shapes.REFERENCE, 2),
    of_shape("images", "an image of 200 KB in each turn", flat_shapes.IMAGES, 20),
    of_shape("subgraph", "a subgraph that shares `messages`", flat_shapes.SUBGRAPH, 100, durability="sync"),
    of_shape("previous", "the functional API with `previous`", flat_shapes.PREVIOUS, 100),
    of_shape(
        "lambda",
        '`durability="exit"`, a new process each turn',
        flat_shapes.REFERENCE,
        20,
        stateless=True,
        durability="exit",
    ),
    of_shape(
        "deep",
        "a deep agent with 200 files of 2 KB, one edited a turn",
        flat_shapes.FILES_EDITED,
        20,
        durability="sync",
        seen=without_ids_and_times,
    ),
    of_shape("retrieval", "20 documents of 4 KB replaced each turn", flat_shapes.RETRIEVAL, 20),
    of_shape("short-delta", "a chat of two turns on a `DeltaChannel`", flat_shapes.DELTA, 2, durability="sync"),
)
"""Shapes that must cost the same at any length; docs/performance.md has their budgets."""

BY_KEY = {workload.key: workload for workload in (REFERENCE, *SHAPES, *FLAT)}
