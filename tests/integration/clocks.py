"""Two workers whose clocks differ, on this package's saver and on LangGraph's own in memory.

Whatever a test does with its twins is done once more with two workers that take turns: LangGraph makes ids of the
clock of the process that runs it, so both worlds live by a clock of their own, which ticks at each id, and each worker
sees that clock off by its own seconds. Both worlds make the same ids. What a test says of its conversation is not true
here, since LangGraph forgets turns of the worker that is behind, in memory as well; so the two worlds are compared with
each other, in whatever a call gives, and in the end in all that is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.base.id import UUID, uuid6
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from langgraph.pregel import Pregel

from langgraph_dynamo_conv._transcript.folding import fold
from tests.integration.play import Build, Player, plain
from tests.integration.transcripts import said

OFFSETS = (-2.0, 2.0, -3600.0, 3600.0)
"""The second worker's clock less the first's, in seconds."""

TICK_SECONDS = 0.4
"""Between two ids: a turn takes one or two seconds, so one of a worker who is 2 s behind may become the newest."""

_START = 1_795_486_440.0
_UUID_EPOCH = 12_219_292_800

_at_work: list[Host] = []
"""The host whose clock counts, if any."""


class World:
    """The time that really passes, and the number of ids that were made."""

    def __init__(self) -> None:
        self.seconds = _START
        self.ids = 0


class Host:
    """A worker's machine."""

    def __init__(self, world: World, offset: float) -> None:
        self._world = world
        self._offset = offset

    def clock(self) -> float:
        return self._world.seconds + self._offset

    def uuid6(self, clock_seq: int) -> UUID:
        self._world.seconds += TICK_SECONDS
        self._world.ids += 1
        ticks = int((self.clock() + _UUID_EPOCH) * 1e7)
        fields = (ticks >> 28 & 0xFFFFFFFF, ticks >> 12 & 0xFFFF, ticks & 0xFFF)
        number = fields[0] << 96 | fields[1] << 80 | fields[2] << 64 | (clock_seq & 0x3FFF) << 48 | self._world.ids
        return UUID(int=number, version=6)


def by_hosts_clocks(patch: pytest.MonkeyPatch) -> None:
    """Let ids be made of the clock of the host at work."""
    for name in ("langgraph.pregel._checkpoint", "langgraph_dynamo_conv._calls.adoption"):
        patch.setattr(f"{name}.uuid6", _uuid6)


def _uuid6(node: int | None = None, clock_seq: int | None = None) -> UUID:
    return _at_work[-1].uuid6(clock_seq or 0) if _at_work else uuid6(node, clock_seq)


class Workers(Player):
    """A graph in one conversation that two hosts run in turns."""

    def __init__(
        self,
        build: Build,
        checkpointers: Callable[[Host], Callable[[], BaseCheckpointSaver[Any]]],
        mode: str,
        config: RunnableConfig,
        offset: float,
    ) -> None:
        world = World()
        self._hosts = [Host(world, seconds) for seconds in (0.0, offset)]
        self._players = [Player(build, checkpointers(host), mode, config) for host in self._hosts]
        self._turn = -1
        self.touched = self.played = False
        super().__init__(build, checkpointers(self._hosts[0]), mode, config)

    @property
    def graph(self) -> Pregel:
        return self._players[self._turn % 2].graph

    @contextmanager
    def at_work(self) -> Iterator[None]:
        _at_work.append(self._hosts[self._turn % 2])
        try:
            yield
        finally:
            _at_work.pop()

    def invoke(self, inputs: Any, config: RunnableConfig | None = None, **options: Any) -> Any:
        self._turn += 1
        self.played = True
        self.touched = self.touched or config is not None
        with self.at_work():
            return super().invoke(inputs, config, **options)

    def update(self, values: Any, as_node: str | None = None, config: RunnableConfig | None = None) -> RunnableConfig:
        self._turn += 1
        self.touched = True
        with self.at_work():
            return super().update(values, as_node, config)


class Worlds:
    """A conversation of two workers in both worlds."""

    def __init__(self, ours: Workers, theirs: Workers, offset: float) -> None:
        self._ours = ours
        self._theirs = theirs
        self._name = f"with a second worker whose clock is {offset:+} s off"

    def do(self, action: Callable[[Player], Any]) -> None:
        """Do it in both, and compare what it gives."""
        ours, theirs = (self._given(player, action) for player in (self._ours, self._theirs))
        assert ours == theirs, self._name

    def compare(self) -> None:
        """Compare all that is stored."""
        self.do(Player.history)
        ours, theirs = self._ours.graph.checkpointer, self._theirs.graph.checkpointer
        if self._is_untouched_chat():
            told = self._told(ours)
            assert told == self._said(), f"{self._name}: the transcript"
        mine, others = self._stored(ours), self._stored(theirs)
        assert others or not self._theirs.played
        assert {ns: list(found) for ns, found in mine.items()} == {ns: list(found) for ns, found in others.items()}
        for ns, found in others.items():
            for checkpoint_id, stored in found.items():
                for name, value in stored.items():
                    assert mine[ns][checkpoint_id][name] == value, f"{self._name}: {name} of {ns!r} {checkpoint_id}"

    def _given(self, player: Workers, action: Callable[[Player], Any]) -> Any:
        with player.at_work():
            try:
                return plain(action(player))
            except Exception as error:  # noqa: BLE001 - compared with the other's
                return plain(error)

    def _stored(self, saver: Any) -> dict[str, dict[str, dict[str, Any]]]:
        """All that is stored of each checkpoint, in the order of the list, by namespace."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        thread = self._ours.config["configurable"]
        for one in saver.list({"configurable": thread}):
            ns, checkpoint = one.config["configurable"]["checkpoint_ns"], one.checkpoint
            config = {"configurable": {**thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint["id"]}}
            channels = sorted(checkpoint["channel_versions"])
            replayed = saver.get_delta_channel_history(config=config, channels=channels)
            found.setdefault(ns, {})[checkpoint["id"]] = {
                "parent": (one.parent_config or {"configurable": {}})["configurable"].get("checkpoint_id"),
                "values": _values(checkpoint),
                "values by themselves": _values(saver.get_tuple(config).checkpoint),
                "updated channels": checkpoint.get("updated_channels"),
                "versions": _counters(checkpoint["channel_versions"]),
                "seen": {node: _counters(versions) for node, versions in checkpoint["versions_seen"].items()},
                "writes": _writes(one.pending_writes),
                "replayed writes": {name: _writes(one["writes"]) for name, one in replayed.items()},
                "replayed seeds": {name: plain(one.get("seed")) for name, one in replayed.items()},
            }
        return found

    def _is_untouched_chat(self) -> bool:
        """Whether nobody has edited, or named a checkpoint to go on from: the transcript then has all that was said."""
        return not self._theirs.touched and bool(self._said())

    def _said(self) -> list[Any]:
        """What was said as the checkpoints in memory have it, in the order in which they were made."""
        messages: dict[str, BaseMessage] = {}
        for snapshot in sorted(self._theirs.history(), key=_number):
            held = snapshot.values.get("messages", ()) if isinstance(snapshot.values, dict) else ()
            messages |= {str(one.id): one for one in held}
        return said(fold(list(messages.values()), timestamp=""))

    def _told(self, saver: Any) -> list[Any]:
        asked = self._ours.config["configurable"]
        found = saver.conversations.get(asked["thread_id"], asked["user_id"])
        return said([message.to_dict() for message in found.messages])


def _number(snapshot: Any) -> int:
    """The how-manyth id of its world a checkpoint has."""
    return UUID(snapshot.config["configurable"]["checkpoint_id"]).int & 0xFFFFFFFFFFFF


def _values(checkpoint: Any) -> Any:
    """The values but those of `DeltaChannel`s, which in memory a later checkpoint of the same version has too."""
    values = checkpoint["channel_values"].items()
    return plain({name: value for name, value in values if not isinstance(value, _DeltaSnapshot)})


def _counters(versions: Any) -> dict[str, int]:
    """Channel versions without what LangGraph adds by chance."""
    return {channel: int(str(version).partition(".")[0]) for channel, version in versions.items()}


def _writes(writes: Any) -> list[Any]:
    return [[channel, plain(value)] for _, channel, value in writes or ()]
