"""A graph that answers at once, or, asked to wait, only after it was cancelled: for the tests of LangGraph's server."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph


class State(MessagesState):
    thought: str


async def think(state: State) -> dict[str, Any]:
    return {"thought": str(state["messages"][-1].content)}


async def answer(state: State) -> dict[str, Any]:
    if state["thought"].startswith("wait"):
        await asyncio.sleep(120)
    return {"messages": [AIMessage(f"answer to {state['thought']}")]}


builder = StateGraph(State)
builder.add_node("think", think)
builder.add_node("answer", answer)
builder.add_edge(START, "think")
builder.add_edge("think", "answer")
graph = builder.compile()
