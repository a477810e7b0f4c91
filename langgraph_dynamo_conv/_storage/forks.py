"""What a forked child begins anew: its parent's threads are not there, its parent's connections are not its own.

Servers load a program once and fork their workers. A child that queued work for threads that only the parent has
would wait for ever, and one that sent requests over the parent's connections could get the parent's answers.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """Something that must be made anew in a child."""

    def renew(self) -> None:
        """Called in the child, before anything else of the program runs there."""


_inherited: WeakSet[Inherited] = WeakSet()


def renew_in_children(owner: Inherited) -> None:
    """Call `owner.renew()` in every child that is forked while `owner` lives."""
    _inherited.add(owner)


def _renew_all() -> None:
    for owner in list(_inherited):
        owner.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_renew_all)
