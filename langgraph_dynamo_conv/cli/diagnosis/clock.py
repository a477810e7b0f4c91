"""Whether this host's clock is right: LangGraph forgets the turns of a host whose clock is behind others'."""

from __future__ import annotations

import math
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, WRONG, Finding

NOTABLE_SKEW_SECONDS = 1.0
"""A host whose clock is behind by more than people take between two turns has its turns forgotten by LangGraph."""

WRONG_SKEW_SECONDS = 60.0
"""AWS refuses signatures of a clock that is 5 minutes off; one that is a minute off is on its way there."""

_NTP = "let all hosts keep their time by NTP (chrony, systemd-timesyncd)"


class ServerClock:
    """How far this machine's clock is from the server's, by the `Date` of all answers.

    The header counts whole seconds: when an answer was written, the server's time was between it and a second more.
    Here that was between sending and receiving. So each answer gives a least and a most difference, and the answers
    together, which come at different parts of a second, narrow ones.
    """

    def __init__(self, table: Table, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sent = 0.0
        self._least, self._most = -math.inf, math.inf
        events: Any = table.client.meta.events
        events.register("before-parameter-build.dynamodb", self._note_sending)
        events.register("after-call.dynamodb", self._note)

    def _note_sending(self, **_: Any) -> None:
        self._sent = self._clock()

    def _note(self, parsed: dict[str, Any], **_: Any) -> None:
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if date is not None:
            seconds = parsedate_to_datetime(date).timestamp()
            self._least = max(self._least, self._sent - seconds - 1)
            self._most = min(self._most, self._clock() - seconds)

    def finding(self) -> Finding:
        """How far they are apart."""
        if math.isinf(self._most):
            return Finding("clock", NOTE, "no answer told the time", "mend what is wrong above")
        skew = (self._least + self._most) / 2
        seconds = abs(skew)
        if seconds < NOTABLE_SKEW_SECONDS:
            return Finding("clock", OK, f"within {NOTABLE_SKEW_SECONDS:.0f} s of the server's")
        said = f"{seconds:.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
        verdict = WRONG if seconds >= WRONG_SKEW_SECONDS else NOTE
        return Finding("clock", verdict, f"{said}: LangGraph forgets turns of hosts that are behind others", _NTP)
