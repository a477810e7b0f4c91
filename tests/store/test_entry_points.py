"""Whose data each public call reaches: docs/security.md has the table, and every line of it is shown here.

The rule: what is done for a user comes to the same, to the last request, as if no other user had ever been there.
"""

from __future__ import annotations

import copy
import inspect
import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.runnables.config import merge_configs

from langgraph_dynamo_conv import DynamoDBConversationSaver, conversations, migration, provision
from langgraph_dynamo_conv import saver as saver_module
from langgraph_dynamo_conv._calls.config import OwnedThreadId
from langgraph_dynamo_conv._format.keys import parse_sk
from langgraph_dynamo_conv.cli import app_of, main
from langgraph_dynamo_conv.cli.app import PROGRAM
from langgraph_dynamo_conv.migration import by_mapping, by_metadata, everyone, read_mapping
from tests.factories import COPIES, TEXTS
from tests.requests_log import RequestLog
from tests.store.attempts import (
    AS_TEXT,
    EVERY,
    OF_A_COMMAND,
    OF_A_CONFIG,
    OF_A_USER,
    OF_ANY_CONVERSATION,
    RUN,
    THREAD,
    WITH_A_SCAN,
    WITHOUT_A_TWIN,
    Asker,
    Attempt,
    Calls,
    Known,
    Twins,
    begun,
    call_of,
    command,
    on_its_table,
    restored,
)
from tests.store.worlds import Told, World

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.conftest import MakeSaver

pytestmark = pytest.mark.engine("memory")
"""`test_isolation` makes the attempts on DynamoDB Local too, in one shape of each id."""

VICTIM, ATTACKER = "alice", "bob"
OF_THE_ATTACKER, SAME = (ATTACKER, "a conversation of the attacker"), (ATTACKER, THREAD)

SIDES = {"calls": Calls, "twins": Twins}
each_side = pytest.mark.parametrize("side", SIDES)

Configured = Callable[[Asker], dict[str, Any]]

SHAPES: dict[str, Callable[[Any], Any]] = {"as it is": lambda one: one, **COPIES, **TEXTS}
"""What becomes of the `thread_id` of the victim's state."""

LOOK_ALIKES: dict[str, Callable[[str], Any]] = {
    "#": lambda one: f"{one}#",
    "# before": lambda one: f"#{one}",
    "prefix": lambda one: f"{one}#c#",
    "a sort key": lambda _: f"{VICTIM}#c##",
    "the user": lambda _: VICTIM,
    "user#": lambda one: f"user#{one}",
    "run": lambda _: f"run#{RUN}",
    "escaped": lambda one: f"{one}%23c%23",
    "empty": lambda _: "",
    "upper case": str.upper,
    "a space": lambda one: f" {one}",
    "shorter": lambda one: one[:-1],
    "no width": lambda one: f"{one}\u200b",
    "decomposed": lambda one: unicodedata.normalize("NFD", f"{one}é"),
    "last": lambda one: f"{one}\U0010ffff",
    "NUL": lambda one: f"{one}\x00",
    "surrogate": lambda one: f"{one}\ud800",
    "bytes": str.encode,
    "a list": lambda one: [one],
    "an expression": lambda one: {"S": one},
    "a number": lambda _: 7,
    "true": lambda _: True,
    "too long": lambda one: one * 100,
}
"""Ids like the victim's, and what is no id."""


def state_of(asker: Asker) -> dict[str, Any]:
    """The config of the victim's state, its `thread_id` in the shape at hand."""
    return {**asker.known.state["configurable"], "thread_id": asker.known.thread_id}


def without_user(asker: Asker) -> dict[str, Any]:
    return {name: value for name, value in state_of(asker).items() if name != "user_id"}


def merged(asker: Asker) -> dict[str, Any]:
    users = {"configurable": {"user_id": asker.user_id}}
    return merge_configs({"configurable": state_of(asker)}, users)["configurable"]  # type: ignore[arg-type,return-value]


ADMITTED: dict[str, Configured] = {
    "user": lambda a: {"thread_id": a.known.thread_id, "user_id": a.user_id},
    "authenticated": lambda a: {"thread_id": a.known.thread_id, "langgraph_auth_user_id": a.user_id},
    "both": lambda a: {
        "thread_id": a.known.thread_id,
        "user_id": a.user_id,
        "langgraph_auth_user_id": a.user_id,
    },
    "user, without authentication": lambda a: {**state_of(a), "user_id": a.user_id, "langgraph_auth_user_id": ""},
    "the victim's config, user replaced": lambda a: {**state_of(a), "user_id": a.user_id},
    "the victim's config without the user": lambda a: {**without_user(a), "langgraph_auth_user_id": a.user_id},
    "the victim's config, both replaced": lambda a: {
        **copy.deepcopy(state_of(a)),
        "user_id": a.user_id,
        "langgraph_auth_user_id": a.user_id,
    },
    "the victim's config merged": merged,
}
"""Configs that mean the attacker, whatever of the victim's is in them."""

REFUSED: dict[str, Configured] = {
    "the victim's config, authenticated": lambda a: {**state_of(a), "langgraph_auth_user_id": a.user_id},
    "the victim's user, authenticated": lambda a: {
        "thread_id": THREAD,
        "user_id": VICTIM,
        "langgraph_auth_user_id": a.user_id,
    },
    "authenticated, user None": lambda a: {**state_of(a), "user_id": None, "langgraph_auth_user_id": a.user_id},
    "user None": lambda a: {**state_of(a), "user_id": None},
    "authenticated None": lambda a: {**state_of(a), "langgraph_auth_user_id": None},
    "authenticated, user empty": lambda a: {**state_of(a), "user_id": "", "langgraph_auth_user_id": a.user_id},
    "user empty": lambda a: {**state_of(a), "user_id": ""},
    "nobody": lambda _: {"thread_id": THREAD},
    "nobody, without authentication": lambda _: {"thread_id": THREAD, "langgraph_auth_user_id": ""},
    **{
        f"authenticated {one!r}": lambda a, one=one: {**state_of(a), "langgraph_auth_user_id": one}  # type: ignore[misc]
        for one in (0, False, [], {}, [VICTIM], {"identity": VICTIM}, b"alice", f"{VICTIM}#", f"{VICTIM}\x00")
    },
    **{
        f"user {one!r}": lambda _, one=one: {"thread_id": THREAD, "user_id": one}  # type: ignore[misc]
        for one in (f"{VICTIM}#", f"{VICTIM}#c#", f"#{VICTIM}", f"{VICTIM}\x00", [VICTIM], {"S": VICTIM}, 0, True)
    },
}
"""Configs that mean nobody, or two."""

REACHING: dict[str, Configured] = {
    "the victim's config": state_of,
    "the victim's config, authenticated": lambda a: {**state_of(a), "langgraph_auth_user_id": VICTIM},
    "the thread_id of the victim's state": lambda a: {"thread_id": a.known.thread_id},
    "the same, without authentication": lambda a: {"thread_id": a.known.thread_id, "langgraph_auth_user_id": ""},
    "the victim, authenticated": lambda _: {"thread_id": THREAD, "langgraph_auth_user_id": VICTIM},
}
"""Configs that mean the victim: where the program, or the server, names them, or where a state was read."""

USERS = ("user_id", "langgraph_auth_user_id")


@pytest.fixture
def worlds(client: DynamoDBClient) -> Iterator[tuple[World, World]]:
    """A table with conversations of the victim and of the attacker, and one where the victim has never been."""
    with World(client, (VICTIM, THREAD), OF_THE_ATTACKER) as there, World(client, OF_THE_ATTACKER) as nowhere:
        yield there, nowhere


def shaped(known: Known, side: str) -> Iterator[Known]:
    """What the attacker knows, with the victim's id in each shape, and ids like it; for the twins some of them."""
    thread_id = known.state["configurable"]["thread_id"]
    assert isinstance(thread_id, OwnedThreadId)
    shapes = [*(change(thread_id) for change in SHAPES.values()), *(like(THREAD) for like in LOOK_ALIKES.values())]
    for shape in shapes if side == "calls" else shapes[::8]:
        yield replace(known, thread_id=shape)


def compared(worlds: tuple[World, World], side: str, name: str, asker: Asker) -> Told:
    """Make the same attempt where the victim is and where not: nothing differs, and the victim's items stay."""
    there, nowhere = (world.told(SIDES[side], EVERY[name], asker, is_warm=side == "calls") for world in worlds)
    assert there.words == nowhere.words
    assert there.owners <= {ATTACKER}
    assert there.kinds_of(ATTACKER) == nowhere.kinds_of(ATTACKER)
    of_the_victim = {key: item for key, item in worlds[0].items.items() if key not in worlds[1].items}
    assert {parse_sk(key.sk).kind for key in of_the_victim} == {"row", "c", "w", "r"}
    assert {key: there.items.get(key) for key in of_the_victim} == of_the_victim
    assert name in WITH_A_SCAN or sent(there, name) == sent(nowhere, name)
    return there


def sent(told: Told, name: str) -> list[Any]:
    """The requests that can be compared: LangGraph's own ids are others each time, so that units may differ."""
    return [request[0] for request in told.requests] if name.startswith("graph.") else told.requests


@each_side
@pytest.mark.parametrize("name", OF_A_CONFIG)
def test_a_config_that_names_a_user_reaches_nobody_elses(worlds: tuple[World, World], name: str, side: str) -> None:
    known = worlds[0].known[0]
    for one in shaped(known, side):
        compared(worlds, side, name, Asker(ATTACKER, one, ADMITTED["authenticated"]))
    for way in ADMITTED.values():
        compared(worlds, side, name, Asker(ATTACKER, known, way))


@each_side
@pytest.mark.parametrize("name", OF_A_CONFIG)
def test_a_config_that_names_nobody_or_two_is_refused(worlds: tuple[World, World], name: str, side: str) -> None:
    known = worlds[0].known[0]
    for way in REFUSED.values():
        told = compared(worlds, side, name, Asker(ATTACKER, known, way))
        assert told.words.startswith(("ValueError: ", "UserRequiredError: "))
        assert told.requests == []


@each_side
@pytest.mark.parametrize("name", OF_A_USER | WITH_A_SCAN)
def test_a_call_that_names_a_user_reaches_nobody_elses(worlds: tuple[World, World], name: str, side: str) -> None:
    for known in shaped(worlds[0].known[0], side):
        compared(worlds, side, name, Asker(ATTACKER, known))


@pytest.mark.parametrize("name", WITHOUT_A_TWIN | OF_A_COMMAND)
def test_what_has_no_twin_reaches_nobody_elses(worlds: tuple[World, World], name: str) -> None:
    known = worlds[0].known[0]
    for thread_id in (known.thread_id, f"{THREAD}#"):
        compared(worlds, "calls", name, Asker(ATTACKER, replace(known, thread_id=thread_id)))


# By design: who reaches another's


@pytest.fixture
def equals(client: DynamoDBClient) -> Iterator[tuple[World, World]]:
    """Two tables with the same conversation of the victim."""
    with World(client, (VICTIM, THREAD)) as one, World(client, (VICTIM, THREAD)) as other:
        yield one, other


@each_side
@pytest.mark.parametrize("name", OF_A_CONFIG)
def test_a_states_config_reaches_whose_state_it_was(equals: tuple[World, World], name: str, side: str) -> None:
    (known,), owner = equals[0].known, Asker(VICTIM, equals[0].known[0], ADMITTED["user"])
    own = equals[0].told(SIDES[side], EVERY[name], owner, is_warm=False)
    for shape in ("as it is", "deepcopy", "pickle 0", "pickle 5"):
        for way in REACHING.values():
            shaped_id = SHAPES[shape](known.thread_id)
            asker = Asker(ATTACKER, replace(known, thread_id=shaped_id), way)
            told = equals[1].told(SIDES[side], EVERY[name], asker, is_warm=False)
            names_nobody = name in OF_ANY_CONVERSATION | AS_TEXT and not any(map(way(asker).get, USERS))
            if names_nobody:
                assert told.words.startswith("UserRequiredError: ")
                continue
            assert told.words == own.words
            assert told.kinds_of(VICTIM) == own.kinds_of(VICTIM)
            assert told.items_of(ATTACKER) == {}


EVERYBODYS: dict[str, tuple[Callable[[Any], Any], dict[str, int]]] = {
    "saver.list": (lambda s: list(s.list(None)), {THREAD: 4}),
    "saver.delete_thread": (lambda s: s.delete_thread(THREAD), {}),
    "saver.prune": (lambda s: s.prune([THREAD]), {THREAD: 2}),
    "saver.prune, delete": (lambda s: s.prune([THREAD], strategy="delete"), {}),
    "saver.delete_for_runs": (lambda s: s.delete_for_runs([RUN]), {THREAD: 1}),
    "saver.copy_thread": (lambda s: s.copy_thread(THREAD, "a copy"), {THREAD: 4, "a copy": 4}),
}
"""Calls that without a user are for administration, and how many checkpoints every user has in which conversation."""


@each_side
@pytest.mark.parametrize("name", EVERYBODYS)
def test_without_a_user_these_act_on_everybodys_share(make_saver: MakeSaver, name: str, side: str) -> None:
    saver = make_saver()
    for user in (VICTIM, ATTACKER):
        begun(saver, user, THREAD)
    call, left = EVERYBODYS[name]
    given = call(SIDES[side](make_saver()).saver)

    found = [one.config["configurable"] for one in make_saver().list(None)]
    assert Counter((one["user_id"], one["thread_id"]) for one in found) == {
        (user, thread): count for user in (VICTIM, ATTACKER) for thread, count in left.items()
    }
    assert given is None or [one.config["configurable"] for one in given] == found


def on_the_table(call: Callable[..., Any]) -> Attempt:
    return lambda calls, asker: on_its_table(calls, lambda: call(asker.known.thread_id))


OF_THE_ONE_USER: dict[str, Attempt] = {
    "conversations.owner": lambda c, a: c.conversations.owner(a.known.thread_id),
    "conversations.verify": lambda c, a: c.conversations.verify(a.known.thread_id),
    "conversations.add_message": lambda c, a: c.conversations.add_message(
        a.known.thread_id, "user", "more", message_id="m"
    ),
    "conversations.edit_message": lambda c, a: c.conversations.edit_message(
        a.known.thread_id, a.known.message_id, "other"
    ),
    "conversations.remove_message": lambda c, a: c.conversations.remove_message(a.known.thread_id, a.known.message_id),
}
NO_TWIN_OF_THE_ONE_USER: dict[str, Attempt] = {
    "get_conversation": on_the_table(lambda thread_id: conversations.get_conversation(thread_id)),
    "add_message": on_the_table(lambda thread_id: conversations.add_message(thread_id, "user", "more")),
    **{
        f"command {words[0]}": command(*words)
        for words in (
            ("rename", "{id}", "Other"),
            ("delete", "{id}", "--yes"),
            ("show", "{id}"),
            ("export", "{id}"),
            ("history", "{id}"),
            ("state", "{id}"),
            ("prune", "{id}", "--yes"),
            ("verify", "{id}"),
            ("stats", "{id}"),
        )
    },
    "command restore-conversation": restored("{id}"),
}
"""Calls that without a user find the one who has the conversation: for administration."""


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *((name, side) for name in OF_THE_ONE_USER for side in SIDES),
        *((name, "calls") for name in NO_TWIN_OF_THE_ONE_USER),
    ],
)
def test_without_a_user_these_find_the_one_who_has_it(client: DynamoDBClient, name: str, side: str) -> None:
    attempt = (OF_THE_ONE_USER | NO_TWIN_OF_THE_ONE_USER)[name]
    with World(client, (VICTIM, THREAD), OF_THE_ATTACKER) as world, World(client, (VICTIM, THREAD), SAME) as shared:
        asker = Asker(ATTACKER, world.known[0])
        done = world.told(SIDES[side], attempt, asker, is_warm=False)
        refused = shared.told(SIDES[side], attempt, asker, is_warm=False)

        assert not done.words.startswith(("ValueError", "ConversationNotFoundError", "(2", "(3"))
        assert done.items_of(ATTACKER).items() <= world.items.items()
        assert "several users have a conversation of this id: say which with user_id" in refused.words
        assert refused.items == shared.items


def test_who_names_a_user_reaches_that_user(client: DynamoDBClient) -> None:
    with World(client, (VICTIM, THREAD)) as world:
        for name in (*OF_A_USER, *WITH_A_SCAN, *WITHOUT_A_TWIN, "command list", "command delete-user"):
            attempt = EVERY[name]
            of_nobody = world.told(Calls, attempt, Asker("nobody", world.known[0]), is_warm=False)
            of_the_victim = world.told(Calls, attempt, Asker(VICTIM, world.known[0]), is_warm=False)

            assert of_nobody.items_of(VICTIM) == world.items, name
            has_changed = of_the_victim.items != world.items
            assert (of_the_victim.words != of_nobody.words or has_changed) is (name != "saver.setup"), name


def test_commands_without_a_conversation_count_the_whole_table(client: DynamoDBClient) -> None:
    with World(client, (VICTIM, THREAD), OF_THE_ATTACKER) as world:
        told = world.told(Calls, command("stats"), Asker(ATTACKER, world.known[0]), is_warm=False)

        assert '"users": 2' in told.words
        assert told.items == world.items


ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/t"


def mapping_read() -> dict[str, str]:
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
        file.write("thread_id,user_id\n")
        file.flush()
        return read_mapping(file.name)


PURE: dict[str, Callable[[DynamoDBConversationSaver], Any]] = {
    "saver.close": lambda s: s.close(),
    "saver.config_specs": lambda s: s.config_specs,
    "saver.conversations": lambda s: s.conversations,
    "saver.get_next_version": lambda s: s.get_next_version(None, None),
    "saver.with_allowlist": lambda s: s.with_allowlist([]),
    "conversations.close": lambda s: s.conversations.close(),
    "by_mapping": lambda _: by_mapping({THREAD: ATTACKER})(THREAD, list),
    "by_metadata": lambda _: by_metadata("owner")(THREAD, lambda: [{"owner": ATTACKER}]),
    "everyone": lambda _: everyone(ATTACKER)(THREAD, list),
    "read_mapping": lambda _: mapping_read(),
    "table_definition": lambda _: provision.table_definition("t"),
    "iam_policy": lambda _: provision.iam_policy(ARN),
    "setup_policy": lambda _: provision.setup_policy(ARN),
    "is_active": lambda _: provision.is_active(provision.table_definition("t")),
    "index_status": lambda _: provision.index_status(provision.table_definition("t")),
    "differences": lambda _: provision.differences(provision.table_definition("t")),
    "command iam-policy": lambda _: main(["iam-policy", "--table", "t", "--account", "123456789012"]),
    "command cloudformation": lambda _: main(["cloudformation", "--table", "t"]),
    "command terraform": lambda _: main(["terraform", "--table", "t"]),
    "command estimate": lambda _: main(["estimate", "--turns", "10"]),
}
"""Calls that reach nothing."""


@pytest.mark.parametrize("name", PURE)
def test_these_reach_nothing(saver: DynamoDBConversationSaver, client: DynamoDBClient, name: str) -> None:
    with RequestLog(client) as log:
        PURE[name](saver)
    assert log.operations == []


# The table in docs/security.md


def public_calls() -> set[str]:
    """Everything that a program can call, or a person run."""
    classes = {"saver": DynamoDBConversationSaver, "conversations": conversations.Conversations}
    calls = {f"{name}.{call}" for name, one in classes.items() for call in calls_of(one)}
    for module in (conversations, migration, provision):
        found = inspect.getmembers(module, inspect.isfunction)
        calls |= {name for name, one in found if name[0] != "_" and one.__module__.startswith(module.__name__)}
    return calls | {f"command {one.name}" for one in app_of().registered_commands}


def calls_of(one: type) -> set[str]:
    members = inspect.getmembers(one, lambda member: callable(member) or isinstance(member, property))
    return {name for name, _ in members if name[0] != "_"}


def twins_too(names: Iterable[str]) -> set[str]:
    """The calls that attempts make on both sides."""
    calls = {call_of(name) for name in names if not name.startswith("graph.")}
    return calls | {call.replace(".", ".a") for call in calls}


PLAYED = {
    test_a_config_that_names_a_user_reaches_nobody_elses: twins_too(OF_A_CONFIG),
    test_a_config_that_names_nobody_or_two_is_refused: twins_too(OF_A_CONFIG),
    test_a_states_config_reaches_whose_state_it_was: twins_too(OF_A_CONFIG),
    test_a_call_that_names_a_user_reaches_nobody_elses: twins_too(OF_A_USER | WITH_A_SCAN),
    test_what_has_no_twin_reaches_nobody_elses: set(map(call_of, WITHOUT_A_TWIN | OF_A_COMMAND)),
    test_without_a_user_these_act_on_everybodys_share: twins_too(EVERYBODYS),
    test_without_a_user_these_find_the_one_who_has_it: twins_too(OF_THE_ONE_USER) | {*NO_TWIN_OF_THE_ONE_USER},
    test_commands_without_a_conversation_count_the_whole_table: {"command stats"},
    test_these_reach_nothing: {*PURE},
}
"""Which calls each test here makes."""


@dataclass(frozen=True)
class Line:
    """A line of the table: calls, and the tests that show whose data they reach."""

    calls: set[str]
    tests: set[str]


def lines_of_the_table() -> list[Line]:
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
    table = text.partition("## Entry points")[2].partition("\n## ")[0].rpartition("|---|")[2]
    rows = [line.strip("|").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    names = [[re.findall(r"`([^`]+)`", cell) for cell in (row[0], row[-1])] for row in rows]
    return [Line({one.replace(PROGRAM, "command") for one in calls}, set(tests)) for calls, tests in names]


def test_the_table_has_every_public_call_and_no_other() -> None:
    assert {call for line in lines_of_the_table() for call in line.calls} == public_calls()


def test_the_tests_that_the_table_names_make_the_calls_beside_them() -> None:
    played = {test.__name__: calls for test, calls in PLAYED.items()}
    sources = "".join(path.read_text("utf-8") for path in Path(__file__).parents[1].rglob("test_*.py"))
    for line in lines_of_the_table():
        assert line.tests
        assert line.calls
        for test in line.tests:
            assert f"def {test}(" in sources
            assert line.calls <= played.get(test, line.calls), test


def test_every_call_is_on_a_line_of_each_test_that_makes_it() -> None:
    shown = {(call, test) for line in lines_of_the_table() for call in line.calls for test in line.tests}
    made = {(call, test.__name__) for test, calls in PLAYED.items() for call in calls}

    assert made - shown == set()


def test_every_class_with_calls_is_one_of_the_two() -> None:
    classes = {
        one
        for module in (conversations, migration, provision, saver_module)
        for name, one in inspect.getmembers(module, inspect.isclass)
        if name[0] != "_" and one.__module__.startswith(module.__name__)
    }
    others = {one for one in classes if not (is_dataclass(one) or issubclass(one, Exception))}

    assert others == {DynamoDBConversationSaver, conversations.Conversations}
