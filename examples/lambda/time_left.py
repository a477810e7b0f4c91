"""How long the function may still run, and that no request to DynamoDB outlasts it.

Lambda kills a function at its timeout, and the client then reads a 500 of the gateway. So a run of the agent ends
`STORE_SECONDS` before, and the answer is stored and sent in these; and a request to DynamoDB is not sent at all when
its answer, or the pause before its repetition, could come too late. The client then gets a 503 with `Retry-After`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from problems import OutOfTimeError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

FUNCTION_SECONDS = 25
"""The function's timeout in the template. The gateway waits 30 s, which include the start of a new container."""
LEAST_SECONDS = 5.5
"""What a request to DynamoDB may need: 1 s to connect, 2 s for the answer, 2 s before it is repeated, 0.5 s more."""
STORE_SECONDS = 7.0
"""What is kept of the function's time for storing and sending the answer."""
MODEL_SECONDS = int(FUNCTION_SECONDS - STORE_SECONDS)
"""The read time-out of the model's client; what is left of a request can be less, and is then waited for."""

CLIENT_CONFIG = Config(
    # A container handles one request at a time, and its largest step sends a few side by side.
    max_pool_connections=10,
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
)
"""Of the DynamoDB client: botocore's standard mode pauses up to 1 s before the second attempt, 2 s before the third."""


class TimeLeft:
    """The time of the request that the function works on; a container has one at a time.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._ends_at = math.inf

    def begin(self, seconds: float) -> None:
        """A request has come, and the function ends in so many seconds."""
        self._ends_at = self.clock() + seconds

    @property
    def run_ends_at(self) -> float:
        """When the agent's run must be over, by the clock."""
        return self._ends_at - STORE_SECONDS

    def is_short(self) -> bool:
        """Whether it is too late to begin anything."""
        return self.clock() > self.run_ends_at

    def guard(self, client: DynamoDBClient) -> None:
        """Let a client send nothing whose answer could come too late."""
        client.meta.events.register_first("before-send.dynamodb", self._check)

    def _check(self, **_: Any) -> None:
        if self._ends_at - self.clock() < LEAST_SECONDS:
            raise OutOfTimeError
