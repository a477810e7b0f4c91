"""Runs of commands with clients that a test gives, which can fail, or tell what was sent."""

from __future__ import annotations

from typing import Any

from langgraph_dynamo_conv.cli.app import Run
from langgraph_dynamo_conv.cli.options import SharedOptions


class RunWith(Run):
    """A run of a command.

    Args:
        options: The shared options.
        clients: A client for each service.
    """

    def __init__(self, options: SharedOptions, clients: dict[str, Any]) -> None:
        super().__init__(options)
        self.clients = clients

    def client(self, service: str) -> Any:
        return self.clients[service]

    def close(self) -> None:
        """Leave the clients open: they are the test's."""
        if "saver" in self.__dict__:
            self.saver.close()
