"""Diagnosis: what is wrong with the table, the permissions, the clock, and this environment. Changes nothing.

Each action of a runtime role is tried. PutItem and UpdateItem carry a condition that no item meets, so they write
nothing; DynamoDB checks the permission first, so a failed condition shows that the action is allowed.
"""

from __future__ import annotations

import math
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import Any

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from packaging.requirements import Requirement

from langgraph_dynamo_conv import provision
from langgraph_dynamo_conv._format.items import key_attributes
from langgraph_dynamo_conv._format.keys import INDEX, PK, SK, Key, is_conversation, parse_sk
from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv._storage import administration
from langgraph_dynamo_conv._storage.failures import ConditionFailed
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.errors import AccessDeniedError, DynamoConvError, RequestFailedError

OK, NOTE, WRONG = "ok", "note", "wrong"

DISTRIBUTION = "langgraph-dynamo-conv"

NOTABLE_SKEW_SECONDS = 1.0
"""A host whose clock is behind by more than people take between two turns has its turns forgotten by LangGraph."""

WRONG_SKEW_SECONDS = 60.0
"""AWS refuses signatures of a clock that is 5 minutes off; one that is a minute off is on its way there."""

SAMPLED = 24
"""Places of the table that are looked at for a conversation, to see whether one user has most of them."""

TELLING = 10
"""Conversations in a sample from which on the share of a user tells anything."""

_NTP = "let all hosts keep their time by NTP (chrony, systemd-timesyncd)"

_MISSING = "attribute_exists(#pk)"


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        check: What was checked, in a word or two.
        verdict: `OK`, `NOTE` (it works, but deserves a thought) or `WRONG`.
        said: The result in words.
        remedy: What to do; None if nothing.
    """

    check: str
    verdict: str
    said: str
    remedy: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON has them; a missing remedy is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class _Stranger:
    """A type that nobody has a reason to allow."""

    name: str = "stranger"


def diagnose(
    table: Table,
    identity: Callable[[], str],
    serde: SerializerProtocol,
    clock: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """All findings, each as soon as it is known.

    Args:
        table: The table.
        identity: Gives the ARN of whoever sends the requests.
        serde: The serializer of the agents, as this environment makes it.
        clock: Gives seconds since the epoch.

    Cost: some 37 requests, 3 write units, and 3 read units and one for each 8 KB of 24 items.
    """
    yield from versions()
    yield _types(serde)
    server_clock = _ServerClock(table, clock)
    yield _identity(table, identity)
    usable = yield from _table(table)
    if usable:
        yield from _actions(table)
        yield from _owners(table)
    yield server_clock.finding()


def versions() -> Iterator[Finding]:
    """One finding: the versions of Python, of this package and of those that it requires, and which are too old."""
    try:
        own, required = metadata.version(DISTRIBUTION), metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding("versions", NOTE, "the package was not installed by pip", "install it with pip")
        return
    python = ".".join(map(str, sys.version_info[:3]))
    installed, outdated = [f"{DISTRIBUTION} {own}", f"Python {python}"], []
    for one in map(Requirement, required):
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            version = metadata.version(one.name)
            installed.append(f"{one.name} {version}")
            outdated += [] if one.specifier.contains(version, prereleases=True) else [f"'{one}'"]
    if outdated:
        needed = " ".join(outdated)
        yield Finding("versions", WRONG, f"{', '.join(installed)}; needed: {needed}", f"pip install {needed}")
    else:
        yield Finding("versions", OK, ", ".join(installed))


def _types(serde: SerializerProtocol) -> Finding:
    """Whether reading a state instantiates types that nobody allowed: the serializer is given one to read.

    LangGraph's, where it has no list of types, does what LANGGRAPH_STRICT_MSGPACK said when LangGraph was imported.
    Trying it out also holds for a list of its own, and for a serializer that somebody else wrote.
    """
    serializer = serializer_of(serde)
    try:
        read = serializer.loads(serializer.dumps(_Stranger()))
    except (TypeError, ValueError) as error:
        return Finding("types", OK, f"the serializer stores no types of one's own ({type(error).__name__})")
    if not isinstance(read, _Stranger):
        return Finding("types", OK, "only types that are allowed are instantiated, in this environment")
    forger = "has the key" if isinstance(serde, EncryptedSerializer) else "can write to the table"
    danger = f"any name in a stored state is called: who {forger} runs commands in agents"
    remedy = "set LANGGRAPH_STRICT_MSGPACK=true for agents, or give savers a `serde` with a list of types"
    return Finding("types", NOTE, danger, remedy)


def _identity(table: Table, identity: Callable[[], str]) -> Finding:
    meta = table.client.meta
    if ".amazonaws." not in meta.endpoint_url and ".api.aws" not in meta.endpoint_url:
        return Finding("identity", OK, f"not asked: {meta.endpoint_url} is not AWS")
    try:
        return Finding("identity", OK, f"{identity()} in {meta.region_name}")
    except DynamoConvError as error:
        return Finding("identity", WRONG, str(error), "check --profile and the AWS_* variables; `aws sso login` renews")


def _table(table: Table) -> Generator[Finding, None, bool]:
    """Findings about the table's description; gives whether the actions can be tried."""
    try:
        description = administration.describe(table)
    except AccessDeniedError as error:
        yield Finding("table", NOTE, "this role may not describe it, so it is only tried", _allow(error))
        return True
    except DynamoConvError as error:
        yield Finding("table", WRONG, str(error), "check --region, --endpoint-url, --profile, and the network")
        return False
    if description is None:
        place = f"{table.client.meta.region_name} at {table.client.meta.endpoint_url}"
        yield Finding("table", WRONG, f"there is no table {table.name} in {place}", "make it with `setup`")
        return False
    yield from _described(table, description)
    return True


def _described(table: Table, description: dict[str, Any]) -> Iterator[Finding]:
    status = description["TableStatus"]
    state = f"{table.name}: {status}, {description.get('ItemCount', 0)} items when last counted"
    yield _built("table", state, status in ("ACTIVE", "UPDATING"), "wait until it is active")
    differences = provision.differences(description)
    for difference in differences:
        remedy = provision._remedy_of([difference])
        yield Finding("keys", WRONG, difference, remedy[0].lower() + remedy[1:])
    if not differences:
        yield Finding("keys", OK, "conversation_id and user_id; the index by user_id and created_at")
    status = provision.index_status(description)
    if status is not None:
        yield _built("index", f"{INDEX}: {status}", status == "ACTIVE", "wait until it is built")
    yield _billing(description)
    yield _setting("expiry", lambda: _expiry(administration.ttl_attribute(table)))
    yield _setting("recovery", lambda: _recovery(administration.has_recovery(table)))


def _built(check: str, state: str, is_usable: bool, remedy: str) -> Finding:
    return Finding(check, OK, state) if is_usable else Finding(check, WRONG, state, remedy)


def _billing(description: dict[str, Any]) -> Finding:
    mode = description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    if mode == "PAY_PER_REQUEST":
        return Finding("billing", OK, "by request (PAY_PER_REQUEST)")
    units = description["ProvisionedThroughput"]
    capacity = f"provisioned: {units['ReadCapacityUnits']} read and {units['WriteCapacityUnits']} write units a second"
    return Finding("billing", NOTE, capacity, "watch for throttled requests, on the index too; or bill by request")


def _setting(check: str, look: Callable[[], Finding]) -> Finding:
    """The finding about a setting; a note if this role or this endpoint does not let it be read."""
    try:
        return look()
    except AccessDeniedError as error:
        return Finding(check, NOTE, "this role may not look", _allow(error))
    except RequestFailedError as error:
        return Finding(check, NOTE, f"the endpoint does not tell ({error})", "none needed if it is not AWS")
    except DynamoConvError as error:
        return Finding(check, WRONG, str(error), "run `doctor` again")


def _expiry(attribute: str | None) -> Finding:
    if attribute is None:
        return Finding(
            "expiry", NOTE, "time-to-live is off: nothing is ever deleted by itself", "`setup --ttl` turns it on"
        )
    if attribute != provision.TTL_ATTRIBUTE:
        wrong = f"time-to-live is on {attribute}, and must be on {provision.TTL_ATTRIBUTE}"
        return Finding("expiry", WRONG, wrong, "turn it off, and run `setup --ttl` an hour later")
    return Finding("expiry", OK, f"time-to-live is on {attribute}")


def _recovery(is_on: bool) -> Finding:
    if is_on:
        return Finding("recovery", OK, "point-in-time recovery is on")
    return Finding("recovery", NOTE, "point-in-time recovery is off", "`setup --pitr` turns it on, for a price per GB")


def _actions(table: Table) -> Iterator[Finding]:
    key = Key(f"doctor-{uuid.uuid4()}", "doctor")
    condition = {"ConditionExpression": _MISSING, "ExpressionAttributeNames": {"#pk": PK}}
    actions: tuple[tuple[str, Callable[[], object]], ...] = (
        ("GetItem", lambda: table.get(key)),
        ("Query", lambda: next(table.query(key.pk, page_items=1))),
        ("Query of the index", lambda: next(table.query_index(key.sk, page_items=1))),
        ("Scan", lambda: next(table.scan(Limit=1))),
        ("PutItem", lambda: table.put(key_attributes(key), **condition)),
        ("UpdateItem", lambda: table.update(key, UpdateExpression="REMOVE nothing", **condition)),
        ("DeleteItem", lambda: table.delete(key)),
    )
    for name, action in actions:
        yield _tried(name, action)


def _tried(name: str, action: Callable[[], object]) -> Finding:
    try:
        action()
    except ConditionFailed:
        return Finding(name, OK, "allowed (nothing was written)")
    except AccessDeniedError as error:
        return Finding(name, WRONG, str(error), "give the role the policy that `iam-policy` prints")
    except DynamoConvError as error:
        return Finding(name, WRONG, str(error), "mend what it says, and run `doctor` again")
    return Finding(name, OK, "allowed")


def _owners(table: Table) -> Iterator[Finding]:
    """Whether one user has most conversations. All rows of a user share one key of the index, and what it can write.

    Nothing is said where Scan is not allowed or fails, which `_actions` has told.
    """
    try:
        owners = Counter(dict(_sampled(table)).values())
    except DynamoConvError:
        return
    (user, most), count = next(iter(owners.most_common(1)), ("", 0)), owners.total()
    sampled = f"of {count} conversations, looked up at random"
    if count < TELLING:
        yield Finding("users", OK, f"too few conversations to tell whether one user has most of them: {count} found")
    elif most * 2 <= count:
        yield Finding("users", OK, f"no user has most {sampled}")
    else:
        limit = "all rows of a user share a key of the index, which takes about 60 writes of full rows a second"
        remedy = "give every person a user id of their own; else DynamoDB throttles this one, and with it the table"
        yield Finding("users", NOTE, f"{user!r} has {most} {sampled}; {limit}", remedy)


def _sampled(table: Table) -> Iterator[tuple[str, str]]:
    """The first conversation after each of some random places of the table, and its user.

    A scan is in the order of a hash of the conversation's id, so no user's conversations are beside each other there. A
    scan of the index would go through one user's after the other.
    """
    for _ in range(SAMPLED):
        place = {PK: {"S": str(uuid.uuid4())}, SK: {"S": "doctor"}}
        for item in next(table.scan(Limit=1, ExclusiveStartKey=place, ProjectionExpression=f"{PK}, {SK}")):
            if is_conversation(item[PK]["S"]):
                yield item[PK]["S"], parse_sk(item[SK]["S"]).user_id


def _allow(error: DynamoConvError) -> str:
    return f"allow dynamodb:{error.operation} to those who set up, not to agents: `iam-policy --for setup`"


class _ServerClock:
    """How far this machine's clock is from the server's, by the `Date` of all answers.

    The header counts whole seconds: when an answer was written, the server's time was between it and a second more.
    Here that was between sending and receiving. So each answer gives a least and a most difference, and the answers
    together, which come at different parts of a second, narrow ones.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sent = 0.0
        self._least, self._most = -math.inf, math.inf
        events: Any = table.client.meta.events
        events.register("before-parameter-build.dynamodb", self._note_sending)
        events.register("after-call.dynamodb", self._note)

    def _note_sending(self, **_: Any) -> None:
        self._sent = self._clock()

    def _note(self, parsed: dict[str, Any], **_: Any) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is not None:
            seconds = parsedate_to_datetime(date).timestamp()
            self._least = max(self._least, self._sent - seconds - 1)
            self._most = min(self._most, self._clock() - seconds)

    def finding(self) -> Finding:
        if math.isinf(self._most):
            return Finding("clock", NOTE, "no answer told the time", "mend what is wrong above")
        skew = (self._least + self._most) / 2
        seconds = abs(skew)
        if seconds < NOTABLE_SKEW_SECONDS:
            return Finding("clock", OK, f"within {NOTABLE_SKEW_SECONDS:.0f} s of the server's")
        said = f"{seconds:.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
        verdict = WRONG if seconds >= WRONG_SKEW_SECONDS else NOTE
        return Finding("clock", verdict, f"{said}: LangGraph forgets turns of hosts that are behind others", _NTP)
