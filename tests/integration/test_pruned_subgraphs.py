"""What `prune` leaves of subgraphs' calls: nothing once they are over, and else all that they go on with."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt
from typing_extensions import TypedDict

from tests.factories import config as config_of
from tests.factories import items_of, put, values_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver

DURABILITIES: tuple[Literal["sync", "async", "exit"], ...] = ("sync", "async", "exit")


class Log(TypedDict):
    seen: Annotated[list[str], operator.add]


class Notes(TypedDict):
    seen: Annotated[list[str], operator.add]
    own: Annotated[list[str], operator.add]


Work = Callable[[Any], dict[str, Any]]


def graph_of(work: Work, *, first: Work | None = None) -> StateGraph[Any]:
    """A graph of one node, and of another before it."""
    builder = StateGraph(Log)
    builder.add_node("first", first or (lambda _: {"seen": ["first"]}))
    builder.add_node("work", work)
    builder.add_edge(START, "first").add_edge("first", "work")
    return builder


def ask(state: Any) -> dict[str, Any]:
    return {"seen": [f"{state['seen'][0]}: {interrupt(state['seen'][0])}"]}


def around(**inner: Any) -> StateGraph[Any]:
    """A graph whose nodes run side by side."""
    builder = StateGraph(Log)
    for name, node in inner.items():
        builder.add_node(name, node)
        builder.add_edge(START, name)
    return builder


class World:
    """A conversation, each call in a process of its own.

    Args:
        make_saver: Makes its savers.
        durability: How it is stored.
        build: The graph, not compiled.
        items: Gives all items of the table.
    """

    def __init__(self, make_saver: MakeSaver, durability: Any, build: StateGraph[Any], items: Any) -> None:
        self._make_saver = make_saver
        self.durability = durability
        self._build = build
        self._items = items
        self.config = make_saver().new_conversation("alice")

    def invoke(self, given: Any, **options: Any) -> Any:
        graph = self._build.compile(checkpointer=self._make_saver())
        return graph.invoke(given, self.config, durability=self.durability, **options)

    def prune(self) -> None:
        self._make_saver().prune([self.config["configurable"]["thread_id"]])

    def namespaces(self, kind: str = "c") -> list[str]:
        """The namespaces that have checkpoints, or task writes, without ids."""
        keys = [item["user_id"]["S"].split("#") for item in self._items()]
        found = {key[2] for key in keys if key[1:2] == [kind]}
        return sorted("|".join(part.split(":")[0] for part in ns.split("|")) for ns in found)


MakeWorld = Callable[[StateGraph[Any]], World]


@pytest.fixture(params=DURABILITIES)
def world(request: pytest.FixtureRequest, make_saver: MakeSaver, client: DynamoDBClient, table_name: str) -> MakeWorld:
    return lambda build: World(make_saver, request.param, build, lambda: items_of(client, table_name))


def test_calls_that_are_over_leave_nothing_and_a_subgraph_with_a_memory_of_its_own_goes_on(world: MakeWorld):
    def remember(state: Any) -> dict[str, Any]:
        return {"seen": [f"{len(state.get('own', []))} notes"], "own": ["note"]}

    notes = StateGraph(Notes).add_node("remember", remember).add_edge(START, "remember")
    called = graph_of(lambda _: {"seen": ["worked"]}).compile()
    outer = StateGraph(Log).add_node("called", around(inner=called).compile())
    outer.add_node("notes", notes.compile(checkpointer=True))
    outer.add_edge(START, "called").add_edge("called", "notes").add_edge("notes", END)
    one = world(outer)
    for _ in range(3):
        one.invoke({"seen": []})
    assert ("called" in one.namespaces()) == (one.durability != "exit")  # which stores only calls that go on

    one.prune()
    assert one.namespaces() == ["", "notes"]
    assert set(one.namespaces("w")) <= {"", "notes"}
    assert one.invoke({"seen": []})["seen"][-1] == "3 notes"


def test_a_question_two_levels_down_is_answered_after_a_prune_and_then_leaves_nothing(world: MakeWorld):
    one = world(around(middle=around(inner=graph_of(ask).compile()).compile()))
    assert one.invoke({"seen": ["go"]})["__interrupt__"]
    before = one.namespaces()
    one.prune()
    assert one.namespaces() == before
    assert "go: Ann" in one.invoke(Command(resume="Ann"))["seen"]

    one.prune()
    assert one.namespaces() == [""]
    assert one.namespaces("w") in ([], [""])


def test_of_calls_side_by_side_the_one_that_asks_stays_and_the_one_that_has_returned_goes(world: MakeWorld):
    runs: list[str] = []

    def work(_state: Any) -> dict[str, Any]:
        runs.append("done")
        return {"seen": ["done"]}

    one = world(around(asks=graph_of(ask).compile(), works=around(deeper=graph_of(work).compile()).compile()))
    assert one.invoke({"seen": ["go"]})["__interrupt__"]
    assert ("works" in one.namespaces()) == (one.durability != "exit")
    one.prune()
    assert one.namespaces() == ["", "asks"]

    assert {"go: Ann", "done"} <= set(one.invoke(Command(resume="Ann"))["seen"])
    assert runs == ["done"]


def test_of_calls_that_were_sent_those_that_ask_stay(world: MakeWorld):
    def answer(state: Any) -> dict[str, Any]:
        return ask(state) if state["seen"][0] != "quiet" else {"seen": ["quiet"]}

    outer = StateGraph(Log).add_node("inner", graph_of(answer).compile())
    names = ("left", "quiet", "right")
    outer.add_conditional_edges(START, lambda _: [Send("inner", {"seen": [name]}) for name in names], ["inner"])
    one = world(outer)
    first = one.invoke({"seen": []})
    answers = {asked.id: f"answer to {asked.value}" for asked in first["__interrupt__"]}
    assert one.namespaces().count("inner") == (2 if one.durability == "exit" else 3)
    one.prune()
    assert one.namespaces() == ["", "inner", "inner"]

    said = one.invoke(Command(resume=answers))["seen"]
    assert sorted(text for text in said if "answer" in text) == ["left: answer to left", "right: answer to right"]
    one.prune()
    assert one.namespaces() == [""]


def test_a_call_that_has_failed_goes_on_where_it_failed(world: MakeWorld):
    runs: list[str] = []

    def first(_state: Any) -> dict[str, Any]:
        runs.append("first")
        return {"seen": ["first"]}

    def work(_state: Any) -> dict[str, Any]:
        runs.append("work")
        if runs.count("work") == 1:
            raise ValueError("not yet")
        return {"seen": ["worked"]}

    one = world(around(inner=graph_of(work, first=first).compile()))
    with pytest.raises(ValueError, match="not yet"):
        one.invoke({"seen": []})
    one.prune()
    assert "worked" in one.invoke(None)["seen"]
    assert runs == ["first", "work", "work"]
    one.prune()
    assert one.namespaces() == [""]


def test_calls_of_a_task_that_then_asks_stay_and_do_not_run_again(world: MakeWorld):
    runs: list[str] = []

    def work(_state: Any) -> dict[str, Any]:
        runs.append("work")
        return {"seen": ["worked"]}

    called = graph_of(work).compile()

    def node(_state: Any) -> dict[str, Any]:
        said = [called.invoke({"seen": []})["seen"][-1] for _ in range(2)]
        return {"seen": [*said, interrupt("name?")]}

    one = world(around(node=node))
    assert one.invoke({"seen": []})["__interrupt__"]
    before, played = one.namespaces(), len(runs)
    is_stored = one.durability != "exit"
    assert len(before) == (3 if is_stored else 1)
    one.prune()
    assert one.namespaces() == before
    assert one.invoke(Command(resume="Ann"))["seen"] == ["worked", "worked", "Ann"]
    assert (len(runs) == played) == is_stored
    one.prune()
    assert one.namespaces() == [""]


@pytest.mark.parametrize("parents", [None, {"": "1f000000-0000-6000-8000-000000000000"}])
def test_a_call_stays_of_which_it_can_not_be_told_whether_it_is_over(make_saver: MakeSaver, parents: Any):
    saver = make_saver(clock=lambda: 0.0)  # the parent may be about to be stored
    inner = config_of(ns="inner:task")
    put(saver, 1, {"a": 1}, at=config_of())
    put(
        saver,
        2,
        {"a": 2},
        at=inner,
        metadata={"source": "loop", "step": 0, **({"parents": parents} if parents else {})},
    )
    saver.prune(["thread"])
    assert values_of(make_saver(), inner) == {"a": 2}


def test_a_call_of_a_checkpoint_that_is_long_gone_goes(make_saver: MakeSaver, client: DynamoDBClient, table_name: str):
    saver = make_saver()
    put(saver, 1, {"a": 1}, at=config_of())
    parents = {"": "1f000000-0000-6000-8000-000000000000"}
    put(saver, 2, {"a": 2}, at=config_of(ns="inner:task"), metadata={"source": "loop", "step": 0, "parents": parents})
    saver.prune(["thread"])
    assert not [one for one in items_of(client, table_name) if "inner:task" in one["user_id"]["S"]]
