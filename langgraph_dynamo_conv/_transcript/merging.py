"""The transcript of a conversation: what a state's messages change in it, and what of it the row shows.

The rule: a transcript only grows. An agent may trim or summarise its own messages; what was said stays. Two things
replace: a state that knows a stored message whole (it was edited, or its call now has a result), and a fork, which
drops what came after its point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import adopted_ids, meaning_of

_OWN_KEYS = {"role", "content", "timestamp", "tool_calls", "ids", "shortened"}


def merge(
    stored: Sequence[Message], folded: Sequence[Message], *, forked_from: Sequence[Message] | None = None
) -> list[Message]:
    """The transcript after a state: `stored` with what `folded` changes in it and adds to it.

    Messages are the same when their `ids` have one in common. A stored message that the state knows whole takes its
    content, and keeps its timestamp and the keys of other programs; one that the state knows in part is completed,
    never reduced. New messages follow all stored ones, in their order. An unknown message before the first known one is
    a summary, or older than `stored`, and is not added. Merging the same state again changes nothing.

    Args:
        stored: The newest messages of the transcript, oldest first; other programs' messages have no `ids`.
        folded: `fold` of the newest state.
        forked_from: `fold` of the state that the newest one forked from, once, when it did. What follows it is dropped:
            see `fork_point`. Where that finds no point, nothing is dropped.

    Returns:
        A new list. Messages that did not change are the same objects as in `stored`.
    """
    known = _known(stored) if forked_from is None else _before_fork(_known(stored), forked_from)
    targets = _targets(known, folded)
    first = next((position for position, target in enumerate(targets) if target is not None), 0)
    pairs = list(zip(folded, targets, strict=True))
    return _updated(known, pairs) + [message for message, target in pairs[first:] if target is None]


def fork_point(stored: Sequence[Message], forked_from: Sequence[Message]) -> int | None:
    """How many of `stored` a fork from `forked_from` keeps: up to the last one that it knows.

    Returns:
        None if it knows none, or is empty: the point is before all of `stored`. While the transcript has older
        messages, read them and ask again before merging.
    """
    reached = [target for target in _targets(_known(stored), forked_from) if target is not None]
    return max(reached) + 1 if reached else None


# A stored message, and the ids its parts have in a state that adopted it.
_Known = tuple[Message, list[str]]


def _known(stored: Sequence[Message]) -> list[_Known]:
    return list(zip(stored, adopted_ids(stored), strict=True))


def _before_fork(known: list[_Known], forked_from: Sequence[Message]) -> list[_Known]:
    if not forked_from:
        return [entry for entry in known if not entry[0].get("ids")]
    count = fork_point([message for message, _ in known], forked_from)
    if count is None:
        return known
    *before, (last, adopted) = known[:count]
    return [*before, (_as_at_fork(last, adopted, forked_from), adopted)]


def _as_at_fork(last: Message, adopted: list[str], forked_from: Sequence[Message]) -> Message:
    """The last message that a fork keeps, without the results and the text that came to it after the fork."""
    for message in reversed(forked_from):
        ids = _ids(message)
        stored_ids = _ids_known_to(set(ids), last, adopted)
        if set(ids).intersection(stored_ids):
            return last if stored_ids[-1] in ids else _replaced(last, message)
    return last


def _ids(message: Mapping[str, Any]) -> list[str]:
    return str(message.get("ids") or "").split()


def _ids_known_to(seen: set[str], stored: Message, adopted: list[str]) -> list[str]:
    """The stored message's ids; those it has since it was adopted, if the state has these."""
    own = _ids(stored)
    return own if seen.intersection(own) or not seen.intersection(adopted) else adopted


def _targets(known: list[_Known], folded: Sequence[Message]) -> list[int | None]:
    """For each folded message the position of the stored one that it is, if any."""
    positions: dict[str, int] = {}
    for position, (message, adopted) in enumerate(known):
        positions |= dict.fromkeys([*adopted, *_ids(message)], position)
    hits = [[positions[name] for name in _ids(message) if name in positions] for message in folded]
    if any(hits) or any(message.get("ids") for message, _ in known):
        return [max(found, default=None) for found in hits]
    equal = _equal_at_head(known, folded)
    return [position if position < equal else None for position in range(len(folded))]


def _equal_at_head(known: list[_Known], folded: Sequence[Message]) -> int:
    """How many messages both begin with: another program's row, whose chat the state holds under ids of its own."""
    pairs = zip(known, folded, strict=False)
    same = [meaning_of(stored)[:2] == meaning_of(message)[:2] for (stored, _), message in pairs]
    return same.index(False) if False in same else len(same)


def _updated(known: list[_Known], pairs: list[tuple[Message, int | None]]) -> list[Message]:
    by_target: dict[int | None, list[Message]] = {}
    for message, target in pairs:
        by_target.setdefault(target, []).append(message)
    seen = {name for message, _ in pairs for name in _ids(message)}
    updated: list[Message] = []
    for position, (stored, adopted) in enumerate(known):
        if position in by_target:
            updated += _reconciled(stored, adopted, by_target[position])
        elif not stored.get("ids") or not seen.issuperset(_ids(stored)):
            updated.append(stored)  # else it is a part of a later message now
    return updated


def _reconciled(stored: Message, adopted: list[str], folded: list[Message]) -> list[Message]:
    seen = {name for message in folded for name in _ids(message)}
    known = _ids_known_to(seen, stored, adopted)
    if seen.isdisjoint(known):
        return [stored]  # it is known by what it says
    if seen.issuperset(known):
        return [_replaced(stored, message) for message in folded]
    if seen.issubset(known) or known is adopted:
        return [stored]  # the state has forgotten a part of it, or another program has added to it
    completed = stored
    for message in folded:
        completed = _completed(completed, message)
    return [completed]


def _replaced(stored: Message, message: Message) -> Message:
    if meaning_of(stored) == meaning_of(message):
        own, ids = _ids(stored), _ids(message)
        grown = own and own != ids and set(own) <= set(ids)
        return {**stored, "ids": message["ids"]} if grown else stored
    foreign = {key: value for key, value in stored.items() if key not in _OWN_KEYS}
    return {**foreign, **message, "timestamp": stored.get("timestamp", message["timestamp"])}


def _completed(stored: Message, message: Message) -> Message:
    """A stored message whose beginning the state has forgotten, with what the state has learned since."""
    ids = [name for name in _ids(stored) if name not in _ids(message)] + _ids(message)
    calls = {call.get("id") or repr(call): call for call in stored.get("tool_calls", ())}
    for call in message.get("tool_calls", ()):
        name = call.get("id") or repr(call)
        # A result without its call does not know the args.
        known = {key: calls[name][key] for key in ("tool", "args")} if name in calls else {}
        calls[name] = {**call, **known}
    # Two texts: the calls of the first were trimmed, so that its results seemed to belong to the second.
    texts = dict.fromkeys(text for text in (stored["content"], message["content"]) if text)
    completed = {**stored, "content": "\n\n".join(texts), "ids": " ".join(ids)}
    return {**completed, "tool_calls": list(calls.values())} if calls else completed
