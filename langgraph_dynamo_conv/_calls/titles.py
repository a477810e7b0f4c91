"""Titles that a function makes, an LLM perhaps: off the critical path, and harmless if it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from langgraph_dynamo_conv._format.attributes import clean_text, plain
from langgraph_dynamo_conv._rows.row import IDLE, Row
from langgraph_dynamo_conv._rows.rows import Rows
from langgraph_dynamo_conv._transcript.fitting import title_of
from langgraph_dynamo_conv._transcript.folding import Message
from langgraph_dynamo_conv._transcript.langchain import speaker_of

StoredTitleFunction = Callable[[list[Message]], str]
"""Gives a title for the first exchange of a conversation: its messages, as they are stored."""

_logger = logging.getLogger("langgraph_dynamo_conv")


class Titler:
    """Gives new conversations the titles that a function makes.

    Args:
        rows: The rows.
        function: Makes the titles, or None.
        submit: Runs a call in a thread.
    """

    def __init__(
        self, rows: Rows, function: StoredTitleFunction | None, submit: Callable[[Callable[[], object]], None]
    ) -> None:
        self._rows = rows
        self._function = function
        self._submit = submit

    def consider(self, row: Row) -> None:
        """Make a title if the row has just had its first answer and the title that the first message gave."""
        if self._function is None or row.status != IDLE or row.first:
            return
        answers = [message for message in row.messages if speaker_of(message) == "assistant"]
        has_question = any(speaker_of(message) == "user" for message in row.messages)
        if len(answers) == 1 and has_question and row.title == title_of(row.messages):
            self._submit(lambda: self._make(row))

    def _make(self, row: Row) -> None:
        assert self._function is not None
        try:
            made: object = self._function(plain(row.messages))
            title = clean_text(made).strip() if isinstance(made, str) else ""
            if title:
                self._rows.change(row.scope, lambda now: _titled(now, row.title, title))
        except Exception as error:  # noqa: BLE001 - the function is the user's, and a title is not worth a failed run
            _logger.debug("no title was made: %s", type(error).__name__)


def _titled(now: Row | None, was: str, title: str) -> Row | None:
    """The row with a title, unless somebody gave it another in the meantime."""
    if now is None or now.title != was or title == was:
        return now
    return replace(now, title=title)
