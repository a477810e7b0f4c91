"""Agents of other shapes than the reference chat, whose turns must cost the same however long they run.

Their text is of Python's own documentation of its language (`pydoc_data`), which nothing here was tuned to.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pydoc_data.topics import topics
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.func import entrypoint, task
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Send

from tests.integration.agents import DeltaState
from tests.reference_chat import Prose, chat_graph, user_message

IMAGE_BYTES = 150_000
"""200 KB as base64."""

DOCUMENTS, DOCUMENT_CHARACTERS = 20, 4_000

FILES, FILE_CHARACTERS = 200, 2_000

PlayTurn = Callable[[], object]
"""Plays a conversation's next turn."""


@dataclass(frozen=True)
class Shape:
    """An agent, and what its user brings.

    Args:
        build: What can be compiled with a checkpointer, on a source of text.
        given: The input of a turn, counted from 1.
    """

    build: Callable[[Prose], Any]
    given: Callable[[Prose, int], Any]

    def begin(self, saver: Any, config: Any, **options: Any) -> PlayTurn:
        """Begin a conversation on a saver."""
        prose, turns = Topics(), count(1)
        graph = self.build(prose).compile(checkpointer=saver)
        return lambda: graph.invoke(self.given(prose, next(turns)), config, **options)


@dataclass(frozen=True)
class Compiles:
    """What is made with a checkpointer, and not compiled."""

    make: Callable[[Any], Any]

    def compile(self, checkpointer: Any) -> Any:
        """It, with this checkpointer."""
        return self.make(checkpointer)


class Topics(Prose):
    """The text of Python's documentation, piece after piece, from a place that the seed gives."""

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self._text = "".join(topics[name] for name in sorted(topics))
        self._place = self._random.randrange(len(self._text))

    def text(self, characters: int) -> str:
        start, self._place = self._place, (self._place + characters) % len(self._text)
        return (self._text + self._text)[start : start + characters]


def said(prose: Prose, _turn: int) -> dict[str, Any]:
    """The user's message."""
    return user_message(prose)


def looking(prose: Prose) -> StateGraph[Any]:
    """An agent that looks at pictures."""

    def look(_state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")]}

    return StateGraph(MessagesState).add_node("look", look).add_edge(START, "look")


def images_of(image_bytes: int) -> Shape:
    """The user shows a picture in every turn."""

    def shown(prose: Prose, turn: int) -> dict[str, Any]:
        image = base64.b64encode(random.Random(turn).randbytes(image_bytes)).decode()
        text = {"type": "text", "text": prose.text(60)}
        content = [text, {"type": "image", "base64": image, "mime_type": "image/png"}]
        return {"messages": [HumanMessage(content, id=prose.uuid())]}

    return Shape(looking, shown)


def supervised(prose: Prose) -> StateGraph[Any]:
    """An agent as a node that shares `messages`, as under every supervisor."""
    agent = chat_graph(prose).compile()
    return StateGraph(MessagesState).add_node("agent", agent).add_edge(START, "agent")


def function(prose: Prose) -> Compiles:
    """The functional API: the messages are what the function returned before."""

    @task
    def answer(_messages: list[AnyMessage]) -> AIMessage:
        return AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")

    def chat(messages: list[AnyMessage], *, previous: list[AnyMessage] | None = None) -> list[AnyMessage]:
        heard = add_messages(previous or [], messages)
        return add_messages(heard, [answer(heard).result()])

    return Compiles(lambda checkpointer: entrypoint(checkpointer=checkpointer)(chat))


def sent(prose: Prose) -> StateGraph[Any]:
    """An agent that sends its whole state to what answers, as prebuilt agents send it to their tools."""

    def answer(call: dict[str, Any]) -> dict[str, Any]:
        assert call["state"]["messages"]
        return {"messages": [AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")]}

    def send(state: MessagesState) -> list[Send]:
        return [Send("answer", {"tool_call": {"name": name, "args": {}}, "state": state}) for name in ("one", "two")]

    builder = StateGraph(MessagesState).add_node("listen", lambda _: {}).add_node("answer", answer)
    return builder.add_edge(START, "listen").add_conditional_edges("listen", send, ["answer"])


def retrieving(prose: Prose) -> StateGraph[Any]:
    """Retrieval: other documents in every turn."""

    class State(MessagesState):
        documents: list[Document]

    def retrieve(_state: State) -> dict[str, Any]:
        pieces = [prose.text(DOCUMENT_CHARACTERS) for _ in range(DOCUMENTS)]
        return {"documents": [Document(piece, id=prose.uuid(), metadata={"source": "topics"}) for piece in pieces]}

    def answer(_state: State) -> dict[str, Any]:
        return {"messages": [AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")]}

    builder = StateGraph(State).add_node("retrieve", retrieve).add_node("answer", answer)
    return builder.add_edge(START, "retrieve").add_edge("retrieve", "answer")


def editing(prose: Prose) -> Compiles:
    """A deep agent whose state holds files, of which it edits one in every turn."""
    from deepagents import create_deep_agent
    from langchain_core.language_models.fake_chat_models import GenericFakeChatModel

    class Model(GenericFakeChatModel):
        """A model that takes any tools."""

        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

    number = count(1)

    def replies() -> Iterator[AIMessage]:
        while True:
            path = f"/src/module_{next(number) * 37 % FILES}.py"
            args = {"file_path": path, "content": prose.text(FILE_CHARACTERS)}
            edit = {"name": "write_file", "args": args, "id": f"toolu_{prose.uuid()[:24]}"}
            yield AIMessage("", tool_calls=[edit], id=f"lc_run--{prose.uuid()}")
            yield AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")

    return Compiles(lambda checkpointer: create_deep_agent(Model(messages=replies()), checkpointer=checkpointer))


def files_first(prose: Prose, turn: int) -> dict[str, Any]:
    """The user's message, and in the first turn the files."""
    from deepagents.backends.utils import create_file_data

    if turn > 1:
        return user_message(prose)
    files = {f"/src/module_{name}.py": create_file_data(prose.text(FILE_CHARACTERS)) for name in range(FILES)}
    return {**user_message(prose), "files": files}


REFERENCE = Shape(chat_graph, said)
IMAGES = images_of(IMAGE_BYTES)
SUBGRAPH = Shape(supervised, said)
PREVIOUS = Shape(function, lambda prose, turn: said(prose, turn)["messages"])
SENT = Shape(sent, said)
RETRIEVAL = Shape(retrieving, said)
DELTA = Shape(lambda prose: chat_graph(prose, DeltaState), said)
FILES_EDITED = Shape(editing, files_first)
