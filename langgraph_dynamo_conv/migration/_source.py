"""The saver that threads are read from.

The rule: the source is read one checkpoint at a time and never written, a value is given whole or not at all, and
every failure is a `SourceError` that says what was being read.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.checkpoint.serde.event_hooks import SerdeEvent, register_serde_event_listener

from langgraph_dynamo_conv.errors import DynamoConvError
from langgraph_dynamo_conv.migration._foreign import (
    ForeignCheckpoint,
    Reference,
    foreign_checkpoint,
    parents_first,
    reference_of,
)
from langgraph_dynamo_conv.migration._savers import known_saver


class SourceError(DynamoConvError):
    """The saver that threads are read from failed, or gave something that can't be stored as it is."""


class Source:
    """Reads a saver, with one checkpoint in memory at a time. Never writes to it.

    Args:
        saver: Any synchronous saver.

    Raises:
        ValueError: It is no saver, or an asynchronous one.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        if not isinstance(saver, BaseCheckpointSaver):
            raise ValueError(f"source is a BaseCheckpointSaver; got a {type(saver).__name__}")
        if type(saver).__module__.endswith(".aio"):
            raise ValueError(f"{type(saver).__name__} is asynchronous: give its synchronous twin, on the same data")
        self._saver = saver
        self._known = known_saver(saver)

    def thread_ids(self) -> Iterator[str]:
        """Every thread of the saver, perhaps several times."""
        with _as_source_error("listing its threads"):
            yield from map(str, self._known.thread_ids(self._saver))

    def metadata(self, thread_id: str) -> Iterator[Mapping[str, Any]]:
        """The metadata of every checkpoint of a thread."""
        return (cast("Mapping[str, Any]", original.metadata or {}) for original in self._listed(thread_id))

    def references(self, thread_id: str) -> list[Reference]:
        """Every checkpoint of a thread, of all namespaces, parents before their children."""
        return parents_first(map(reference_of, self._listed(thread_id)))

    def read(self, thread_id: str, reference: Reference, user_id: str) -> ForeignCheckpoint:
        """A checkpoint as it is to be stored for a user.

        Raises:
            SourceError: The checkpoint is gone, or holds what can't be read here without loss.
        """
        ids = {"thread_id": thread_id, "checkpoint_ns": reference.ns, "checkpoint_id": reference.checkpoint_id}
        with _as_source_error(f"reading checkpoint {reference.checkpoint_id} of thread {thread_id}"), _whole_types():
            original = self._saver.get_tuple({"configurable": ids})
            if original is None or reference_of(original).place != reference.place:
                raise LookupError("it was listed, but is gone; if it was deleted meanwhile, run this again")
            return foreign_checkpoint(original, self._known.writes(self._saver, original), user_id)

    def _listed(self, thread_id: str) -> Iterator[CheckpointTuple]:
        with _as_source_error(f"listing the checkpoints of thread {thread_id}"):
            for configurable in self._known.configurables(self._saver, thread_id):
                yield from self._saver.list({"configurable": configurable})


@contextmanager
def _as_source_error(doing: str) -> Iterator[None]:
    try:
        yield
    except DynamoConvError:
        raise
    except Exception as error:  # savers' errors have no common root
        raise SourceError(f"{doing} failed in the source: {type(error).__name__}: {error}") from error


@contextmanager
def _whole_types() -> Iterator[None]:
    """Fail if a value comes without its type.

    LangGraph gives the bare data of a type that it may not or can't import, and only notes it in an event.
    """
    lost: list[str] = []

    def note(event: SerdeEvent) -> None:
        name = f"{event['module']}.{event['name']}"
        if event["kind"] != "msgpack_unregistered_allowed":
            lost.append(f"{name} is not allowed: name a saver that allows it, or unset LANGGRAPH_STRICT_MSGPACK")
        elif not _is_importable(event["module"], event["name"]):
            lost.append(f"{name} can't be imported: run this where the agent's code is installed")

    unregister: Callable[[], None] = register_serde_event_listener(note)
    try:
        yield
    finally:
        unregister()
    if lost:
        raise TypeError(f"the type {lost[0]}")


def _is_importable(module: str, name: str) -> bool:
    try:
        return hasattr(importlib.import_module(module), name)
    except ImportError:
        return False
