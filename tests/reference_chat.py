"""The chat that the budgets are counted on: `MessagesState`, an agent, one tool call a turn.

A turn is 4 messages, 5 checkpoints and 4 task writes; the tool's result is about 1 KB, the answer about 350
characters. The text has the entropy of prose: words of English, by their frequency, from a fixed seed.
"""

from __future__ import annotations

import random
import uuid
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.graph import END, START, MessagesState, StateGraph

WORDS = (
    "the of and to in a is that for it as was with be by on not he his but at are this have from or had an "
    "they which you were her all she there would their we him been has when who will more no if out so said "
    "what up its about into than them can only other new some could time these two may then do first any my "
    "now such like our over man me even most made after also did many before must through back years where "
    "much your way well down should because each just those people how too little state good very make world "
    "still own see men work long get here between both life being under never day same another know while last "
    "might us great old year off come since against go came right used take three render footage library "
    "camera river sunset resolution folder archive texture lighting model scene frame colour project export "
    "version duration codec weather mountain forest harbour market bicycle engine kitchen window garden winter "
    "letter music painter history village station journey measure climate harvest glacier pattern lantern "
    "orchard "
).split()


class Prose:
    """Words by Zipf's law, the same for the same seed."""

    def __init__(self, seed: int = 7) -> None:
        self._random = random.Random(seed)
        self._weights = [1 / (rank + 3) for rank in range(len(WORDS))]

    def text(self, characters: int) -> str:
        words: list[str] = []
        while sum(map(len, words)) + len(words) < characters:
            words += self._random.choices(WORDS, self._weights, k=20)
            words.append(str(self._random.randrange(10_000)))
        return " ".join(words)[:characters]

    def uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def chat_graph(prose: Prose, schema: Any = MessagesState) -> StateGraph[Any]:
    """An agent that calls one tool for each of the user's messages, then answers."""

    def agent(state: Any) -> dict[str, Any]:
        if isinstance(state["messages"][-1], ToolMessage):
            answer = AIMessage(prose.text(350), id=f"lc_run--{prose.uuid()}")
            answer.usage_metadata = {"input_tokens": 900, "output_tokens": 80, "total_tokens": 980}
            return {"messages": [answer]}
        call = {
            "name": "search_files",
            "args": {"query": prose.text(40), "limit": 10},
            "id": f"toolu_{prose.uuid()[:24]}",
        }
        return {"messages": [AIMessage("", tool_calls=[call], id=f"lc_run--{prose.uuid()}")]}

    def tools(state: Any) -> dict[str, Any]:
        call = state["messages"][-1].tool_calls[0]
        return {
            "messages": [ToolMessage(prose.text(1000), tool_call_id=call["id"], name=call["name"], id=prose.uuid())]
        }

    def route(state: Any) -> str:
        return "tools" if getattr(state["messages"][-1], "tool_calls", None) else END

    builder = StateGraph(schema)
    builder.add_node("agent", agent)
    builder.add_node("tools", tools)
    builder.add_edge(START, "agent")
    builder.add_conditional_edges("agent", route, ["tools", END])
    builder.add_edge("tools", "agent")
    return builder


def user_message(prose: Prose) -> dict[str, Any]:
    return {"messages": [HumanMessage(prose.text(60), id=prose.uuid())]}
