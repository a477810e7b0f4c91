"""How far a call walks through the package: `python benchmarks/call_walk.py`.

Records what LangGraph asks of a checkpointer in turns of the reference chat, plays it on a table in memory until the
process knows the conversation, and traces each call of the next turn. Printed for the ordinary call of a method (the
median one of the turn; for `put`, a step whose row does not follow): how many functions of the package it enters, in
how many files, and how many of its calls lead from a function to one in another file. Comprehensions and lambdas belong
to the function that they stand in.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import langgraph_dynamo_conv
from benchmarks.profile_turn import CONFIG, Recorder
from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.memory_engine.bare import BareTable
from tests.reference_chat import Prose, chat_graph, user_message

PACKAGE = str(Path(langgraph_dynamo_conv.__file__).parent)
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


def traced(saver: DynamoDBConversationSaver, method: str, arguments: tuple[Any, ...]) -> Walk:
    """The walk of one call."""
    saver.close()  # threads are traced from their start
    tracer = Tracer()
    threading.setprofile(tracer)
    sys.setprofile(tracer)
    try:
        getattr(saver, method)(*arguments)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return tracer.walk()


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
    prose, recorder = Prose(), Recorder()
    graph = chat_graph(prose).compile(checkpointer=recorder)
    for _ in range(WARM_TURNS + 1):
        graph.invoke(user_message(prose), CONFIG, durability="sync")
    calls = recorder.calls
    last_turn = max(number for number, (method, _) in enumerate(calls) if method == "get_tuple")
    found: dict[str, list[Walk]] = {}
    with DynamoDBConversationSaver("table", client=BareTable().client()) as saver:
        for method, arguments in calls[:last_turn]:
            getattr(saver, method)(*arguments)
        for method, arguments in calls[last_turn:]:
            found.setdefault(method, []).append(traced(saver, method, arguments))
    return {name: sorted(of_method)[(len(of_method) - 1) // 2] for name, of_method in found.items()}


def main() -> None:
    print(f"{'':12}{'functions':>12}{'files':>8}{'crossings':>12}")
    for name, walk in walks().items():
        print(f"{name:12}" + f"{walk.functions:>12}{walk.files:>8}{walk.crossings:>12}")


if __name__ == "__main__":
    main()
