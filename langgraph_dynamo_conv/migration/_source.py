"""The saver that threads are read from: its ids, its checkpoints one by one, and every failure as `SourceError`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
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
    """Reads a saver, one checkpoint in memory at a time. Never writes to it.

    Args:
        saver: Any synchronous saver.

    Raises:
        ValueError: It is no saver, or an asynchronous one.
    """

    def __init__(self, saver: BaseCheckpointSaver[Any]) -> None:
        if not isinstance(saver, BaseCheckpointSaver):
            raise ValueError(f"a source is a BaseCheckpointSaver; got a {type(saver).__name__}")
        if type(saver).__module__.endswith(".aio"):
            raise ValueError(f"{type(saver).__name__} is asynchronous: give its synchronous twin, on the same data")
        self._saver = saver
        self._known_saver = known_saver(saver)

    def thread_ids(self) -> Iterator[str]:
        """Every thread, once."""
        with _as_source_error("listing its threads"):
            yield from map(str, self._known_saver.thread_ids(self._saver))

    def metadata(self, thread_id: str) -> Iterator[Mapping[str, Any]]:
        """The metadata of every checkpoint of a thread."""
        for found in self._listed(thread_id):
            yield cast("Mapping[str, Any]", found.metadata or {})

    def references(self, thread_id: str) -> list[Reference]:
        """Every checkpoint of a thread, of all namespaces, parents before their children."""
        return parents_first(map(reference_of, self._listed(thread_id)))

    def read(self, thread_id: str, reference: Reference, user_id: str) -> ForeignCheckpoint:
        """A checkpoint as it is to be stored.

        Raises:
            SourceError: It is gone, or holds what can't be read here without loss.
        """
        at: RunnableConfig = {
            "configurable": {
                "thread_id": thread_id,
                "checkpoint_ns": reference.ns,
                "checkpoint_id": reference.checkpoint_id,
            }
        }
        with _as_source_error(f"reading checkpoint {reference.checkpoint_id} of thread {thread_id}"), _whole_types():
            found = self._saver.get_tuple(at)
            if found is None or reference_of(found)[:2] != reference[:2]:
                raise LookupError("it was listed, but is gone; if it was deleted meanwhile, run this again")
            return foreign_checkpoint(found, self._known_saver.writes(self._saver, found), user_id)

    def _listed(self, thread_id: str) -> Iterator[CheckpointTuple]:
        with _as_source_error(f"listing the checkpoints of thread {thread_id}"):
            namespaces = (
                self._known_saver.namespaces(self._saver, thread_id) if self._known_saver.namespaces else [None]
            )
            for ns in namespaces:
                at = {"thread_id": thread_id} | ({} if ns is None else {"checkpoint_ns": ns})
                yield from self._saver.list({"configurable": at})


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
    """Fail if a value comes without its type: LangGraph gives the bare data of types it may not or can't import."""
    lost: list[str] = []

    def note(event: SerdeEvent) -> None:
        name = f"{event['module']}.{event['name']}"
        if event["kind"] != "msgpack_unregistered_allowed":
            lost.append(f"{name} is not allowed: unset LANGGRAPH_STRICT_MSGPACK, or name a saver that allows it")
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
