"""The wall around the tests: none connects to anything but this machine."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any


def refuse_other_hosts() -> None:
    """Let no test connect to anything but this machine.

    Not by an audit hook: one in Python lets other threads run while a thread begins to be traced, which fails then.
    """
    for name in ("connect", "connect_ex"):
        setattr(socket.socket, name, to_this_machine(getattr(socket.socket, name)))


def to_this_machine(connect: Callable[..., Any]) -> Callable[..., Any]:
    """`socket.connect`, but only to this machine."""

    def connected(self: socket.socket, address: Any) -> Any:
        if isinstance(address, tuple) and not is_loopback(address[0]):
            raise PermissionError(f"a test tried to connect to {address[0]}")
        return connect(self, address)

    return connected


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
