"""Threads over boto3 against aiobotocore, on the same work: `python benchmarks/thread_bridge.py --client boto3`.

The work is what a step of the saver sends: one Query, then one PutItem of 700 bytes, from so many asyncio tasks at
once. aiobotocore pins botocore to a release of its own, so each client runs in an environment of its own:

    python3 -m venv bridge && bridge/bin/pip install aiobotocore
    endpoint: python3 dev.py dynamodb-local --port 8123
    .venv/bin/python benchmarks/thread_bridge.py --client boto3 --endpoint http://127.0.0.1:8123
    bridge/bin/python benchmarks/thread_bridge.py --client aiobotocore --endpoint http://127.0.0.1:8123
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

CONNECTIONS = 32
KEY = {"conversation_id": "HASH", "user_id": "RANGE"}
ACCESS = {
    "region_name": "us-east-1",
    "aws_access_key_id": "dummy",
    "aws_secret_access_key": "dummy",
}

Send = Callable[..., Awaitable[Any]]
"""Sends a request, given the client's method and its parameters."""


@contextlib.asynccontextmanager
async def over_boto3(endpoint: str) -> AsyncIterator[Send]:
    """As the saver does it: a bounded pool of threads over one client."""
    import boto3
    from botocore.config import Config

    client = boto3.client("dynamodb", endpoint_url=endpoint, config=Config(max_pool_connections=CONNECTIONS), **ACCESS)
    with ThreadPoolExecutor(CONNECTIONS) as pool:

        async def send(method: str, **params: Any) -> Any:
            return await asyncio.get_running_loop().run_in_executor(pool, lambda: getattr(client, method)(**params))

        yield send


@contextlib.asynccontextmanager
async def over_aiobotocore(endpoint: str) -> AsyncIterator[Send]:
    """One client in the event loop, no threads."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    config = AioConfig(max_pool_connections=CONNECTIONS)
    async with get_session().create_client("dynamodb", endpoint_url=endpoint, config=config, **ACCESS) as client:

        async def send(method: str, **params: Any) -> Any:
            return await getattr(client, method)(**params)

        yield send


async def create_table(send: Send) -> str:
    name = f"bridge-{uuid.uuid4()}"
    await send(
        "create_table",
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in KEY],
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in KEY.items()],
    )
    return name


async def step(send: Send, table: str, conversation: str, number: int) -> None:
    await send(
        "query",
        TableName=table,
        KeyConditionExpression="conversation_id = :id",
        ExpressionAttributeValues={":id": {"S": conversation}},
        ScanIndexForward=False,
        Limit=1,
        ConsistentRead=True,
    )
    item = {"conversation_id": {"S": conversation}, "user_id": {"S": f"{number:06}"}, "d": {"B": b"x" * 700}}
    await send("put_item", TableName=table, Item=item)


async def measured(send: Send, table: str, at_once: int, requests: int) -> tuple[float, float]:
    """Requests a second, and milliseconds of CPU of this process for each."""

    async def converse(number: int) -> None:
        for turn in range(max(1, requests // at_once // 2)):
            await step(send, table, f"{at_once}-{number}", turn)

    sent = at_once * max(1, requests // at_once // 2) * 2
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*map(converse, range(at_once)))
    return sent / (time.perf_counter() - began), (time.process_time() - cpu) * 1000 / sent


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", choices=("boto3", "aiobotocore"), required=True)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--requests", type=int, default=3000)
    options = parser.parse_args()
    bridge = over_boto3 if options.client == "boto3" else over_aiobotocore
    async with bridge(options.endpoint) as send:
        table = await create_table(send)
        await measured(send, table, 32, 400)  # so that connections and threads are there
        for at_once in (1, 50, 200):
            rate, cpu = await measured(send, table, at_once, options.requests)
            print(f"{options.client:12} {at_once:4} at once: {rate:7.0f} requests/s, {cpu:5.2f} ms of CPU a request")


if __name__ == "__main__":
    asyncio.run(main())
