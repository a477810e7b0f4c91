"""What the steps of a graph said: the way from the state that a row shows to a newer one.

The rule: each checkpoint is compared with its parent. Of a list, what it has more; of a `DeltaChannel`, whose values
are not in checkpoints, the task writes on the parent. So nothing is lost that an agent trims within its run, and
nothing is said twice, whichever process goes which part of the way.
A process remembers the steps that it stored until the row shows them; others are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage

from langgraph_dynamo_conv._checkpoints.loading import Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites, Write
from langgraph_dynamo_conv._format import changes
from langgraph_dynamo_conv._format.keys import Scope
from langgraph_dynamo_conv._format.tree import Leaf, Node
from langgraph_dynamo_conv._history.ancestry import path
from langgraph_dynamo_conv._history.deltas import Deltas
from langgraph_dynamo_conv._state.order import Trail
from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.recent import Recent
from langgraph_dynamo_conv._transcript.differences import Said, difference, named
from langgraph_dynamo_conv._transcript.folding import coerced, role_of_message
from langgraph_dynamo_conv._transcript.written import agree, flat, instead_of_all, put_together

_OFFERED = "00000000-0000-6000-8000-"

REMEMBERED_BYTES = 4 * 1024 * 1024
"""About how many bytes of steps a process remembers."""

_MESSAGE_BYTES = 1024
"""What a message takes in memory beside its content."""


class Step(NamedTuple):
    """From a checkpoint's parent to it.

    Args:
        parent_id: The parent; None or that of an offered checkpoint where there is none before.
        said: What it brought; None where that is what was written to a `DeltaChannel` on the parent.
        is_input: Whether a run's input may be among that.
        has_value: Whether the checkpoint has the value of that channel all the same.
        value: That value, if it is at hand: it may be large, and stored apart.
    """

    parent_id: str | None
    said: Sequence[Said] | None
    is_input: bool = True
    has_value: bool = False
    value: Sequence[Any] | None = None


KnownSteps = Recent[tuple[Scope, str], Step]
"""Steps by checkpoint."""


def known_steps() -> KnownSteps:
    """A memory of steps."""
    return Recent(REMEMBERED_BYTES, _weight)


class Way(NamedTuple):
    """What was said on the way to a checkpoint.

    Args:
        said: In its order.
        is_all: Whether it is all that the state has, since the way could not be followed from where the row is.
        checkpoint_ids: Of the steps.
    """

    said: list[Said]
    is_all: bool
    checkpoint_ids: Sequence[str] = ()


def is_offered(checkpoint_id: str | None) -> bool:
    """Whether a checkpoint id is one that stands for a row."""
    return checkpoint_id is not None and checkpoint_id.startswith(_OFFERED)


def offered_id(digest: str) -> str:
    """The checkpoint id that stands for a row: smaller than every real one."""
    return _OFFERED + digest


class Steps:
    """The steps of all conversations. Safe to share between threads.

    Args:
        checkpoints: The states.
        deltas: Values of states.
        writes: Task writes.
        channel: Name of the channel that holds the messages.
        known: Steps that this process stored, until rows show them.
    """

    def __init__(
        self, checkpoints: Checkpoints, deltas: Deltas, writes: TaskWrites, channel: str, known: KnownSteps
    ) -> None:
        self._checkpoints = checkpoints
        self._deltas = deltas
        self._writes = writes
        self._channel = channel
        self._known = known

    def note(self, scope: Scope, stored: StoredCheckpoint, parent: StoredCheckpoint | None, value: Any) -> None:
        """A checkpoint of the root was stored, whose messages channel holds this value."""
        if parent is not None or stored.parent_id is None:
            self._known.put((scope, stored.checkpoint_id), self._step(scope, stored, parent, value))

    def forget(self, scope: Scope, checkpoint_ids: Sequence[str]) -> None:
        """A row shows these checkpoints."""
        for checkpoint_id in checkpoint_ids:
            self._known.pop((scope, checkpoint_id))

    def way(self, scope: Scope, stored: StoredCheckpoint, oldest: str, *, may_read: bool = True) -> Way:
        """What was said after the checkpoint `oldest` ("": from the beginning) and up to this one.

        Without `may_read`, and where one between is not there, it is all that the state has.

        Cost: nothing for what this process stored; one Query of task writes for a `DeltaChannel`; else that of reading
        the checkpoints between, a chain at a time.
        """
        is_used = self._channel in stored.tree.get("channel_versions", ())
        steps = list(self._back(scope, stored, oldest, may_read=may_read and is_used))
        if not is_used:
            return Way([], False, [checkpoint_id for checkpoint_id, _ in steps])
        last = steps[-1][1] if steps else None
        if stored.checkpoint_id != oldest and (last is None or not _begins(last, oldest)):
            return Way(self.all(scope, stored), True)
        steps.reverse()
        parents = [step.parent_id or "" for _, step in steps if step.said is None]
        writes = self._written(scope, min(parents), max(parents)) if parents else {}
        said: list[Said] = []
        for checkpoint_id, step in steps:
            on_parent = writes.get(step.parent_id or "", [])
            said += self._delta(scope, checkpoint_id, step, on_parent) if step.said is None else step.said
        return Way(said, last is not None and last.parent_id is None, [checkpoint_id for checkpoint_id, _ in steps])

    def all(self, scope: Scope, stored: StoredCheckpoint) -> list[Said]:
        """All that a state has; of a `DeltaChannel`, all that was ever written to it."""
        node = stored.tree["channel_values"].get(self._channel)
        if node is not None:
            return _said(flat(self._deltas.value(scope, node)), stored.checkpoint_id)
        if self._channel not in stored.tree.get("channel_versions", ()):
            return []
        history = self._deltas.delta(scope.namespace(), stored.checkpoint_id, [self._channel])
        if any(seed is not None for _, seed in history.values()):  # not all of it was written by tasks
            return _said(self._held(scope, stored.checkpoint_id), stored.checkpoint_id)
        before = path(self._checkpoints, scope.namespace(), stored.checkpoint_id)[:0:-1]
        writes = self._written(scope, "", max(before, default=""))
        written = [one for checkpoint_id in before for one in writes.get(checkpoint_id, ())]
        return [one for origin, value in written for one in _said(flat(value), origin)]

    def common(self, scope: Scope, stored: StoredCheckpoint, other: str) -> str | None:
        """The newest of a checkpoint, and of its ancestors, that another also is or comes from; "" if both have begun
        by themselves, None if that can't be told, since one between is not there.

        Cost: nothing where the other is an ancestor that this process knows of; else that of reading it.
        """
        if other in stored.lineage or any(
            step.parent_id == other for _, step in self._back(scope, stored, "", may_read=False)
        ):
            return other
        namespace = scope.namespace()
        there = self._checkpoints.get(namespace, other)
        if there is None:
            return None
        if shared := [one for one in stored.lineage if one and one in there.lineage]:
            return shared[-1]
        here = path(self._checkpoints, namespace, stored.checkpoint_id, other)
        from_there = {other} if other in here else {*path(self._checkpoints, namespace, other)}
        return next((one for one in here if one in from_there), None)

    def undone(self, scope: Scope, head: str, checkpoint_id: str) -> list[Said]:
        """The messages that have changed from a checkpoint to a later one, as they were."""
        later, before = (self._checkpoints.get(scope.namespace(), one) for one in (head, checkpoint_id))
        if later is None or before is None:
            return []
        now, then = (self._held(scope, one) for one in (head, checkpoint_id))
        said = _difference(now, then, checkpoint_id)
        if any(one.is_new and not one.was for one in said) and None in {one.id for one in then}:
            # Forgotten since, and perhaps changed before.
            said = [
                Said(one.was, one.message, False)
                for one in reversed(self.way(scope, later, checkpoint_id).said)
                if one.was
            ]
        there = {one.id for one in now}
        forgotten = [Said(one, None, False) for one in then if one.id and one.id not in there]
        return [*forgotten, *(one for one in said if one.was is not None)]

    def by_hand(self, scope: Scope, head: str, way: Way) -> set[str]:
        """Ids of messages that a person has put, on the way to a checkpoint, into states that did not have them."""
        namespace, later = scope.namespace(), self._checkpoints.get(scope.namespace(), head)
        if later is None:
            return set()
        if self._channel in later.tree["channel_values"]:
            return {str(one.message.id) for one in way.said if one.may_be_old}
        chains: dict[str, StoredCheckpoint] = {}
        steps = [self._checkpoints.get(namespace, one, chains) for one in way.checkpoint_ids]
        parents = [one.parent_id or "" for one in steps if one is not None and self._branches_off(scope, one)]
        writes = self._written(scope, min(parents), max(parents)) if parents else {}
        return {str(said.id) for one in parents for _, value in writes.get(one, ()) for said in coerced(flat(value))}

    def former(self, scope: Scope, checkpoint_id: str, ids: Set[str]) -> list[Said]:
        """Messages as the newest of a checkpoint and its ancestors has them that has them at all."""
        found: dict[str, BaseMessage] = {}
        is_replayed = False
        for stored in self._states_back(scope, checkpoint_id):
            has_value = self._channel in stored.tree["channel_values"]
            if has_value or not is_replayed:  # else what a `DeltaChannel` replays has been looked at
                held = [self._held(scope, stored)] if has_value else self._replayed(scope, stored.checkpoint_id)
                found = {str(one.id): one for value in held for one in coerced(flat(value)) if one.id in ids} | found
            is_replayed = not has_value
            if found.keys() == ids:
                break
        return [Said(one, None, False) for one in found.values()]

    def last(self, scope: Scope, checkpoint_id: str) -> BaseMessage | None:
        """The last message of a state; where an agent has forgotten all, of its newest ancestor that has one."""
        for stored in self._states_back(scope, checkpoint_id):
            node = stored.tree["channel_values"].get(self._channel)
            newest = node[-1:] if isinstance(node, list) else node
            held = self._held(scope, stored) if node is None else [*coerced(flat(self._deltas.value(scope, newest)))]
            if held:
                return held[-1]
        return None

    def metadata(self, scope: Scope, stored: StoredCheckpoint, name: str) -> Any:
        """A value of a checkpoint's metadata; None if it has none of that name."""
        node = stored.tree["metadata"].get(name)
        return self._deltas.value(scope, node) if node is not None else None

    def skips(self, scope: Scope, stored: StoredCheckpoint, parent: StoredCheckpoint) -> bool:
        """Whether steps between a checkpoint and its parent were not stored: those of a run with durability "exit"."""
        step, before = (self.metadata(scope, one, "step") for one in (stored, parent))
        return isinstance(step, int) and isinstance(before, int) and step > before + 1

    def _back(
        self, scope: Scope, stored: StoredCheckpoint, oldest: str, *, may_read: bool
    ) -> Iterator[tuple[str, Step]]:
        """The steps back from a checkpoint to `oldest`, as far as they are there, or this process remembers them."""
        checkpoint_id: str | None = stored.checkpoint_id
        chains = {stored.checkpoint_id: stored}
        trail = Trail()
        while checkpoint_id and checkpoint_id != oldest and not is_offered(checkpoint_id):
            step = self._known.get((scope, checkpoint_id))
            if step is None and may_read:
                step = self._read(scope, checkpoint_id, chains)
            if step is None:
                return
            trail.add(scope.namespace().checkpoint(checkpoint_id))
            yield checkpoint_id, step
            checkpoint_id = step.parent_id

    def _states_back(self, scope: Scope, checkpoint_id: str) -> Iterator[StoredCheckpoint]:
        """A checkpoint and its ancestors."""
        chains, trail = dict[str, StoredCheckpoint](), Trail()
        earlier: str | None = checkpoint_id
        while earlier and (stored := self._checkpoints.get(scope.namespace(), earlier, chains)) is not None:
            trail.add(scope.namespace().checkpoint(earlier))
            yield stored
            earlier = stored.parent_id

    def _read(self, scope: Scope, checkpoint_id: str, chains: dict[str, StoredCheckpoint]) -> Step | None:
        """The step to a checkpoint; None if it or its parent is not there."""
        namespace = scope.namespace()
        stored = self._checkpoints.get(namespace, checkpoint_id, chains)
        if stored is None:
            return None
        parent = self._checkpoints.get(namespace, stored.parent_id, chains) if stored.parent_id else None
        if parent is None and stored.parent_id is not None:
            return None
        return self._step(scope, stored, parent, None)

    def _step(self, scope: Scope, stored: StoredCheckpoint, parent: StoredCheckpoint | None, value: Any) -> Step:
        channel, tree = self._channel, stored.tree
        tree_before = parent.tree if parent is not None else {}
        node, old = tree["channel_values"].get(channel), tree_before.get("channel_values", {}).get(channel)
        version, version_before = (_version(one, channel) for one in (tree, tree_before))
        if version is None or (version_before is not None and version.same(version_before)):
            return Step(stored.parent_id, ())
        is_delta = old is None and version_before is not None
        by_hand = node is not None and self._branches_off(scope, stored)
        if (node is None or is_delta) and (parent is None or not by_hand):
            held = flat(value) if node is not None and value is not None else None
            return Step(stored.parent_id, None, self._may_be_input(scope, stored, parent), node is not None, held)
        if is_delta and parent is not None:  # writes on the parent may be another branch's
            before, now = self._held(scope, parent.checkpoint_id), flat(self._deltas.value(scope, node))
            said: Sequence[Said] = _difference(before, now, stored.checkpoint_id)
        else:
            said = self._difference(scope, old, node, value, stored.checkpoint_id)
        if by_hand:  # a person may write what the agent has forgotten
            said = [one._replace(may_be_old=one.is_new) for one in said]
        return Step(stored.parent_id, said)

    def _branches_off(self, scope: Scope, stored: StoredCheckpoint) -> bool:
        """Whether a checkpoint was not made by a run."""
        return self.metadata(scope, stored, "source") in ("fork", "update")

    def _may_be_input(self, scope: Scope, stored: StoredCheckpoint, parent: StoredCheckpoint | None) -> bool:
        """Whether what a step brought may be a run's input; with durability "exit" it is that and what nodes said."""
        is_first = parent is None or self.metadata(scope, parent, "source") == "input"
        return is_first or (parent is not None and self.skips(scope, stored, parent))

    def _difference(self, scope: Scope, old: Node | None, new: Node, value: Any, origin: str) -> list[Said]:
        if not (isinstance(new, list) and (old is None or isinstance(old, list))):
            before = flat(self._deltas.value(scope, old)) if old is not None else []
            return _difference(before, flat(self._deltas.value(scope, new) if value is None else value), origin)
        old = old or []
        same = changes.common_head(old, new)
        came = zip(new[same:], value[same:], strict=True) if type(value) is list else ()
        values = {id(leaf): one for leaf, one in came}

        def load(leaves: Sequence[Leaf]) -> Sequence[Any]:
            missing = [leaf for leaf in leaves if id(leaf) not in values]
            read = iter(self._deltas.value(scope, missing) if missing else ())
            return [values[id(leaf)] if id(leaf) in values else next(read) for leaf in leaves]

        return difference(old[same:], new[same:], key=Leaf.plain_digest, load=load, origin=origin, before=same)

    def _written(self, scope: Scope, oldest: str, newest: str) -> dict[str, list[tuple[str, Any]]]:
        """What was written to the channel, by checkpoint: each value with what names it."""
        found = self._deltas.written(scope.namespace(), oldest, newest)
        writes = {
            checkpoint_id: [write for write in group if write.channel == self._channel]
            for checkpoint_id, group in found.items()
        }
        return {one: self._named(scope, one, group) for one, group in writes.items() if group}

    def _named(self, scope: Scope, checkpoint_id: str, writes: list[Write]) -> list[tuple[str, Any]]:
        values = [value for _, _, value in self._writes.to_python(scope, writes)]
        origins = [f"{checkpoint_id}.{write.task_id}.{write.idx}" for write in writes]
        return list(zip(origins, values, strict=True))

    def _delta(self, scope: Scope, checkpoint_id: str, step: Step, writes: list[tuple[str, Any]]) -> list[Said]:
        """What the task writes on a checkpoint's parent said to a `DeltaChannel`."""
        parent_id = step.parent_id or ""
        if step.has_value:
            held = step.value if step.value is not None else self._held(scope, checkpoint_id)
            if not agree(writes, held):  # another branch wrote there too, or nobody did
                return _difference(self._held(scope, parent_id), held, checkpoint_id)
        said: list[Said] = []
        for origin, value in writes:
            instead = instead_of_all(value)
            if instead is None:
                said += (
                    one._replace(may_be_old=not step.is_input and role_of_message(one.message) != "assistant")
                    for one in _said(flat(value), origin)
                )
            else:
                before = put_together([[*self._held(scope, parent_id), *(one.message for one in said)]])
                said += _difference(before, instead, origin)
        return said

    def _held(self, scope: Scope, at: StoredCheckpoint | str) -> list[BaseMessage]:
        """The messages of the state at a checkpoint; what was written to a `DeltaChannel`, put together."""
        stored = self._checkpoints.get(scope.namespace(), at, {}) if isinstance(at, str) else at
        checkpoint_id = at if isinstance(at, str) else at.checkpoint_id
        node = stored.tree["channel_values"].get(self._channel) if stored is not None else None
        if node is not None:
            return [*coerced(flat(self._deltas.value(scope, node)))]
        return [*coerced(put_together(self._replayed(scope, checkpoint_id)))]

    def _replayed(self, scope: Scope, checkpoint_id: str) -> list[Any]:
        """What a `DeltaChannel` was last stored as, and what was written to it since."""
        values: list[Any] = []
        for writes, seed in self._deltas.delta(scope.namespace(), checkpoint_id, [self._channel]).values():
            values += [self._deltas.value(scope, seed)] if seed is not None else []
            values += [value for _, _, value in self._writes.to_python(scope, writes)]
        return values


def _begins(step: Step, oldest: str) -> bool:
    """Whether a step is the first after `oldest`; what is offered as a checkpoint, the row has."""
    return step.parent_id == oldest or (not oldest and (step.parent_id is None or is_offered(step.parent_id)))


def _difference(old: Sequence[Any], new: Sequence[Any], origin: str) -> list[Said]:
    return difference(old, new, key=repr, load=list, origin=origin)


def _said(values: Sequence[Any], origin: str) -> list[Said]:
    found = ((place, message) for place, value in enumerate(values) for message in coerced([value]))
    return [Said(named(message, f"{origin}.{place}")) for place, message in found]


def _version(tree: Mapping[str, Any], channel: str) -> Leaf | None:
    versions = tree.get("channel_versions")
    return versions.get(channel) if isinstance(versions, Mapping) else None


def _weight(step: Step) -> int:
    held = (*(one.message for one in step.said or ()), *(step.value or ()))
    return _MESSAGE_BYTES + sum(_MESSAGE_BYTES + len(str(getattr(one, "content", one))) for one in held)
