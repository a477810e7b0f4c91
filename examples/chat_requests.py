"""The bodies of the chat API's requests, as both servers take them (`chat/` and `lambda/`).

A `user_id`, like anything else that is not named here, is refused: who asks is in the session or the token.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

MAX_MESSAGE_CHARACTERS = 8_000
MAX_TITLE_CHARACTERS = 200
LARGEST_PAGE = 100

Limit = Annotated[int, Field(ge=1, le=LARGEST_PAGE)]
Cursor = Annotated[str, Field(max_length=4096)]
Number = Annotated[int, Field(ge=0, le=10**9)]
ExportFormat = Literal["markdown", "json", "jsonl"]
EXPORT_TYPES: dict[ExportFormat, tuple[str, str]] = {
    "markdown": ("text/markdown; charset=utf-8", "md"),
    "json": ("application/json", "json"),
    "jsonl": ("application/jsonl", "jsonl"),
}
"""Media type and file ending."""

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_TITLE_CHARACTERS)]


class Body(BaseModel):
    """A request's body."""

    model_config = ConfigDict(extra="forbid", strict=True)


class SessionRequest(Body):
    """Body of `POST /session`, of the server that is no Lambda function: who signs in."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]


class ChatRequest(Body):
    """Body of `POST /chat`.

    Args:
        message: What the user says.
        conversation_id: In which conversation; a new one if None.
        replaces: The id of an earlier message of the user's, which this one replaces with all that followed it.
    """

    message: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_MESSAGE_CHARACTERS)]
    conversation_id: str | None = None
    replaces: str | None = None


class ResumeRequest(Body):
    """Body of `POST /conversations/{conversation_id}/resume`.

    Args:
        answers: By the id of each interrupt; empty where a run that failed or was cut off is to go on.
    """

    answers: dict[str, Any] = Field(default_factory=dict)

    @field_validator("answers")
    @classmethod
    def _can_be_sent(cls, answers: dict[str, Any]) -> dict[str, Any]:
        """JSON can name half a character, which no UTF-8 has: refused here, as pydantic refuses it in a text."""
        try:
            json.dumps(answers, ensure_ascii=False).encode()
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        return answers


class TitleRequest(Body):
    """Body of `PATCH /conversations/{conversation_id}`."""

    title: Title


class CreateRequest(Body):
    """Body of `POST /conversations`. Without a title, the first message gives it."""

    title: Title | None = None


def export_headers(conversation_id: str, format: ExportFormat) -> dict[str, str]:
    """What makes a browser save an export as a file."""
    name = "".join(char for char in conversation_id[:8] if char.isalnum())
    ending = EXPORT_TYPES[format][1]
    return {
        "Content-Disposition": f'attachment; filename="conversation-{name}.{ending}"',
        "Cache-Control": "no-store",
    }
