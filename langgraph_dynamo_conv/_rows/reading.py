"""The attributes of a conversation row, whoever wrote them, as its record. Pure.

The rule: the documented attributes are read leniently, since other programs write them too: one of another type has the
nearest meaning, or counts as absent. Attributes that only this package writes are read strictly, since every condition
and every fork is decided by them: one that can't be understood is a `CorruptDataError` that names row and attribute. A
list reads leniently throughout, so that no row keeps a person from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from langgraph_dynamo_conv._format.attributes import from_attribute
from langgraph_dynamo_conv._format.frames import Codec
from langgraph_dynamo_conv._format.items import EXPIRES_AT, LIVE_UNTIL, AttributeMap, bytes_of, key_of
from langgraph_dynamo_conv._format.keys import PK, SK, Key, Scope, check_checkpoint_id
from langgraph_dynamo_conv._rows.large_messages import SHORTENED, ref_of, unpacked
from langgraph_dynamo_conv._rows.row import INCARNATION_BYTES, WAITING, Row, iso, times_of
from langgraph_dynamo_conv._transcript.fitting import DEFAULT_TITLE
from langgraph_dynamo_conv._transcript.folding import Message, role_of
from langgraph_dynamo_conv.errors import CorruptDataError

ENCRYPTED_TITLE = "(encrypted)"
"""What a row whose transcript is encrypted shows as its title."""

_MOST = 10**18
"""No counter of ours gets so far."""

_MILLISECONDS_FROM = 10**11
"""Epoch times from here on are milliseconds: as seconds they are after the year 5000."""

_DOCUMENTED = {
    "title": "S",
    "messages": "L",
    "message_count": "N",
    "created_at": "S",
    "updated_at": "S",
    "status": "S",
    LIVE_UNTIL: "N",
    EXPIRES_AT: "N",
}
"""The types of the attributes that may have another type, and are then read leniently."""

_UNTOUCHED = ("status", LIVE_UNTIL, EXPIRES_AT)
"""Attributes that a row without a value for them would lose with its next write."""


def read_row(item: AttributeMap, codec: Codec) -> Row:
    """The record of a row that was read.

    Args:
        item: The row's attributes.
        codec: Decrypts title and messages where they are encrypted.

    Returns:
        The row with its messages as maps; how many there are, these and its `first` say, whatever `message_count` is.
        Its `attributes` lack those of another type that a write must not remove.

    Raises:
        CorruptDataError: An attribute that only this package writes can't be understood; the error's key is the row.
            Or title and messages are in plain text where all should be encrypted.
    """
    plain = {name: from_attribute(value) for name, value in item.items()}
    title, messages, waiting_for = _content(item, plain, codec)
    in_row, version = messages_of(messages), _strict(item, "version", _counter) or 0
    summary = _summary(item, plain, _title_of(title), waiting_for)
    return replace(
        summary,
        messages=in_row,
        first=_strict(item, "first", _counter) or 0,
        version=version,
        renumbered=_strict(item, "renumbered", _counter) or 0,
        head=_strict(item, "head", _checkpoint_id),
        beside=_strict(item, "beside", _checkpoint_ids) or (),
        incarnation=_strict(item, "incarnation", _text) or _digest(summary.created_at),
        is_foreign=bool(in_row) if not version else plain.get("foreign") is True,
    )


def read_summary(item: AttributeMap, codec: Codec) -> Row:
    """What a list shows of a row, without its messages. A title that can't be decrypted reads `(encrypted)`.

    Raises:
        CorruptDataError: The title is plain text where all should be encrypted, and for nothing else.
    """
    plain = {name: from_attribute(value) for name, value in item.items()}
    try:
        title, _, waiting_for = _content(item, plain, codec)
    except CorruptDataError:
        if "sealed" not in plain:
            raise
        title, waiting_for = ENCRYPTED_TITLE, ()
    return _summary(item, plain, _title_of(title), waiting_for)


def oddities(item: AttributeMap) -> list[str]:
    """What of a row that can be read has another shape than the table's documents say, in sentences."""
    found = [
        f"the attribute '{name}' is of type {next(iter(item[name]))}, not {kind}"
        for name, kind in _DOCUMENTED.items()
        if name in item and kind not in item[name]
    ]
    return [*found, *oddities_of_messages(item)]


def oddities_of_messages(item: AttributeMap) -> list[str]:
    """The same of the messages in a row or page, as far as they are not encrypted."""
    messages = dict(enumerate(item.get("messages", {}).get("L", [])))
    no_maps = [number for number, message in messages.items() if "M" not in message]
    said = {number: message["M"].get(SHORTENED) for number, message in messages.items() if "M" in message}
    no_refs = [number for number, one in said.items() if one and ref_of({SHORTENED: from_attribute(one)}) is None]
    problems = {"are no maps": no_maps, f"have a '{SHORTENED}' that names no blob": no_refs}
    return [
        f"in 'messages', these {problem}: {', '.join(map(str, numbers[:10]))}"
        for problem, numbers in problems.items()
        if numbers
    ]


def messages_of(stored: Any) -> list[Message]:
    """The messages in an attribute of any type, each as a map; those that are maps are the same objects.

    A string, which names no speaker, is the user's, as LangChain has it, and a pair of a role and a content is both.
    """
    if isinstance(stored, (str, Mapping)):
        stored = [stored] if stored else []
    return [_message_of(message) for message in stored] if isinstance(stored, list) else []


def counted(value: Any) -> int | None:
    """A count of messages as another program may store it; None if it is no such count."""
    if isinstance(value, str) and value.isdecimal() and len(value) < len(str(_MOST)):
        value = int(value)
    return _whole(value)


def _summary(item: AttributeMap, plain: Mapping[str, Any], title: str, waiting_for: Any) -> Row:
    created, status = time_of(plain.get("created_at")), plain.get("status")
    updated = time_of(plain.get("updated_at")) or created
    asked = waiting_for if status == WAITING and isinstance(waiting_for, list) else []
    attributes = {
        name: value for name, value in plain.items() if name not in _UNTOUCHED or _DOCUMENTED[name] in item[name]
    }
    return Row(
        Scope(plain[PK], plain[SK]),
        title,
        [],
        created,
        updated,
        counted(plain.get("message_count")) or 0,
        status if isinstance(status, str) else None,
        status_at=(time_of(plain.get("status_at")) or updated) if isinstance(status, str) else "",
        waiting_for=[one for one in asked if isinstance(one, Mapping) and {"id", "value"} <= one.keys()],
        times=times_of(item),
        attributes=attributes,
    )


def _content(item: AttributeMap, plain: Mapping[str, Any], codec: Codec) -> tuple[Any, Any, Any]:
    """Title, messages, and what interrupts ask: all that can be encrypted."""
    if "sealed" in plain:
        return _unsealed(item, codec, key_of(item))
    title, messages = plain.get("title"), plain.get("messages")
    if messages or title not in (None, DEFAULT_TITLE, ENCRYPTED_TITLE):
        codec.refuse_plaintext(plain[SK])
    return title, messages, plain.get("waiting_for")


def _unsealed(item: AttributeMap, codec: Codec, key: Key) -> tuple[Any, Any, Any]:
    problem = f"the attribute 'sealed' of the row of conversation {key.pk} can't be read"
    try:
        title, messages, waiting_for = unpacked(codec.unframe(bytes_of(item, "sealed"), key.sk))
    except CorruptDataError as error:
        raise type(error)(f"{problem}: {error}", key=str(key)) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CorruptDataError(f"{problem}: it holds no title and messages", key=str(key)) from error
    return title, messages, waiting_for


def _strict(item: AttributeMap, name: str, understood: Callable[[Any], Any]) -> Any:
    """The value of an attribute that only this package writes; None where it is absent or null."""
    value = from_attribute(item.get(name, {"NULL": True}))
    if value is None:
        return None
    try:
        if (meaning := understood(value)) is not None:
            return meaning
    except ValueError:
        pass
    key = key_of(item)
    raise CorruptDataError(
        f"the attribute '{name}' of the row of conversation {key.pk} is not as this package writes it: remove it from "
        "the row, or give it another name if a program of yours writes it",
        key=str(key),
    )


def _counter(value: Any) -> int | None:
    return None if isinstance(value, str) else _whole(value)


def _checkpoint_id(value: Any) -> str:
    return check_checkpoint_id(value)


def _checkpoint_ids(value: Any) -> list[str] | None:
    return [check_checkpoint_id(one) for one in value] if isinstance(value, list) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _digest(text: str) -> str:
    return blake2b(text.encode(errors="replace"), digest_size=INCARNATION_BYTES).hexdigest()


def _whole(value: Any) -> int | None:
    """A whole number from 0 on that can be a count; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal)) or not 0 <= value < _MOST:
        return None
    return int(value) if value == int(value) else None


def _title_of(value: Any) -> str:
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else DEFAULT_TITLE


def time_of(value: Any) -> str:
    """A time of any type as rows hold it: a string as it is, a number as seconds or milliseconds of the epoch."""
    if isinstance(value, (int, Decimal)) and not isinstance(value, bool) and 0 <= value < _MOST:
        seconds = value / 1000 if value >= _MILLISECONDS_FROM else value
        return iso(float(seconds)) if seconds < _MILLISECONDS_FROM else ""
    return value if isinstance(value, str) else ""


def _message_of(stored: Any) -> Message:
    if isinstance(stored, dict):
        return stored
    if isinstance(stored, list) and len(stored) == 2 and isinstance(stored[0], str):
        return {"role": role_of(stored[0]), "content": stored[1]}
    return {"role": "user" if isinstance(stored, str) else "assistant", "content": stored}
