"""Containers of the Lambda example's function, called as API Gateway calls it, and models that fail on purpose."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from tests.examples.api_events import Context, event

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path[:0] = [str(EXAMPLES), str(EXAMPLES / "lambda")]

from chat_api import ChatApi  # noqa: E402
from chat_service import ChatService  # noqa: E402
from library import FileLibrary  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

ONE = "/conversations/{conversation_id}"
SECRET = "arn:aws:secret-inside"


class Container:
    """A container of the function, called as API Gateway calls it."""

    def __init__(self, service: ChatService) -> None:
        self.service = service
        self._handler = ChatApi(service)

    def send(self, made: Any, context: Context | None = None) -> tuple[int, dict[str, Any]]:
        """Status and body."""
        answer = self.raw(made, context)
        return answer["statusCode"], json.loads(answer["body"] or "{}")

    def raw(self, made: Any, context: Context | None = None) -> dict[str, Any]:
        """The answer as API Gateway gets it; it must be JSON as a whole."""
        answer: dict[str, Any] = json.loads(json.dumps(self._handler(made, context or Context())))  # type: ignore[arg-type]
        assert answer["headers"]["Cache-Control"] == "no-store"
        return answer

    def __call__(self, method: str, route: str, **parts: Any) -> tuple[int, dict[str, Any]]:
        return self.send(event(method, route, **parts))

    def say(self, text: str, user: str = "alice", key: str | None = None, **body: Any) -> dict[str, Any]:
        """A turn that is answered."""
        headers = {"idempotency-key": key} if key else None
        status, said = self("POST", "/chat", user=user, body={"message": text, **body}, headers=headers)
        assert status == 200, said
        return said

    def transcript(self, conversation_id: str, user: str = "alice") -> list[tuple[str, str]]:
        status, found = self("GET", ONE, user=user, conversation_id=conversation_id)
        assert status == 200, found
        return [(message["role"], message["content"]) for message in found["messages"]]


def make_service(client: DynamoDBClient, table_name: str, model: Any, folder: Path, **options: Any) -> ChatService:
    """What a container makes; rules answer without a model."""
    return ChatService(client, table_name, model or OfflineFileModel(), FileLibrary(folder), **options)


MakeContainer = Callable[..., Container]


class FailingModel(OfflineFileModel):
    """A model that fails so often, and then answers."""

    failures: list[Exception]

    def _generate(self, *args: Any, **options: Any) -> ChatResult:
        if self.failures:
            raise self.failures.pop(0)
        return super()._generate(*args, **options)


class AnsweringModel(OfflineFileModel):
    """A model whose answers are made by a function of the messages: a text, or tool calls as `(name, args)`."""

    make: Callable[[Any], Any]

    def _generate(self, messages: Any, *args: Any, **options: Any) -> ChatResult:
        made = self.make(messages)
        if isinstance(made, str):
            answer = AIMessage(made)
        else:
            calls = [
                {"name": name, "args": args, "id": f"call {len(messages)} {number}", "type": "tool_call"}
                for number, (name, args) in enumerate(made)
            ]
            answer = AIMessage("", tool_calls=calls)
        return ChatResult(generations=[ChatGeneration(message=answer)])


def client_error(code: str, status: int = 400) -> ClientError:
    error: Any = {"Error": {"Code": code, "Message": SECRET}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(error, "Converse")


def items(client: DynamoDBClient, table_name: str) -> list[dict[str, Any]]:
    found: list[Any] = client.scan(TableName=table_name, ConsistentRead=True)["Items"]
    return found
