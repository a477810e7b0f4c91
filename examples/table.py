"""Where the example's conversations are: a table of yours, or an imitation inside this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

from langgraph_dynamo_conv import DynamoDBConversationSaver


@dataclass(frozen=True)
class Table:
    """Where the conversations are."""

    name: str
    region: str | None = None
    endpoint_url: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for a person."""
        return f"{self.name} " + (f"at {self.endpoint_url}" if self.endpoint_url else "on AWS")

    @property
    def options(self) -> list[str]:
        """The options of `agent.py` that name it."""
        options = {"--table": self.name, "--region": self.region, "--endpoint-url": self.endpoint_url}
        return [f"{option}={value}" for option, value in options.items() if value]

    def saver(self) -> DynamoDBConversationSaver:
        """A new saver; it sends no request before it is used."""
        return DynamoDBConversationSaver(self.name, region_name=self.region, endpoint_url=self.endpoint_url)


@contextmanager
def embedded_table() -> Iterator[Table]:
    """A DynamoDB imitation in this process; no request leaves it, and no credentials are looked up."""
    from moto import mock_aws  # a test tool: not needed with a real table

    dummies = {"AWS_ACCESS_KEY_ID": "embedded", "AWS_SECRET_ACCESS_KEY": "embedded"}
    quiet = {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true", "AWS_CONFIG_FILE": os.devnull}
    with mock.patch.dict(os.environ, dummies | quiet), mock_aws():
        os.environ.pop("AWS_PROFILE", None)
        table = Table("conversations", region="us-east-1")
        with table.saver() as saver:
            saver.setup()
        yield table


@contextmanager
def open_table(name: str | None, region: str | None, endpoint_url: str | None, *, create: bool) -> Iterator[Table]:
    """The table of that name, or without a name the embedded one."""
    if name is None:
        with embedded_table() as table:
            yield table
        return
    table = Table(name, region, endpoint_url)
    if create:
        with table.saver() as saver:
            saver.setup()
    yield table
