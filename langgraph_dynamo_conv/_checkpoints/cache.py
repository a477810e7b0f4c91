"""What this process last saw of each conversation, bounded by bytes.

Never trusted by itself: a reader still asks the table, and uses an image only if its item is there unchanged.
"""

from __future__ import annotations

from collections import OrderedDict

from langgraph_dynamo_conv._state.stored import StoredCheckpoint
from langgraph_dynamo_conv._storage.forks import Lock

Place = tuple[str, str, str]
"""Thread, user and namespace."""

_PER_PLACE = 2
"""The newest image, and the one before it: a fork's parent is often that."""


class CheckpointCache:
    """Images by place, least recently used first to go. Safe to share between threads.

    Args:
        max_bytes: Bytes that all images together may hold; 0 keeps none.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._images: OrderedDict[Place, list[tuple[StoredCheckpoint, int]]] = OrderedDict()
        self._lock = Lock()

    def newest(self, place: Place) -> StoredCheckpoint | None:
        """The image with the newest checkpoint id, or None."""
        with self._lock:
            entries = self._images.get(place)
            if not entries:
                return None
            self._images.move_to_end(place)
            return max((image for image, _ in entries), key=lambda image: image.checkpoint_id)

    def get(self, place: Place, checkpoint_id: str) -> StoredCheckpoint | None:
        """The image of that checkpoint, or None."""
        with self._lock:
            for image, _ in self._images.get(place, ()):
                if image.checkpoint_id == checkpoint_id:
                    self._images.move_to_end(place)
                    return image
            return None

    def put(self, place: Place, image: StoredCheckpoint) -> None:
        """Keep an image."""
        if self.get(place, image.checkpoint_id) is image:
            return
        weight = image.weight()
        with self._lock:
            entries = [e for e in self._images.pop(place, []) if self._keep(e, image)]
            entries = [*entries, (image, weight)] if weight <= self._max_bytes else entries
            self._bytes += weight if weight <= self._max_bytes else 0
            while len(entries) > _PER_PLACE:
                self._bytes -= entries.pop(0)[1]
            if entries:
                self._images[place] = entries
            while self._bytes > self._max_bytes and self._images:
                _, dropped = self._images.popitem(last=False)
                self._bytes -= sum(weight for _, weight in dropped)

    def forget(self, thread_id: str, user_id: str | None = None) -> None:
        """Drop what is known of a conversation, or of one user's share of it."""
        with self._lock:
            gone = [p for p in self._images if p[0] == thread_id and user_id in (None, p[1])]
            for place in gone:
                self._bytes -= sum(weight for _, weight in self._images.pop(place))

    def _keep(self, entry: tuple[StoredCheckpoint, int], image: StoredCheckpoint) -> bool:
        if entry[0].checkpoint_id != image.checkpoint_id:
            return True
        self._bytes -= entry[1]
        return False
