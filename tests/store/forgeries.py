"""What a writer of the table can store as msgpack extensions: each imports something and calls it when it is read.

As a program, it stores them and reads them with a graph whose saver has no `serde=`, so that LangGraph's own variable
decides; it prints which of them ran.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ormsgpack
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde import jsonplus
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, MessagesState, StateGraph

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import create_table, running

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

CODES: dict[str, int] = {name: code for name, code in vars(jsonplus).items() if name.startswith("EXT_")}
"""The extensions that LangGraph's serializer reads, by their names."""


def extension(name: str, content: Any) -> Any:
    return ormsgpack.Ext(CODES[name], ormsgpack.packb(content))


def forgeries(file: Path) -> dict[str, Any]:
    """For each extension, one that creates the file."""
    command = ["touch", str(file)]
    nested = extension("EXT_CONSTRUCTOR_SINGLE_ARG", ["os", "system", f"touch '{file}'"])
    return {
        "EXT_CONSTRUCTOR_SINGLE_ARG": nested,
        "EXT_CONSTRUCTOR_POS_ARGS": extension("EXT_CONSTRUCTOR_POS_ARGS", ["subprocess", "call", [command]]),
        "EXT_CONSTRUCTOR_KW_ARGS": extension("EXT_CONSTRUCTOR_KW_ARGS", ["subprocess", "call", {"args": command}]),
        "EXT_PYDANTIC_V1": extension("EXT_PYDANTIC_V1", ["subprocess", "check_call", {"args": command}]),
        "EXT_PYDANTIC_V2": extension("EXT_PYDANTIC_V2", ["subprocess", "check_call", {"args": command}, "x"]),
        # These three call nothing that is not allowed, but read what is in them before they look.
        "EXT_METHOD_SINGLE_ARG": extension("EXT_METHOD_SINGLE_ARG", ["subprocess", "os", nested, "system"]),
        "EXT_NUMPY_ARRAY": extension("EXT_NUMPY_ARRAY", [nested]),
        "EXT_DELTA_SNAPSHOT": extension("EXT_DELTA_SNAPSHOT", nested),
    }


@dataclass(frozen=True)
class Forged:
    """A value whose bytes are a forger's."""

    extension: Any


class ForgingSerializer(JsonPlusSerializer):
    """A serializer that stores forged values as they are."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        if isinstance(obj, Forged):
            return "msgpack", ormsgpack.packb(obj.extension)
        return super().dumps_typed(obj)


def store(forger: DynamoDBConversationSaver, forged: Forged) -> dict[str, RunnableConfig]:
    """Conversations that hold the value, by where they hold it."""
    return {
        "channel": _conversation(forger, {"messages": [], "plan": forged}),
        "element of a list": _conversation(forger, {"messages": [forged]}),
        "pending write": _conversation(forger, {"messages": []}, forged),
    }


def _conversation(forger: DynamoDBConversationSaver, values: dict[str, Any], *written: Any) -> RunnableConfig:
    versions = dict.fromkeys(values, f"{1:032}.0")
    checkpoint = {**empty_checkpoint(), "channel_values": values, "channel_versions": versions}
    config = forger.new_conversation("alice")
    stored = forger.put(config, checkpoint, {"source": "loop", "step": 1}, versions)  # type: ignore[typeddict-item]
    if written:
        forger.put_writes(stored, [("plan", one) for one in written], "task")
    return config


def ran(read: Callable[[RunnableConfig], object], forger: DynamoDBConversationSaver, folder: Path) -> Iterator[str]:
    """The names of the forgeries, each in all places, that ran when they were stored and read."""
    trace = folder / "ran"
    for name, forged in forgeries(trace).items():
        for place, config in store(forger, Forged(forged)).items():
            read(config)
            if trace.exists():
                trace.unlink()
                yield f"{name} as {place}"


class State(MessagesState):
    """Has the channels that the conversations have."""

    plan: Any


def _main(folder: Path) -> None:
    builder = StateGraph(State)
    builder.add_edge(START, "end")
    builder.add_node("end", lambda _: {})
    with running("memory") as engine:
        client = engine.client()
        name = create_table(client)
        with (
            DynamoDBConversationSaver(name, client=client, serde=ForgingSerializer(), transcript=False) as forger,
            DynamoDBConversationSaver(name, client=client) as saver,
        ):
            print(*ran(builder.compile(checkpointer=saver).get_state, forger, folder), sep="\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
