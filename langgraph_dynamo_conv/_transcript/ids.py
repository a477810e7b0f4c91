"""The ids by which a message is known again.

The rule: a conversation message carries `ids`, digests of the ids of the LangChain messages that are folded into it. A
later state, which may have grown or been trimmed, edited or forked, is matched with the transcript by these digests.

A stored message that an agent continues is *adopted*: it becomes one or more LangChain messages. Their ids are derived
from the stored message, so that adopting it twice gives the same ids, and folding them gives back that message and no
other. Each id is a base, `conv-<digest>-<number of equal messages before it>`, and the name of the part:

    <base>-c     the tool calls
    <base>-<n>j  the result of call number n, as JSON. A string has `s` instead of `j`, and a call without a stored
                 result has `n`: folding could not tell these three from the text of the result
    <base>-m     the text

A stored call that has no id is adopted under the id `call_<digest>_<number of equal messages before it>_<n>`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ADOPTED = re.compile(r"(?P<base>conv-[0-9a-f]{16}-\d+)-(?:m|c|\d+(?P<kind>[jsn]))")
_ADOPTED_CALL = re.compile(r"call_[0-9a-f]{16}_\d+_\d+")


def digest_of(message_id: str) -> str:
    """The eight hexadecimal characters that stand for a LangChain message's id in `ids`."""
    return hashlib.blake2b(message_id.encode(errors="replace"), digest_size=4).hexdigest()


def ids_of(message: Mapping[str, Any]) -> list[str]:
    """The digests in a conversation message's `ids`, in order; none if another program wrote the message."""
    return str(message.get("ids") or "").split()


def adopted_bases(names: Iterable[str]) -> Iterator[str]:
    """For each stored message the base of its adopted ids; messages of equal names get different ones.

    Args:
        names: For each message, oldest first, the text that its ids are derived from.
    """
    counts: Counter[str] = Counter()
    for name in names:
        digest = hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
        yield f"conv-{digest}-{counts[digest]}"
        counts[digest] += 1


def adopted_call_id(base: str, number: int) -> str:
    """The id of an adopted call that was stored without one."""
    return f"{base.replace('conv-', 'call_').replace('-', '_')}_{number}"


def adopted_part(message_id: str | None) -> tuple[str | None, str | None]:
    """The base in the id of an adopted message, and the letter of a result in it; None for what is not there."""
    match = _ADOPTED.fullmatch(message_id or "")
    return (match["base"], match["kind"]) if match else (None, None)


def is_adopted_call(call_id: str) -> bool:
    """Whether `adopted_call_id` made this id."""
    return _ADOPTED_CALL.fullmatch(call_id) is not None
