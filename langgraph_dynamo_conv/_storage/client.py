"""boto3's clients: made at the first request, with the same settings everywhere, and renewed in a forked child."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import boto3
from botocore.config import Config

from langgraph_dynamo_conv._storage.forks import renew_in_children

C = TypeVar("C")

POOL_CONNECTIONS = 32
"""Connections of a client that is made here, and so the number of requests under way at once."""


class LazyClient(Generic[C]):
    """A client that was given, or that is made when it is first asked for. Safe to share between threads.

    Args:
        given: A ready client, or None.
        make: Makes one.
    """

    def __init__(self, given: C | None, make: Callable[[], C]) -> None:
        self._client: Any = given
        self._make = make
        self._lock = threading.Lock()
        renew_in_children(self)

    def renew(self) -> None:
        """In a forked child: close the parent's connections; the client opens others. Nobody there holds the lock."""
        self._lock = threading.Lock()
        if self._client is not None:
            self._client.close()

    def get(self) -> C:
        """The client; made now if there is none yet. Raises what botocore raises."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._make()
        client: C = self._client
        return client

    @property
    def connections(self) -> int:
        """How many requests can be under way at once."""
        return POOL_CONNECTIONS if self._client is None else int(self._client.meta.config.max_pool_connections)


def new_client(
    service: str,
    *,
    region_name: str | None = None,
    endpoint_url: str | None = None,
    profile_name: str | None = None,
    attempts: int = 6,
    read_timeout_seconds: int = 15,
) -> Any:
    """A boto3 client. Sends nothing, and raises what botocore raises.

    Args:
        service: "dynamodb", "s3" or "sts".
        region_name: The region; that of the profile or the environment if None.
        endpoint_url: The endpoint; AWS's, or that of the environment, if None.
        profile_name: The profile of the AWS configuration; `AWS_PROFILE`, or none, if None.
        attempts: How often a request is sent at most.
        read_timeout_seconds: How long to wait for an answer.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=POOL_CONNECTIONS,
        connect_timeout=5,
        read_timeout=read_timeout_seconds,
        tcp_keepalive=True,
        user_agent_extra="langgraph-dynamo-conv",
    )
    session: Any = boto3.session.Session(profile_name=profile_name, region_name=region_name)
    return session.client(service, endpoint_url=endpoint_url, config=config)
