"""What the package sends, by what it does; `test_replay` compares what it really sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.contract.cases.calls import (
    BOTH_NAMES,
    LIVE,
    PK_NAME,
    TIME_NAMES,
    UNITS,
    Call,
    Case,
    Item,
    Value,
    call,
    get,
    item,
    key,
    n,
    put,
    query,
    s,
    update,
)
from tests.memory_engine.bare import INDEX

FRAME: Any = {"B": b"\x01frame"}
WHEN_MISSING: dict[str, Any] = {
    "ConditionExpression": "attribute_not_exists(#pk)",
    "ExpressionAttributeNames": PK_NAME,
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
}
BETWEEN = "#pk = :pk AND #sk BETWEEN :low AND :high"
ROW = item(
    "alice",
    "thread",
    title=s("New chat"),
    version=n(1),
    message_count=n(0),
    status=s("idle"),
    created_at=s("2026-01-01"),
)
SHOWN = ("conversation_id", "title", "created_at", "updated_at", "message_count", "status", "version", "sealed")


def cases() -> Iterator[Case]:
    """A case for each kind of request."""
    yield Case("a checkpoint is put once", (_commit(b"one"), _commit(b"one"), _commit(b"other")))
    yield Case("a checkpoint as a value", (_commit(b"one", "v"), _commit(b"one", "v")))
    yield Case(
        "task writes are put together",
        (_many_writes("t1"), _many_writes("t1"), _writes("t1", 2), _writes("t2", 1), _writes("t2", 3)),
    )
    yield Case(
        "a pointer gets its time", (update("SET t = :now", "b#1", ExpressionAttributeValues={":now": n(5)}), get("b#1"))
    )
    yield Case("a row is created once", (_created(), _created()))
    yield Case("a row follows", (*map(_followed, (1, 1, 2)), get("alice", "thread")))
    yield Case("a row that is over is buried", (put(_over(100)), _buried(50), _buried(100), _buried(100)))
    yield Case("items get their times", tuple(_stamped()))
    yield Case("a partition is read", tuple(_read()))
    yield Case("conversations are listed", (*_rows(), *_listed()))
    yield Case("a conversation moves in the index", tuple(_moved()))
    yield Case("a table is searched", tuple(_scanned()))
    yield Case("a doctor changes nothing", tuple(_doctor()))
    yield Case("a turn takes a lease", tuple(_lease()))
    yield Case("a message is mended", (put(_with_messages()), _mended(), get("chat", "mended")))
    yield Case("a counter counts", tuple(_counted() for _ in range(3)))


def _commit(frame: bytes, name: str = "d") -> Call:
    value: Any = {"B": frame} if name == "d" else s(frame.decode())
    return put(
        item(f"alice#c##{name}", k=s("f"), **{name: value}),
        ConditionExpression="attribute_not_exists(#pk) OR #d = :d",
        ExpressionAttributeNames={**PK_NAME, "#d": name},
        ExpressionAttributeValues={":d": value},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        **UNITS,
    )


def _many_writes(task: str) -> Call:
    frames = {f"w{number}": FRAME for number in range(150)}
    return put({**key(f"alice#w##1#{task}"), **frames}, **WHEN_MISSING, **UNITS)


def _writes(task: str, count: int) -> Call:
    sets = [f"w{number} = if_not_exists(w{number}, :w{number})" for number in range(count)]
    values: dict[str, Any] = {f":w{number}": {"B": bytes([count, number])} for number in range(count)}
    text = "SET " + ", ".join([*sets, "t = :t", "expires_at = :expires_at"])
    values |= {":t": s(task), ":expires_at": n(1764000000 + count)}
    return update(text, f"alice#w##1#{task}", ExpressionAttributeValues=values, **UNITS)


def _created() -> Call:
    names = ("title", "messages", "updated_at", "message_count", "status", "version", "created_at")
    values: tuple[Value, ...] = (s("New chat"), {"L": []}, s("2026"), n(0), s("idle"), n(1), s("2026"))
    return update(
        "SET " + ", ".join(f"#{name} = :{name}" for name in names),
        "created",
        **{**WHEN_MISSING, "ExpressionAttributeNames": {**PK_NAME, **{f"#{name}": name for name in names}}},
        ExpressionAttributeValues={f":{name}": value for name, value in zip(names, values, strict=True)},
        **UNITS,
    )


def _followed(version: int) -> Call:
    message = {"M": {"role": s("user"), "content": s("Hello"), "created_at": s("2026")}}
    return call(
        "update_item",
        Key=key("alice", "thread"),
        UpdateExpression="SET #messages = :messages, #version = :version REMOVE #replaced, #expires_at",
        ConditionExpression="attribute_exists(#pk) AND #version = :was_version AND attribute_not_exists(#updated_at)",
        ExpressionAttributeNames={
            **PK_NAME,
            **{f"#{name}": name for name in ("messages", "version", "replaced", "expires_at", "updated_at")},
        },
        ExpressionAttributeValues={
            ":messages": {"L": [message] * version},
            ":version": n(version + 1),
            ":was_version": n(version),
        },
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        **UNITS,
    )


def _over(time: int) -> Item:
    return item("over", live_until=n(time), expires_at=n(time + 60), created_at=s("2026"))


def _buried(time: int) -> Call:
    return call(
        "delete_item",
        Key=key("over"),
        ConditionExpression=" OR ".join(f"{name} <= :time" for name in TIME_NAMES),
        ExpressionAttributeNames=TIME_NAMES,
        ExpressionAttributeValues={":time": n(time)},
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        **UNITS,
    )


def _stamped() -> Iterator[Call]:
    names = {**PK_NAME, "#e": "expires_at", "#u": "u"}
    there: dict[str, Any] = {"ConditionExpression": "attribute_exists(#pk)"}
    yield put(item("alice#c##9", d=FRAME))
    values = {":l": n(1), ":e": n(2), ":u": n(3)}
    for sk in ("alice#c##9", "alice#c##gone"):
        yield update(
            "SET l = :l, #e = :e, #u = :u",
            sk,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            **there,
            **UNITS,
        )
        yield update(
            "SET l = :l REMOVE #e, #u",
            sk,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues={":l": n(1)},
            **there,
        )
        yield update("REMOVE #e", sk, ExpressionAttributeNames={**PK_NAME, "#e": "expires_at"}, **there)
    yield get("alice#c##9")


def _read() -> Iterator[Call]:
    yield from (put(item(f"bob#c##{number}", "read", d=FRAME)) for number in range(5))
    values = {":pk": s("read"), ":low": s("bob#c##"), ":high": s("bob#c#$")}
    names = {"ExpressionAttributeNames": BOTH_NAMES}
    for more in (
        {},
        {"Limit": 2},
        {"ScanIndexForward": False},
        {"ScanIndexForward": False, "Limit": 1},
        {"ProjectionExpression": "#pk, #sk"},
    ):
        yield query(BETWEEN, **names, ExpressionAttributeValues=values, ConsistentRead=True, **more, **UNITS)
    yield query(
        "#pk = :pk",
        ExpressionAttributeNames=PK_NAME,
        ExpressionAttributeValues={":pk": s("read")},
        ConsistentRead=False,
        **UNITS,
    )
    start = {"ExclusiveStartKey": key("bob#c##1", "read")}
    yield query(BETWEEN, **names, ExpressionAttributeValues=values, **start, **UNITS)
    wide = {":pk": s("read"), ":low": s("\x01"), ":high": s("\U0010ffff")}
    yield query(BETWEEN, **names, ExpressionAttributeValues=wide, ProjectionExpression="#pk, #sk", Limit=1)


def _rows() -> Iterator[Call]:
    yield put(ROW)
    for number in range(5):
        times = {} if number % 2 else {"live_until": n(number * 100), "expires_at": n(number * 100 + 50)}
        yield put({**ROW, **key("carol", f"chat{number}"), "created_at": s(f"2026-01-0{number + 1}"), **times})


def _listed() -> Iterator[Call]:
    names = {f"#{name}": name for name in SHOWN}
    ranges = (
        "",
        " AND #created_at BETWEEN :after AND :before",
        " AND #created_at > :after",
        " AND #created_at < :before",
    )
    for text in ranges:
        values: dict[str, Any] = {
            ":user": s("carol"),
            ":time": n(150),
            ":after": s("2026-01-02"),
            ":before": s("2026-01-04"),
        }
        yield query(
            f"#user = :user{text}",
            IndexName=INDEX,
            FilterExpression=LIVE,
            ProjectionExpression=", ".join(["#user", *names]),
            ExpressionAttributeNames={"#user": "user_id", **names, **TIME_NAMES},
            ExpressionAttributeValues={name: value for name, value in values.items() if name in f"{text} :user :time"},
            ScanIndexForward=not text,
            Limit=3,
            **UNITS,
        )


def _moved() -> Iterator[Call]:
    listed = query("user_id = :user", IndexName=INDEX, ExpressionAttributeValues={":user": s("dave")}, **UNITS)
    for date in ("2026-01", "2026-02", "2026-02"):
        yield put({**ROW, **key("dave", "moved"), "created_at": s(date)}, **UNITS)
        yield listed
    for text in ("SET created_at = :date", "REMOVE created_at", "SET created_at = if_not_exists(created_at, :date)"):
        more = {"ExpressionAttributeValues": {":date": s("2026-03")}} if ":date" in text else {}
        yield call("update_item", Key=key("dave", "moved"), UpdateExpression=text, **more, **UNITS)
        yield listed
    yield call("delete_item", Key=key("dave", "moved"), **UNITS)
    yield listed


def _scanned() -> Iterator[Call]:
    values = {":user": s("carol"), ":prefix": s("carol#")}
    for text, given in (
        ("#sk = :user OR begins_with(#sk, :prefix)", values),
        ("contains(#sk, :kind)", {":kind": s("#c#")}),
    ):
        yield call(
            "scan",
            ProjectionExpression="#pk, #sk",
            FilterExpression=text,
            ExpressionAttributeNames=BOTH_NAMES,
            ExpressionAttributeValues=given,
            Select="SPECIFIC_ATTRIBUTES",
        )


def _doctor() -> Iterator[Call]:
    there: dict[str, Any] = {"ConditionExpression": "attribute_exists(#pk)", "ExpressionAttributeNames": PK_NAME}
    yield put(item("doctor"), **there)
    yield update("REMOVE nothing", "doctor", **there)
    yield call("delete_item", Key=key("doctor"))
    yield call("scan", Limit=1, Select="COUNT")


def _lease() -> Iterator[Call]:
    free = "attribute_not_exists(conversation_id) OR expires_at < :now OR #owner = :owner"
    for owner, now in (("a", 10), ("b", 10), ("a", 15), ("b", 30)):
        yield put(
            item("lease", owner=s(owner), expires_at=n(now + 10)),
            ConditionExpression=free,
            ExpressionAttributeNames={"#owner": "owner"},
            ExpressionAttributeValues={":now": n(now), ":owner": s(owner)},
        )
    for owner in ("a", "b", "b"):
        mine = {"ExpressionAttributeNames": {"#owner": "owner"}, "ExpressionAttributeValues": {":owner": s(owner)}}
        yield call("delete_item", Key=key("lease"), ConditionExpression="#owner = :owner", **mine)


def _with_messages() -> Item:
    return item(
        "chat", "mended", messages={"L": [{"M": {"content": s(text)}} for text in ("a", "b", "c")]}, status=s("idle")
    )


def _mended() -> Call:
    return call(
        "update_item",
        Key=key("chat", "mended"),
        UpdateExpression="SET #s = :failed, messages[1].content = :text",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":failed": s("failed"), ":text": s("better")},
    )


def _counted() -> Call:
    return update("ADD n :one", "counter", ExpressionAttributeValues={":one": n(1)}, ReturnValues="ALL_NEW", **UNITS)
