"""Which calls of subgraphs are over, so that nothing need be kept of them."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from langgraph_dynamo_conv._checkpoints.loading import Callers, Checkpoints
from langgraph_dynamo_conv._checkpoints.writes import TaskWrites
from langgraph_dynamo_conv._format.items import FULL, CheckpointItem
from langgraph_dynamo_conv._format.keys import Key, Namespace, task_of
from langgraph_dynamo_conv._format.tree import to_python
from langgraph_dynamo_conv._state.order import made_at
from langgraph_dynamo_conv._state.serializer import Serializer


class SubgraphCalls:
    """Which calls of subgraphs are over, by the checkpoints of a conversation.

    A namespace with a task in its name is of a single call, by a task of one checkpoint of each namespace around it;
    its own checkpoints name these (`parents` of their metadata). The call is over as soon as one of them is not the
    newest of its namespace, or the task has written what it returns: LangGraph then never reads that namespace again.
    A call that is interrupted, has failed or is under way is not over, nor is one of which that can't be told.

    Args:
        groups: The checkpoints of each namespace, oldest first.
        left: Keys of those that are orphans.
        checkpoints: Rebuilds them.
        writes: Task writes.
        serializer: Reads metadata.
        long_ago: A checkpoint that is not there and was made before this time is not about to be stored any more.
    """

    def __init__(
        self,
        groups: Mapping[Namespace, list[CheckpointItem]],
        left: Container[Key],
        checkpoints: Checkpoints,
        writes: TaskWrites,
        serializer: Serializer,
        long_ago: float,
    ) -> None:
        self._groups = groups
        self._left = left
        self._callers: Callers = {}
        self._checkpoints = checkpoints
        self._writes = writes
        self._serializer = serializer
        self._long_ago = long_ago
        self._ids = {one: [item.checkpoint_id for item in items] for one, items in groups.items()}
        self._newest = {
            one: max((item.checkpoint_id for item in items if item.key not in left), default="")
            for one, items in groups.items()
        }
        self._returned: dict[tuple[Namespace, str], set[str]] = {}

    def over(self) -> list[Namespace]:
        """The namespaces of calls that are over, those within others first.

        Cost: one Query for each namespace around calls that may go on.
        """
        found: list[Namespace] = []
        for namespace in sorted(self._groups, key=lambda one: len(one.ns)):
            if self._is_over(namespace, found):
                found.append(namespace)
        return found[::-1]

    def _is_over(self, namespace: Namespace, over: Sequence[Namespace]) -> bool:
        task_id = task_of(namespace.ns)
        first = next((one for one in self._groups[namespace] if one.kind == FULL and one.key not in self._left), None)
        if task_id is None or first is None:
            return False
        (stored,) = self._checkpoints.replay(namespace, [first], {}, callers=self._callers)
        node = stored.tree["metadata"].get("parents")
        parents: dict[str, str] = to_python(node, self._serializer.loads, {}) if node is not None else {}
        around = {namespace.scope.namespace(ns): checkpoint_id for ns, checkpoint_id in parents.items()}
        if any(one in over or self._is_past(one, checkpoint_id) for one, checkpoint_id in around.items()):
            return True
        caller = max(around, key=lambda one: len(one.ns), default=None)
        return caller is not None and task_id in self._returned_at(caller, around[caller])

    def _is_past(self, namespace: Namespace, checkpoint_id: str) -> bool:
        """Whether a checkpoint that had a task call a subgraph is not the newest any more."""
        if checkpoint_id in self._ids.get(namespace, ()):
            return checkpoint_id != self._newest[namespace]
        return made_at(checkpoint_id) < self._long_ago

    def _returned_at(self, namespace: Namespace, checkpoint_id: str) -> set[str]:
        """Ids of the tasks of a checkpoint that have written what they return: no interrupt, failure or answer."""
        place = namespace, checkpoint_id
        if place not in self._returned:
            writes = self._writes.between(namespace, checkpoint_id, checkpoint_id).get(checkpoint_id, [])
            self._returned[place] = {write.task_id for write in writes if write.idx >= 0}
        return self._returned[place]
