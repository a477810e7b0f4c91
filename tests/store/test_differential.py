"""Random sequences of calls give the same answers as LangGraph's own `InMemorySaver`.

The sequences are the same every time, unless `DIFFERENTIAL_EXAMPLES` asks for so many new ones (of 40 calls each).
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_dynamo_conv import DynamoDBConversationSaver
from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import Write
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from tests.conftest import Report
from tests.engines import Engine, create_table
from tests.factories import USER, checkpoint_id, config, noise
from tests.thresholds import refer_to_small_values

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

WANTED = os.environ.get("DIFFERENTIAL_EXAMPLES")
EXAMPLES = int(WANTED or 24)
PARTS = 4
CALLS_IN_EXAMPLE = 40
EXAMPLES_ON_DYNAMODB_LOCAL = 5
_MOST_ROUNDS = 5
FEWEST_STEPS = 20
"""Answers compared in an example, on average: fewer would mean that calls were skipped."""

Place = tuple[str, str]
"""Thread and namespace."""

THREADS = ("one", "two")
NAMESPACES = ("", "node:1", "node:1|inner:2#%", "long" * 60)
CHANNELS = ("messages", "items", "named", "scalar", "gone")
WRITE_CHANNELS = (*CHANNELS, "__error__", "__interrupt__", "__resume__", "__scheduled__")
WARM, OTHER, COLD = range(3)
WHOLE = "the whole list and one more"
"""Stands for what an agent writes that gives back all that is in the state."""

places = st.tuples(st.sampled_from(THREADS), st.sampled_from(NAMESPACES[:1] * 3 + NAMESPACES[1:]))
savers = st.sampled_from([WARM, WARM, OTHER, COLD])
numbers = st.integers(0, 99)
texts = st.builds(
    lambda size, seed: noise(size // 2, seed).hex(),
    st.sampled_from([2, 2, 2, 40, 40, 400, 4000, 60_000]),
    st.integers(0, 30),
)
scalars = st.one_of(
    texts, st.none(), st.booleans(), st.integers(-3, 3), st.floats(allow_nan=False), st.binary(max_size=4)
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=3),
    st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
    st.dictionaries(st.integers(0, 2), scalars, max_size=2),
)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("say"), texts),
        st.tuples(st.just("append"), values),
        st.tuples(st.sampled_from(["trim", "drop last", "reverse", "rotate", "clear", "double", "reword"]), numbers),
        st.tuples(st.just("replace"), values),
        st.tuples(st.just("name"), st.tuples(st.sampled_from("abcdef"), values)),
        st.tuples(st.sampled_from(["unname", "reorder"]), st.sampled_from("abcdef")),
        st.tuples(st.just("scalar"), values),
        st.tuples(st.sampled_from(["add gone", "remove gone"]), st.none()),
    ),
    max_size=3,
)


CALLS: dict[str, tuple[int, dict[str, st.SearchStrategy[Any]]]] = {
    "step": (8, {"changes": edits, "has_run": st.booleans()}),
    "many_steps": (2, {"changes": edits, "count": st.integers(2, 30)}),
    "call": (3, {"around": st.integers(0, 1)}),
    "fork": (3, {"which": numbers, "changes": edits}),
    "put_again": (2, {"which": numbers, "changes": st.just([]) | edits}),
    "write": (
        10,
        {
            "which": st.just(1) | numbers,  # the newest as often as any
            "task": st.sampled_from(["t1", "t2", "task#%/é"]),
            "path": st.sampled_from(["", "~__pregel_pull, a", "~__pregel_push, 10", "~__pregel_push, 9"]),
            "writes": st.lists(st.tuples(st.sampled_from(WRITE_CHANNELS), values | st.just(WHOLE)), max_size=14),
        },
    ),
    "get_newest": (2, {}),
    "get_with_a_clone": (1, {}),
    "get_one": (3, {"which": numbers}),
    "list_one_namespace": (
        2,
        {
            "which": st.none() | numbers,
            "before": st.none() | numbers,
            "limit": st.none() | st.integers(0, 5),
            "wanted": st.sampled_from([None, {}, {"source": "fork"}, {"step": 3}, {"run_id": "r"}, {"nothing": None}]),
        },
    ),
    "list_all_namespaces": (1, {}),
    "replay": (2, {"which": st.none() | numbers, "channels": st.sets(st.sampled_from(CHANNELS))}),
    "delete": (1, {"really": st.integers(0, 3)}),
}
"""How often each call is made, and what it is given."""

calls = st.sampled_from([kind for kind, (weight, _) in CALLS.items() for _ in range(weight)]).flatmap(
    lambda kind: st.tuples(st.just(kind), st.fixed_dictionaries({"place": places, "by": savers, **CALLS[kind][1]}))
)


def edit(state: dict[str, Any], kind: str, argument: Any) -> str:
    """Change a state in place; gives the channel that changed."""
    if kind == "say":
        person = HumanMessage if len(state["messages"]) % 2 == 0 else AIMessage
        state["messages"].append(person(argument, id=f"m{len(state['messages'])}"))
        return "messages"
    if kind in ("name", "unname", "reorder"):
        _edit_dict(state["named"], kind, argument)
        return "named"
    if kind == "scalar":
        state["scalar"] = argument
        return "scalar"
    if kind in ("add gone", "remove gone"):
        state.pop("gone", None)
        state.update({"gone": [1]} if kind == "add gone" else {})
        return "gone"
    channel = "messages" if kind in ("trim", "reword") and state["messages"] else "items"
    _edit_list(state[channel], kind, argument)
    return channel


def _edit_dict(named: dict[str, Any], kind: str, argument: Any) -> None:
    if kind == "name":
        named[argument[0]] = argument[1]
    elif argument in named:
        value = named.pop(argument)
        named.update({argument: value} if kind == "reorder" else {})


def _edit_list(items: list[Any], kind: str, argument: Any) -> None:
    at = argument % len(items) if items and isinstance(argument, int) else 0
    if kind == "append":
        items.append(argument)
    elif kind == "trim":
        del items[: at + 1]
    elif kind == "drop last":
        del items[at:]
    elif kind == "reverse":
        items.reverse()
    elif kind == "rotate":
        items[:] = items[at:] + items[:at]
    elif kind == "double":
        items[at:at] = items[at : at + 2]
    elif kind == "clear":
        items.clear()
    elif kind == "reword" and items and isinstance(items[at], BaseMessage):
        items[at].content = f"reworded {argument}"
    elif kind == "replace" and items:
        items[len(items) // 2] = argument


class Differential(RuleBasedStateMachine):
    """This saver, thrice on one table, and `InMemorySaver` side by side."""

    steps = 0

    def __init__(self, client: DynamoDBClient) -> None:
        super().__init__()
        self.client = client
        self.table_name = create_table(client)  # one for each sequence: moto's queries read the whole table
        self.memory = InMemorySaver()
        self.savers = [
            DynamoDBConversationSaver(self.table_name, client=client, cache_bytes=cache_bytes)
            for cache_bytes in (10**8, 10**6, 0)
        ]
        self.count = 0
        self.version = 0
        self.live: dict[Place, tuple[int, dict[str, Any], dict[str, int]]] = {}
        self.parents: dict[Place, dict[int, int | None]] = defaultdict(dict)
        self.last_writer: dict[Place, int] = {}

    def teardown(self) -> None:
        for saver in self.savers:
            saver.close()
        self.client.delete_table(TableName=self.table_name)

    @rule(call=calls)
    def one_call(self, call: tuple[str, dict[str, Any]]) -> None:
        """One rule for all calls: with a rule for each, whole kinds of calls are left out of most sequences."""
        kind, arguments = call
        getattr(self, kind)(**arguments)

    def step(self, place: Place, changes: list[Any], by: int, *, has_run: bool = False) -> None:
        """The next step: the same objects, changed in place."""
        parent, state, versions = self.live.get(place) or (None, new_state(), {})
        self.count += 1
        self._put(place, self.count, parent, state, versions, changes, by, {"run_id": "r"} if has_run else {})

    def many_steps(self, place: Place, changes: list[Any], count: int, by: int) -> None:
        """Enough of them for a full checkpoint."""
        for number in range(count):
            self.step(place, changes[number % len(changes) :][:1] if changes else [], by)

    def call(self, place: Place, around: int, by: int) -> None:
        """The first checkpoint of a subgraph that is given what its caller has."""
        if place[1] == "":
            return
        root = place[0], ""
        if root not in self.live:
            self.step(root, [], by)
        enclosing = [(place[0], ns) for ns in ("", "node:1")[: 1 + around] if ns != place[1]]
        callers = {at[1]: self.live[at][0] for at in enclosing if at in self.live}
        nearest = max(callers, key=len)
        state, _ = self._state_of((place[0], nearest), callers[nearest])
        parents = {ns: checkpoint_id(number) for ns, number in callers.items()}
        self.count += 1
        self._put(place, self.count, None, state, {}, [], by, {"parents": parents})

    def fork(self, place: Place, which: int, changes: list[Any], by: int) -> None:
        """A child of any old checkpoint."""
        if known := sorted(self.parents[place]):
            parent = known[which % len(known)]
            state, versions = self._state_of(place, parent)
            self.count += 1
            self._put(place, self.count, parent, state, versions, changes, by, {})

    def put_again(self, place: Place, which: int, changes: list[Any], by: int) -> None:
        """An id that is there already, with the same or with another content."""
        if known := sorted(self.parents[place]):
            number = known[-1 - which % len(known)]
            state, versions = self._state_of(place, number)
            self._put(place, number, self.parents[place][number], state, versions, changes, by, {})

    def write(self, place: Place, which: int, task: str, path: str, writes: list[Any], by: int) -> None:
        """Task writes, also on the checkpoint that comes next."""
        known = [*self.parents[place], self.count + 1]
        number = known[-1 - which % len(known)]
        at = self._config(place, number)
        state = self._state_of(place, number)[0] if number in self.parents[place] else new_state()
        held = [*state["messages"], *state["items"], *state["named"].values()]
        writes = [(channel, [*held, "more"] if value == WHOLE else value) for channel, value in writes]
        if self.last_writer.get(place, by) != by:
            self.savers[by].get_tuple(self._config(place))  # as LangGraph does before a run
        for saver in (self.memory, self.savers[by]):
            saver.put_writes(at, writes, task, path)
        self._count()

    def get_newest(self, place: Place, by: int) -> None:
        self._compare_tuple(self._config(place), by)

    def get_with_a_clone(self, place: Place, by: int) -> None:
        self._compare_tuple(self._config(place), by, clone=True)

    def get_one(self, place: Place, which: int, by: int) -> None:
        known = [*self.parents[place], 0, self.count + 1]
        self._compare_tuple(self._config(place, known[which % len(known)]), by)

    def list_one_namespace(
        self, place: Place, which: int | None, before: int | None, limit: int | None, wanted: Any, by: int
    ) -> None:
        known = [*self.parents[place], self.count + 1]
        at = self._config(place, None if which is None else known[which % len(known)])
        bound = None if before is None else self._config(place, known[before % len(known)])
        answers = [
            [seen(found) for found in saver.list(at, before=bound, limit=limit, filter=wanted)]
            for saver in (self.memory, self.savers[by])
        ]
        assert answers[1] == answers[0]
        self._count()

    def list_all_namespaces(self, place: Place, by: int) -> None:
        at: Any = {"configurable": {"thread_id": place[0], "user_id": USER}}
        answers = []
        for saver in (self.memory, self.savers[by]):
            by_namespace = defaultdict(list)
            for found in saver.list(at):
                by_namespace[found.config["configurable"]["checkpoint_ns"]].append(seen(found))
            answers.append(by_namespace)
        assert answers[1] == answers[0]
        self._count()

    def replay(self, place: Place, which: int | None, channels: set[str], by: int) -> None:
        """What a `DeltaChannel` asks for."""
        known = [*self.parents[place], self.count + 1]
        at = self._config(place, None if which is None else known[which % len(known)])
        answers = [
            shape(dict(saver.get_delta_channel_history(config=at, channels=sorted(channels))))
            for saver in (self.memory, self.savers[by])
        ]
        assert answers[1] == answers[0]
        self._count()

    def delete(self, place: Place, really: int, by: int) -> None:
        """All of a thread, but not often."""
        if really == 0:
            for saver in (self.memory, self.savers[by]):
                saver.delete_thread(place[0])
            for gone in [known for known in self.parents if known[0] == place[0]]:
                self.live.pop(gone, None)
                del self.parents[gone]
        self._compare_tuple(self._config(place), by)

    def _put(
        self,
        place: Place,
        number: int,
        parent: int | None,
        state: dict[str, Any],
        versions: dict[str, int],
        changes: list[Any],
        by: int,
        more: dict[str, Any],
    ) -> None:
        changed = [edit(state, *change) for change in changes] if versions else list(CHANNELS)
        new_versions = {}
        for channel in changed:
            self.version += 1
            new_versions[channel] = self.version
        versions = {**versions, **new_versions}
        at = self._config(place, parent)
        writer = self.savers[by]
        if self.last_writer.get(place, by) != by:
            writer.get_tuple(at)  # as LangGraph does before a run
        for saver in (self.memory, writer):
            checkpoint: Any = {
                "v": 4,
                "ts": str(self.version),
                "id": checkpoint_id(number),
                "channel_values": dict(state),
                "channel_versions": versions,
                "versions_seen": {"__input__": {}, "node": {channel: versions[channel] for channel in changed}},
                "updated_channels": sorted(set(changed)),
            }
            source = "loop" if parent is None or parent == number - 1 else "fork"
            saver.put(at, checkpoint, {"source": source, "step": len(self.parents[place]), **more}, new_versions)  # type: ignore[typeddict-item]
        self.last_writer[place] = by
        self.parents[place][number] = parent
        self.live[place] = number, state, versions
        self._compare_tuple(self._config(place, number), by)

    def _compare_tuple(self, at: Any, by: int, *, clone: bool = False) -> None:
        saver = self.savers[by].with_allowlist([("nothing", "Here")]) if clone else self.savers[by]
        expected = self.memory.get_tuple(at)
        assert seen(saver.get_tuple(at)) == seen(expected)
        self._count()

    def _state_of(self, place: Place, number: int) -> tuple[dict[str, Any], dict[str, int]]:
        found = self.memory.get_tuple(self._config(place, number))
        assert found is not None
        return found.checkpoint["channel_values"], dict(found.checkpoint["channel_versions"])

    def _config(self, place: Place, number: int | None = None) -> Any:
        return config(place[0], number, ns=place[1])

    def _count(self) -> None:
        type(self).steps += 1


def new_state() -> dict[str, Any]:
    return {"messages": [f"message {number}" for number in range(8)], "items": [], "named": {}, "scalar": None}


def seen(found: CheckpointTuple | None) -> Any:
    """All that a tuple says, but for the user, which `InMemorySaver` does not know."""
    if found is None:
        return None
    sections = {name: shape(value) for name, value in found.checkpoint.items() if name != "channel_values"}
    channels = {name: shape(value) for name, value in found.checkpoint["channel_values"].items()}
    return {
        "config": place_of(found.config),
        "parent": place_of(found.parent_config) if found.parent_config else None,
        "metadata": {name: shape(value) for name, value in found.metadata.items()},
        "sections": sections,
        "channels": channels,
        "writes": [shape(write) for write in found.pending_writes or []],
    }


def place_of(at: Any) -> tuple[Any, ...]:
    return tuple(at["configurable"].get(name) for name in ("thread_id", "checkpoint_ns", "checkpoint_id"))


def shape(value: Any) -> Any:
    """Equal only for equal values of equal types in equal order."""
    if isinstance(value, BaseMessage):
        return type(value), shape(value.model_dump())
    if isinstance(value, dict):
        return dict, [(shape(key), shape(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    return type(value), repr(value)


def run(client: DynamoDBClient, examples: int, part: int, report: Report, engine: Engine) -> int:
    machine = type("Machine", (Differential,), {"steps": 0})

    def factory() -> Differential:
        return machine(client)  # type: ignore[no-any-return]

    run_state_machine_as_test(
        factory if WANTED else seed(part)(factory),
        settings=settings(
            max_examples=examples,
            stateful_step_count=CALLS_IN_EXAMPLE,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    report(f"{machine.steps} steps compared with InMemorySaver on {engine.name}")
    return machine.steps


@pytest.mark.engine("memory")
@pytest.mark.timeout(0 if WANTED else 300)
@pytest.mark.parametrize("part", range(PARTS))
def test_random_calls_give_the_answers_of_the_in_memory_saver(
    part: int, client: DynamoDBClient, report: Report, engine: Engine
) -> None:
    examples = EXAMPLES // PARTS
    assert run(client, examples, part, report, engine) >= FEWEST_STEPS * examples


@pytest.mark.engine("memory")
@pytest.mark.timeout(0 if WANTED else 300)
@pytest.mark.parametrize("part", range(PARTS, 2 * PARTS))
def test_they_do_where_small_values_are_referred_to_and_packed_as_large_ones_are(
    part: int, client: DynamoDBClient, report: Report, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refer_to_small_values(monkeypatch)
    references = Counter[str]()

    def counted(self: Write, stored: StoredCheckpoint, whole: Any = Write.whole) -> Write:
        references["writes"] += bool(self.built_on)
        return whole(self, stored)  # type: ignore[no-any-return]

    def seen_caller(self: Checkpoints, *arguments: Any, caller: Any = Checkpoints.caller) -> Any:
        found = caller(self, *arguments)
        references["callers"] += found is not None
        return found

    monkeypatch.setattr(Write, "whole", counted)
    monkeypatch.setattr(Checkpoints, "caller", seen_caller)
    examples = EXAMPLES // PARTS
    # Which sequences a seed gives depends on the modules that are imported: some hold none of one kind.
    for number in range(part, part + _MOST_ROUNDS * PARTS, PARTS):
        assert run(client, examples, number, report, engine) >= FEWEST_STEPS * examples
        if min(references["writes"], references["callers"]) > 0:
            break
    report(f"of these references: {dict(references)}")
    assert min(references["writes"], references["callers"]) > 0


@pytest.mark.engine("dynamodb-local")
def test_they_do_on_dynamodb_local_too(client: DynamoDBClient, report: Report, engine: Engine) -> None:
    examples = EXAMPLES_ON_DYNAMODB_LOCAL
    assert run(client, examples, PARTS, report, engine) >= FEWEST_STEPS * examples


def test_savers_are_what_is_compared(saver: DynamoDBConversationSaver) -> None:
    assert seen(saver.get_tuple(config())) == seen(InMemorySaver().get_tuple(config()))
