"""A transcript that grows by what states say, and goes back where one forks.

The rule: a transcript only grows. An agent may trim or summarise its own messages, and the transcript keeps what was
said. Two things replace a stored message: a step that changed it, and a fork, which drops what came after its point.
With runs at once, one goes between stored messages: a question that the state has before an answer that is there. Of a
run that stores all at its end, the answer can be seen first.

Messages are known again by their `ids`. A stored message has two sets of them: its own, and those that its parts get
when an agent adopts it (`langchain.adopted_ids`). The row of a program that stores no ids is known by what it says,
from its first message on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from langgraph_dynamo_conv._transcript.differences import Said
from langgraph_dynamo_conv._transcript.folding import Folding, Message, Whole, calls_in, fold
from langgraph_dynamo_conv._transcript.ids import adopted_part, digest_of, ids_of
from langgraph_dynamo_conv._transcript.langchain import adopted_call_ids, adopted_ids, call_ids, has_ids, meaning_of

_NEAR_THE_END = 16
"""Messages at the end of a transcript among which a run at once has written: a few exchanges, some pages at most."""

_OWN_KEYS = {"role", "content", "timestamp", "tool_calls", "ids", "shortened"}


class Grown(NamedTuple):
    """A transcript after a step.

    Args:
        messages: Those that did not change are the same objects as before.
        is_complete: Whether all that was changed or answered is among them; if not, it may be among older ones.
    """

    messages: list[Message]
    is_complete: bool


def grow(
    stored: Sequence[Message],
    said: Sequence[Said],
    *,
    timestamp: str,
    is_all: bool = False,
    after: BaseMessage | None = None,
    at_once: bool = False,
    whole: Whole = lambda message: message,
) -> Grown:
    """The transcript after what was said. Saying the same again changes nothing.

    Args:
        stored: The newest messages of the transcript, oldest first; other programs' messages have no `ids`.
        said: What steps brought, in their order.
        timestamp: ISO 8601 in UTC with `Z`, given to new messages.
        is_all: Whether `said` is all that the state has, and not what it has more than the transcript's state.
        after: The message of the state before that comes before what was said, if it need not be the newest stored.
        at_once: Whether a run beside this one has written too.
        whole: Gives a stored message whole that is shortened; called for those alone that are looked into.
    """
    if is_all and stored and not any(map(has_ids, stored)):
        told = _told(stored, said, timestamp)
        if told is not None:
            return Grown([*stored, *told], True)
    names, calls = _known_by(stored, said)
    folding = Folding(timestamp, stored, names, calls, whole)
    if after is not None:
        folding.go_on(after)
    for one in said:
        if one.is_new:
            folding.is_complete &= not one.may_be_old or folding.knows(one.message)
            folding.add(one.message)
        else:
            folding.change(one.message, one.was)
    messages = folding.messages()
    if at_once:
        messages = _questions_first(messages, names, said)
    return Grown(messages, folding.is_complete and not _lacks_some(names, said))


def fork_point(
    stored: Sequence[Message],
    forked_from: Sequence[Message],
    taken_back: Set[str] = frozenset(),
    *,
    by_words: bool = True,
) -> int | None:
    """How many of `stored` a fork keeps: those before the first that was said since its point.

    Where nothing is known to have been said since, those up to the last one that `forked_from` knows.

    Args:
        stored: The newest messages of the transcript, oldest first.
        forked_from: `fold` of the state that the fork began from.
        taken_back: Digests of what was said after it.
        by_words: Whether messages that no id tells are looked for by what they say.

    Returns:
        None if the point is before all of `stored`, or can't be told. While the transcript
        has older messages, read them and ask again.
    """
    positions = _positions(stored)
    hits = [[positions[name] for name in ids_of(message) if name in positions] for message in forked_from]
    known = [place for place, found in enumerate(hits) if found]
    if taken_back:
        newest = max((place for found in hits for place in found), default=0)
        dropped = (n for n in range(newest, len(stored)) if not taken_back.isdisjoint(ids_of(stored[n])))
        first = next(dropped, len(stored))
        is_part = first < len(stored) and not taken_back >= set(ids_of(stored[first]))
        return first + is_part or None
    if not known:
        return _alike(stored, forked_from) if by_words else None
    count = max(max(found) for found in hits if found) + 1
    for message in forked_from[known[-1] + 1 :]:  # those without ids have other names in the transcript
        if count == len(stored) or not _says(stored[count], message):
            break
        count += 1
    return count


def before_fork(
    stored: Sequence[Message],
    forked_from: Sequence[Message],
    taken_back: Mapping[str, int] = MappingProxyType({}),
    whole: Whole = lambda message: message,
) -> list[Message]:
    """The stored messages that a fork keeps, see `fork_point`; the last of them as it was then.

    Args:
        stored: The newest messages of the transcript, oldest first.
        forked_from: `fold` of the state that the fork began from.
        taken_back: Digests of what was said after it, each with how many calls it made.
        whole: Gives a stored message whole that is shortened.
    """
    if not forked_from and not taken_back:
        # The fork starts the conversation anew. No state of this saver made what other programs wrote.
        return [message for message in stored if not has_ids(message)]
    count = fork_point(stored, forked_from, taken_back.keys())
    if count is None:
        return [] if taken_back else list(stored)
    *before, last = stored[:count]
    is_known = any(not set(ids_of(last)).isdisjoint(ids_of(message)) for message in forked_from)
    if not is_known and not taken_back.keys().isdisjoint(ids_of(last)):
        return [*before, _without(last, before, forked_from, taken_back, whole)]
    return [*before, _as_at_fork(last, adopted_ids(stored[:count])[-1], forked_from, whole)]


def _without(
    last: Message,
    before: Sequence[Message],
    forked_from: Sequence[Message],
    taken_back: Mapping[str, int],
    whole: Whole,
) -> Message:
    """The last message that a fork keeps, which its state does not know, without the parts that are taken back."""
    newest = set(ids_of(forked_from[-1])) if forked_from else set[str]()
    if forked_from and all(newest.isdisjoint(ids_of(message)) for message in before):
        held = forked_from[-1]  # the same, known by other ids
        calls = _calls_at_fork(whole(last), held)
    else:
        held = {**whole(last), "content": ""}
        stored = calls_in(held)
        held.pop("tool_calls", None)
        calls = stored[: len(stored) - sum(taken_back.get(name, 0) for name in ids_of(last))]
    kept = " ".join(name for name in ids_of(last) if name not in taken_back)
    made = {"tool_calls": calls} if calls else {}
    return {**_foreign_keys(last), **held, "timestamp": last.get("timestamp", ""), "ids": kept, **made}


def _foreign_keys(message: Message) -> Message:
    return {key: value for key, value in message.items() if key not in _OWN_KEYS}


def _lacks_some(names: Sequence[Sequence[str]], said: Sequence[Said]) -> bool:
    """Whether something that was said before a stored message is not stored: it has left the row."""
    known = {name for one in names for name in one}
    is_known = [digest_of(str(one.message.id)) in known for one in said if one.is_new]
    return False in is_known and True in is_known[is_known.index(False) :]


def _questions_first(messages: list[Message], names: Sequence[Sequence[str]], said: Sequence[Said]) -> list[Message]:
    """The messages, each new question before the stored message that was said next, and no later in time.

    Only where that stands after all that was said before the question, and near the end: another run wrote it just now.
    """
    stored = {name: position for position, known in enumerate(names) for name in known}
    places: dict[str, int] = {}
    waiting: list[str] = []
    last = len(names) - _NEAR_THE_END
    for name in (digest_of(str(one.message.id)) for one in said if one.is_new):
        place = stored.get(name)
        if place is None:
            waiting.append(name)
            continue
        if place > last:
            places |= dict.fromkeys(waiting, place)
        waiting, last = [], max(last, place)
    early: defaultdict[int, list[Message]] = defaultdict(list)
    late = list[Message]()
    for message in messages[len(names) :]:
        at = places.get(message["ids"]) if message["role"] == "user" else None
        if at is None:
            late.append(message)
        else:
            early[at].append({**message, "timestamp": messages[at].get("timestamp", message["timestamp"])})
    if not early:
        return messages
    return [*(one for place, held in enumerate(messages[: len(names)]) for one in (*early[place], held)), *late]


def _told(stored: Sequence[Message], said: Sequence[Said], timestamp: str) -> list[Message] | None:
    """What follows the stored messages, where all that was said begins with them; None where it does not.

    Another program may keep the row of a chat whose state has ids that it does not know.
    """
    if not all(one.is_new and adopted_part(one.message.id)[0] is None for one in said):
        return None
    messages = fold([one.message for one in said], timestamp=timestamp)
    pairs = zip(stored, messages, strict=False)
    same = [_says(one, message) for one, message in pairs]
    return messages[same.index(False) if False in same else len(same) :]


def _known_by(stored: Sequence[Message], said: Sequence[Said]) -> tuple[list[list[str]], list[list[str]]]:
    """For each stored message the ids of its parts, and those of its calls."""
    own, made = [ids_of(message) for message in stored], [call_ids(message) for message in stored]
    if all(own) and not any(adopted_part(one.message.id)[0] for one in said):
        return own, made
    adopted, adopted_made = adopted_ids(stored), adopted_call_ids(stored)
    return [[*one, *other] for one, other in zip(adopted, own, strict=True)], adopted_made


def _positions(stored: Sequence[Message]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for position, (message, adopted) in enumerate(zip(stored, adopted_ids(stored), strict=True)):
        positions |= dict.fromkeys([*adopted, *ids_of(message)], position)
    return positions


def _alike(stored: Sequence[Message], forked_from: Sequence[Message]) -> int | None:
    """The end of the longest run of messages, up to the last of `forked_from`, that say the same; the first such."""
    best, most = None, 0
    for end in range(1, len(stored) + 1):
        length = 0
        while length < min(end, len(forked_from)) and _says(stored[end - 1 - length], forked_from[-1 - length]):
            length += 1
        if length > most or (length == most > 0 and end == len(forked_from)):
            best, most = end, length
    return best


def _says(one: Message, other: Message) -> bool:
    return meaning_of(one)[:2] == meaning_of(other)[:2]


def _as_at_fork(last: Message, adopted: Sequence[str], forked_from: Sequence[Message], whole: Whole) -> Message:
    """The last message that a fork keeps, without the results and the text that came to it after the fork."""
    own = ids_of(last)
    for message in reversed(forked_from):
        ids = ids_of(message)
        known = own if not set(own).isdisjoint(ids) else adopted
        if not set(ids).isdisjoint(known):
            # Ids are in the order in which the parts came, so a state with the last id had the end of the message.
            if known[-1] in ids or meaning_of(last) == meaning_of(message):
                return last
            until = max(place for place, name in enumerate(known) if name in ids) + 1
            kept = {"timestamp": last.get("timestamp", message["timestamp"])}
            if known is own:
                kept["ids"] = " ".join(own[:until])
            if calls := _calls_at_fork(whole(last), message):
                kept["tool_calls"] = calls
            return {**_foreign_keys(last), **message, **kept}
    return last


def _calls_at_fork(last: Message, message: Message) -> list[Any]:
    """The calls of a message at a fork; those before them that the agent had forgotten by then stay."""
    stored, calls, done = calls_in(last), list[Any](), 0
    for call in message.get("tool_calls") or ():
        place = next((n for n in range(done, len(stored)) if _id_of(stored[n]) == _id_of(call)), None)
        if place is not None:
            made = {name: stored[place].get(name, call[name]) for name in ("tool", "args")}
            calls += stored[done:place]
            done = place + 1
        calls.append(call if place is None or call["args"] else {**call, **made})
    return calls


def _id_of(call: Any) -> Any:
    return call.get("id") if isinstance(call, Mapping) else None
