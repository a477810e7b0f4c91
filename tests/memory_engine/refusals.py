"""What the engine answers when it refuses: DynamoDB's code and words. What it cannot do at all is a
`NotImplementedError` instead, which no test can mistake for an answer of DynamoDB.
"""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """An answer with HTTP status 400.

    Args:
        code: DynamoDB's, for instance "ValidationException".
        message: Its words.
        fields: More members of the answer's body, for instance `Item`.
    """

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = fields

    @property
    def body(self) -> dict[str, Any]:
        """The members of the answer beside its type."""
        return {"message": self.message, **self.fields}


class Invalid(Refused):
    """A request that no table could take."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class Unfit(Invalid):
    """A request that does not fit the item that is stored. It is found after the request's condition held."""


class ConditionFailed(Refused):
    """The item is not as the request's condition says.

    Args:
        item: The item's attributes, if the request asks for them and there is an item.
    """

    def __init__(self, item: dict[str, Any] | None) -> None:
        fields = {"Item": item} if item is not None else {}
        super().__init__("ConditionalCheckFailedException", "The conditional request failed", **fields)
