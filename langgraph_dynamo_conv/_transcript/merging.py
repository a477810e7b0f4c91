"""What the messages of a new state change in a conversation's transcript.

The rule: a transcript only grows. An agent may trim or summarise its own messages, and the transcript keeps what was
said. Two things replace a stored message: a state that knows all of it (the message was edited, or its call now has a
result), and a fork, which drops what came after its point.

Messages are matched by their `ids`. A stored message has two sets of them: its own, and those that its parts get when
an agent adopts it (`langchain.adopted_ids`). Which of the two a state uses tells whether that agent made the message or
found it in the table. The row of a program that stores no ids is matched by what it says, from its first message on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.ids import ids_of
from langgraph_dynamo_conv._transcript.langchain import adopted_ids, meaning_of

_OWN_KEYS = {"role", "content", "timestamp", "tool_calls", "ids", "shortened"}


class _Stored(NamedTuple):
    """A stored message, and the ids that its parts have in a state that adopted it."""

    message: Message
    adopted: list[str]

    def ids_in(self, state: set[str]) -> list[str]:
        """The ids by which a state with these knows the message: its own, unless the state has only adopted ones."""
        own = ids_of(self.message)
        return own if state.intersection(own) or not state.intersection(self.adopted) else self.adopted


def merge(
    stored: Sequence[Message], folded: Sequence[Message], *, forked_from: Sequence[Message] | None = None
) -> list[Message]:
    """The transcript after a state: `stored` with what `folded` changes in it and adds to it.

    Messages are the same when their `ids` have one in common. A stored message of which the state knows every id takes
    the state's content, and keeps its timestamp and the keys of other programs. One of which the state knows some ids
    is completed, never reduced. New messages follow all stored ones, in their order. An unknown message before the
    first known one is a summary, or older than `stored`, and is not added. Merging the same state again changes
    nothing.

    Args:
        stored: The newest messages of the transcript, oldest first; other programs' messages have no `ids`.
        folded: `fold` of the newest state.
        forked_from: `fold` of the state that the newest one forked from, given once, when it forked. Stored messages
            that follow it are dropped: see `fork_point`. Where that finds no point, nothing is dropped.

    Returns:
        A new list. Messages that did not change are the same objects as in `stored`.
    """
    entries = _entries(stored) if forked_from is None else _before_fork(_entries(stored), forked_from)
    targets = _targets(entries, folded)
    first = next((position for position, target in enumerate(targets) if target is not None), 0)
    added = [message for message, target in zip(folded[first:], targets[first:], strict=True) if target is None]
    return _updated(entries, folded, targets) + added


def fork_point(stored: Sequence[Message], forked_from: Sequence[Message]) -> int | None:
    """How many of `stored` a fork from `forked_from` keeps: those up to the last one that `forked_from` knows.

    Returns:
        None if `forked_from` knows none of them, or is empty: the point is before all of `stored`. While the transcript
        has older messages, read them and ask again before merging.
    """
    reached = [target for target in _targets(_entries(stored), forked_from) if target is not None]
    return max(reached) + 1 if reached else None


def _entries(stored: Sequence[Message]) -> list[_Stored]:
    return [_Stored(message, adopted) for message, adopted in zip(stored, adopted_ids(stored), strict=True)]


def _before_fork(entries: list[_Stored], forked_from: Sequence[Message]) -> list[_Stored]:
    """The stored messages that the fork keeps; the last of them as it was at the fork."""
    if not forked_from:
        # The fork starts the conversation anew. No state of this saver made what other programs wrote.
        return [entry for entry in entries if not entry.message.get("ids")]
    count = fork_point([entry.message for entry in entries], forked_from)
    if count is None:
        return entries
    *before, last = entries[:count]
    return [*before, last._replace(message=_as_at_fork(last, forked_from))]


def _as_at_fork(last: _Stored, forked_from: Sequence[Message]) -> Message:
    """The last message that a fork keeps, without the results and the text that came to it after the fork."""
    for message in reversed(forked_from):
        ids = ids_of(message)
        stored_ids = last.ids_in(set(ids))
        if not set(ids).isdisjoint(stored_ids):
            # Ids are in the order in which the parts came, so a state with the last id had the end of the message.
            return last.message if stored_ids[-1] in ids else _replaced(last.message, message)
    return last.message


def _targets(entries: list[_Stored], folded: Sequence[Message]) -> list[int | None]:
    """For each folded message the position of the stored one that it is, or None."""
    positions: dict[str, int] = {}
    for position, entry in enumerate(entries):
        positions |= dict.fromkeys([*entry.adopted, *ids_of(entry.message)], position)
    hits = [[positions[name] for name in ids_of(message) if name in positions] for message in folded]
    if any(hits) or any(entry.message.get("ids") for entry in entries):
        # A message with the ids of several stored ones has joined them; it belongs where the last one stands.
        return [max(targets, default=None) for targets in hits]
    equal = _equal_at_head(entries, folded)
    return [position if position < equal else None for position in range(len(folded))]


def _equal_at_head(entries: list[_Stored], folded: Sequence[Message]) -> int:
    """How many messages at the beginning of both say the same.

    Another program may keep the row of a chat whose state has ids that it does not know.
    """
    pairs = zip(entries, folded, strict=False)
    same = [meaning_of(entry.message)[:2] == meaning_of(message)[:2] for entry, message in pairs]
    return same.index(False) if False in same else len(same)


def _updated(entries: list[_Stored], folded: Sequence[Message], targets: list[int | None]) -> list[Message]:
    """The stored messages with what the state changes in them."""
    by_target: dict[int | None, list[Message]] = {}
    for message, target in zip(folded, targets, strict=True):
        by_target.setdefault(target, []).append(message)
    state_ids = {name for message in folded for name in ids_of(message)}
    updated: list[Message] = []
    for position, entry in enumerate(entries):
        ids = ids_of(entry.message)
        if position in by_target:
            updated += _reconciled(entry, by_target[position])
        elif not ids or not state_ids.issuperset(ids):
            updated.append(entry.message)
        # else the state has it as a part of a later message, which now stands for both
    return updated


def _reconciled(entry: _Stored, folded: list[Message]) -> list[Message]:
    """A stored message, and what the state has of it: usually one message, several where one answer became two."""
    stored = entry.message
    state_ids = {name for message in folded for name in ids_of(message)}
    stored_ids = entry.ids_in(state_ids)
    if state_ids.isdisjoint(stored_ids):
        return [stored]  # it was matched by its text, which is therefore the same
    if state_ids.issuperset(stored_ids):
        return [_replaced(stored, message) for message in folded]
    if state_ids.issubset(stored_ids) or stored_ids is entry.adopted:
        # The agent has trimmed a part of it, or another program has added to it since the agent adopted it.
        return [stored]
    for message in folded:
        stored = _completed(stored, message)
    return [stored]


def _replaced(stored: Message, message: Message) -> Message:
    """The state's message in the place of the stored one; the stored object itself if both say the same."""
    if meaning_of(stored) == meaning_of(message):
        own, ids = ids_of(stored), ids_of(message)
        # A part without text may have joined. A message keeps its own ids, or its lack of ids, when it is adopted.
        has_grown = own and own != ids and set(own) <= set(ids)
        return {**stored, "ids": message["ids"]} if has_grown else stored
    foreign = {key: value for key, value in stored.items() if key not in _OWN_KEYS}
    return {**foreign, **message, "timestamp": stored.get("timestamp", message["timestamp"])}


def _completed(stored: Message, message: Message) -> Message:
    """A stored message whose beginning the state has forgotten, with what has been added to it since."""
    ids = [name for name in ids_of(stored) if name not in ids_of(message)] + ids_of(message)
    calls = {call.get("id") or repr(call): call for call in stored.get("tool_calls", ())}
    for call in message.get("tool_calls", ()):
        name = call.get("id") or repr(call)
        # The state may have the result alone, whose call was trimmed: then it does not know the args.
        before = {key: calls[name][key] for key in ("tool", "args")} if name in calls else {}
        calls[name] = {**call, **before}
    # Two texts: the calls of the first were trimmed, so that its results seemed to belong to the second.
    texts = dict.fromkeys(text for text in (stored["content"], message["content"]) if text)
    completed = {**stored, "content": "\n\n".join(texts), "ids": " ".join(ids)}
    return {**completed, "tool_calls": list(calls.values())} if calls else completed
