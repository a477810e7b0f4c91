"""What one value of a messages channel says that the one before it did not.

The rule: a state is compared with its parent's, never with the transcript, so that what the agent keeps, trims,
summarises or rewrites shows as what it is. What both have is retained. Of the rest:

    after the last that is retained          new
    the id of a message that is gone         that message, changed
    between two retained ones                new; but where messages are gone there too, their summary, which is no
                                             message of the conversation
    before the first that is retained        a summary, or older
    gone                                     trimmed: the transcript keeps it

Elements without ids are told apart by their order: matching goes forward, and prefers long runs. Where, before one that
is retained, elements without ids stand for as many of the same kinds, they are these, changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from difflib import SequenceMatcher
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from langchain_core.messages import BaseMessage, ToolMessage

from langgraph_dynamo_conv._transcript.folding import coerced

T = TypeVar("T")


class Said(NamedTuple):
    """A message that a step brought.

    Args:
        message: With an id, its own or one by where it came from.
        was: The same message before, if it has changed.
        is_new: Whether it is added if the transcript does not know it.
        may_be_old: Whether it may take the place of a message of before that is not at hand.
    """

    message: BaseMessage
    was: BaseMessage | None = None
    is_new: bool = True
    may_be_old: bool = False


class _Element(NamedTuple):
    """A message of a list that the other list does not have as it is."""

    place: int
    message: BaseMessage
    has_id: bool


def difference(
    old: Sequence[T],
    new: Sequence[T],
    *,
    key: Callable[[T], Hashable],
    load: Callable[[Sequence[T]], Sequence[Any]],
    origin: str,
    before: int = 0,
) -> list[Said]:
    """What a list of messages says that the one before it did not, in its order.

    Args:
        old: Elements of the list before.
        new: Elements of the list.
        key: Equal for elements that are the same.
        load: Gives the messages of elements, in any form that LangChain takes.
        origin: Names messages without ids, together with their places.
        before: How many elements, not given, both lists open with.
    """
    if not old:  # all of it came
        came = _elements(new, range(len(new)), load)
        return [Said(named(one.message, f"{origin}.{before + one.place}")) for one in came]
    keys = list(map(key, old)), list(map(key, new))
    match: list[int | None] = [None] * len(new)
    for start, place, count in SequenceMatcher(None, *keys, autojunk=False).get_matching_blocks():
        match[place : place + count] = range(start, start + count)
    unmatched = [place for place, found in enumerate(match) if found is None]
    if not unmatched:
        return []
    gone = _elements(old, sorted(set(range(len(old))).difference(one for one in match if one is not None)), load)
    came = _elements(new, unmatched, load)
    comparison = _Comparison(gone, match, bool(before))
    others = comparison.pair(came)
    said = [*comparison.changed, *(one for run in _runs(others, match) for one in comparison.said(run))]
    names = {one.place: f"{origin}.{before + one.place}" for one in came if not one.has_id}
    return [
        found._replace(message=named(found.message, names.get(place)))
        for place, found in sorted(said, key=itemgetter(0))
    ]


def named(message: BaseMessage, name: str | None) -> BaseMessage:
    """A message with an id: its own, or else this name, whatever it says."""
    return message if message.id or not name else message.model_copy(update={"id": name})


class _Comparison:
    """Pairs what came with what is gone.

    Args:
        gone: Messages that the list no longer has as they were.
        match: For each element of the list, the place of the same one before.
        has_head: Whether anything stands before both lists that is retained.
    """

    def __init__(self, gone: list[_Element], match: list[int | None], has_head: bool) -> None:
        self._gone = {one.place: one for one in gone}
        self._match = match
        self._has_head = has_head
        self.changed: list[tuple[int, Said]] = []

    def pair(self, came: list[_Element]) -> list[_Element]:
        """Find the changed messages by their ids, and those that got one; gives the others."""
        by_id = {one.message.id: one for one in self._gone.values() if one.has_id}
        for element in came:
            if element.has_id:
                before = by_id.get(element.message.id) or self._unnamed(element)
                if before is not None:
                    self._change(element, before)
        return [element for element in came if self._match[element.place] is None]

    def said(self, run: list[_Element]) -> Iterator[tuple[int, Said]]:
        """What elements in a row say, none of which was there before under its id."""
        first, last = run[0].place, run[-1].place
        left = next((one for one in reversed(self._match[:first]) if one is not None), None)
        right = next((one for one in self._match[last + 1 :] if one is not None), None)
        begin, end = -1 if left is None else left, right if right is not None else max(self._gone, default=-1) + 1
        gone = [one for place, one in sorted(self._gone.items()) if begin < place < end]
        is_first, is_last = left is None and not self._has_head, right is None
        # After the last that is retained there may be another run's, or another draft: none of them is lost.
        changed = _changed(gone, run) if not is_last and len(gone) == len(run) else 0
        for before, element in zip(gone[:changed], run, strict=False):
            yield element.place, Said(element.message, before.message, False)
        is_said = is_last or not (is_first or gone)
        for element in run[changed:]:
            if is_said:
                yield element.place, Said(element.message)
            elif isinstance(element.message, ToolMessage):
                yield element.place, Said(element.message, None, False)  # answers a call, wherever it stands

    def _unnamed(self, element: _Element) -> _Element | None:
        """The message without an id that says the same, and stands after what is matched before it."""
        after = max((one for one in self._match[: element.place] if one is not None), default=-1)
        meaning = _meaning(element.message)
        found = (one for place, one in sorted(self._gone.items()) if place > after and not one.has_id)
        return next((one for one in found if _meaning(one.message) == meaning), None)

    def _change(self, element: _Element, before: _Element) -> None:
        self._match[element.place] = before.place
        del self._gone[before.place]
        self.changed.append((element.place, Said(element.message, before.message, False)))


def _elements(
    values: Sequence[T], places: Sequence[int], load: Callable[[Sequence[T]], Sequence[Any]]
) -> list[_Element]:
    loaded = load([values[place] for place in places])
    found = ((place, coerced([value])) for place, value in zip(places, loaded, strict=True))
    return [_Element(place, message, bool(message.id)) for place, messages in found for message in messages]


def _runs(unpaired: list[_Element], match: Sequence[int | None]) -> Iterator[list[_Element]]:
    """Elements between which there is none that was there before."""
    run: list[_Element] = []
    for element in unpaired:
        if run and any(place is not None for place in match[run[-1].place : element.place]):
            yield run
            run = []
        run.append(element)
    if run:
        yield run


def _changed(gone: list[_Element], run: list[_Element]) -> int:
    """How many elements of a run are those that are gone, changed: all of them, or none."""
    kinds = [(one.message.type, one.has_id) for one in gone]
    return len(gone) if kinds == [(one.message.type, False) for one in run] else 0


def _meaning(message: BaseMessage) -> tuple[Any, ...]:
    calls, answered = getattr(message, "tool_calls", None), getattr(message, "tool_call_id", None)
    return message.type, repr(message.content), repr(calls), answered
