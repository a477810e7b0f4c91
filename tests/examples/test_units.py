"""What the demo counts is what the engine says that the same requests have consumed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import boto3
import pytest

from langgraph_dynamo_conv import DynamoDBConversationSaver
from tests.engines import REGION, Engine
from tests.memory_engine.client import http_answer
from tests.memory_engine.service import Service
from tests.requests_log import RequestLog

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import agent  # noqa: E402
from demo.endpoint import running_endpoint  # noqa: E402
from demo.units import Ask, Meter, item_size, write_units  # noqa: E402
from renders import RenderLibrary  # noqa: E402
from table import Table  # noqa: E402

CREDENTIAL = (
    "AWS4-HMAC-SHA256 Credential=dummy/20250101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0"
)


def asking(engine: Engine) -> Ask:
    """What asks an engine, as the endpoint asks moto."""
    service = Service()

    def over_http(request: Request) -> tuple[int, dict[str, Any]]:
        try:
            with urlopen(request) as answer:
                return 200, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def in_process(request: Request) -> tuple[int, dict[str, Any]]:
        class Sent:
            url, headers, body = request.full_url, {"X-Amz-Target": request.headers["X-amz-target"]}, request.data

        answer = http_answer(service, Sent)
        return answer.status_code, json.loads(answer.content)

    def ask(operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"X-Amz-Target": f"DynamoDB_20120810.{operation}", "Authorization": CREDENTIAL}
        url = engine.endpoint_url or "http://memory"
        request = Request(url, json.dumps(asked).encode(), {**headers, "Content-Type": "application/x-amz-json-1.0"})
        return over_http(request) if engine.endpoint_url else in_process(request)

    return ask


@dataclass(frozen=True)
class OneClientTable(Table):
    """A table all of whose savers share a client."""

    client: Any = None

    def saver(self) -> DynamoDBConversationSaver:
        return DynamoDBConversationSaver(self.name, client=self.client)


@contextmanager
def counted(engine: Engine) -> Iterator[tuple[OneClientTable, Meter, RequestLog]]:
    """A table behind a meter, and the log of what the engine reports to its client."""
    with running_endpoint(asking(engine)) as (address, meter):
        client = boto3.client("dynamodb", region_name=REGION, endpoint_url=address)
        table = OneClientTable("counted", REGION, address, client)
        with table.saver() as saver:
            saver.setup()
        with RequestLog(client) as log:
            yield table, meter, log
        client.delete_table(TableName="counted")
        client.close()


@pytest.mark.engine("memory", "dynamodb-local")
def test_the_units_of_a_dialogue_are_those_that_the_engine_reports(engine: Engine) -> None:
    with counted(engine) as (table, meter, log):
        chat = agent.Chat(table, "alice", RenderLibrary())
        for line in ("Show me 4K renders", "the first one", "/new", "Show me the harbour videos", "/list", "/open 2"):
            chat.handle(line)
        chat.handle("When was the second one rendered?")
        usage = meter.total
        assert (usage.requests, usage.write_units, usage.read_units) == (len(log), log.wru, log.rru)
        assert usage.write_units > 40
        assert usage.read_units > 10


@pytest.mark.engine("memory", "dynamodb-local")
def test_a_refused_write_and_a_deletion_cost_what_aws_bills(engine: Engine) -> None:
    with counted(engine) as (table, meter, log):
        client = table.client
        key = {"conversation_id": {"S": "c"}, "user_id": {"S": "u"}}
        row = key | {"created_at": {"S": "2025"}, "n": {"N": "-1.50"}, "title": {"S": "é" * 900}}
        client.put_item(TableName="counted", Item=row)
        with pytest.raises(client.exceptions.ConditionalCheckFailedException):
            client.put_item(TableName="counted", Item=row, ConditionExpression="attribute_not_exists(title)")
        new = {"ExpressionAttributeValues": {":at": {"S": "2026"}}, "UpdateExpression": "SET created_at = :at"}
        client.update_item(TableName="counted", Key=key, **new)
        client.update_item(TableName="counted", Key=key, **new)
        client.delete_item(TableName="counted", Key=key)
        assert (meter.total.requests, meter.total.write_units) == (len(log), log.wru)


def test_requests_that_are_not_counted_are_refused() -> None:
    status, answer = Meter(lambda *_: (200, {})).answer("TransactWriteItems", {})
    assert (status, answer["message"]) == (400, "TransactWriteItems is not counted here")


def test_sizes_are_those_of_every_type() -> None:
    item = {"a": {"M": {"b": {"L": [{"BOOL": True}, {"NULL": True}]}}}, "c": {"SS": ["xy", "z"]}, "d": {"B": "AAAA"}}
    assert item_size(item) == (1 + 3 + 1 + 1 + 3 + 2 + 2) + (1 + 3) + (1 + 3)
    assert item_size({"n": {"N": "0"}}) == 2
    assert write_units({}, {}) == 1
