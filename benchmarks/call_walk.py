"""How far a call walks through the package: `python benchmarks/call_walk.py`.

Plays the reference chat on a table in memory until the process knows the conversation, then traces every call of the
next turn. Printed for an ordinary `put` (the median one of the turn: a step whose row does not follow) and for the
turn's `get_tuple`: how many functions of the package it enters, in how many files, and how many of its calls lead from
one file to another. Comprehensions and lambdas belong to the function that they stand in.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import langgraph_dynamo_conv
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.instant_table import InstantClient, InstantTable
from tests.reference_chat import Prose, chat_graph, user_message

PACKAGE = str(Path(langgraph_dynamo_conv.__file__).parent)
CONFIG = {"configurable": {"thread_id": "chat", "user_id": "alice"}}
WARM_TURNS = 4

Function = tuple[str, str]
"""File and qualified name."""


class Walk(NamedTuple):
    """What one call of the saver passed.

    Args:
        functions: Functions of the package that it entered, each once.
        files: Files that these are in.
        crossings: Calls from a function to one in another file, each such pair once.
    """

    functions: int
    files: int
    crossings: int


class Tracer:
    """Counts what a call enters, in this thread and in those that it hands work to."""

    def __init__(self) -> None:
        self.entered: set[Function] = set()
        self.crossings: set[tuple[Function, Function]] = set()

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not _is_of_package(frame):
            return
        entered, caller = _function(frame), _caller(frame)
        self.entered.add(entered)
        if caller is not None and caller[0] != entered[0]:
            self.crossings.add((caller, entered))

    def walk(self) -> Walk:
        return Walk(len(self.entered), len({file for file, _ in self.entered}), len(self.crossings))


class Traced(DynamoDBConversationSaver):
    """A saver that keeps the walk of each call while `walks` is set."""

    walks: dict[str, list[Walk]] | None = None

    def get_tuple(self, config: Any) -> Any:
        return self._traced("get_tuple", lambda: super(Traced, self).get_tuple(config))

    def put(self, *arguments: Any) -> Any:
        return self._traced("put", lambda: super(Traced, self).put(*arguments))

    def _traced(self, name: str, call: Callable[[], Any]) -> Any:
        if self.walks is None:
            return call()
        self.close()  # threads are traced from their start
        tracer = Tracer()
        threading.setprofile(tracer)
        sys.setprofile(tracer)
        try:
            return call()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]
            self.walks.setdefault(name, []).append(tracer.walk())


def _is_of_package(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(PACKAGE) and not frame.f_code.co_name.startswith("<")


def _function(frame: FrameType) -> Function:
    return frame.f_code.co_filename, frame.f_code.co_qualname


def _caller(frame: FrameType) -> Function | None:
    """The nearest function of the package below a frame."""
    below = frame.f_back
    while below is not None:
        if _is_of_package(below):
            return _function(below)
        below = below.f_back
    return None


def walks() -> dict[str, Walk]:
    """The ordinary walk of each method, in a warm turn of the reference chat."""
    prose = Prose()
    saver = Traced("t", client=InstantClient(InstantTable()))
    graph = chat_graph(prose).compile(checkpointer=saver)
    for _ in range(WARM_TURNS):
        graph.invoke(user_message(prose), CONFIG, durability="sync")
    saver.walks = {}
    graph.invoke(user_message(prose), CONFIG, durability="sync")
    saver.close()
    return {name: sorted(found)[(len(found) - 1) // 2] for name, found in saver.walks.items()}


def main() -> None:
    print(f"{'':12}{'functions':>12}{'files':>8}{'crossings':>12}")
    for name, walk in walks().items():
        print(f"{name:12}" + f"{walk.functions:>12}{walk.files:>8}{walk.crossings:>12}")


if __name__ == "__main__":
    main()
