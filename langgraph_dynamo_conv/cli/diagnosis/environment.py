"""What is wrong with this environment: versions of packages, types that reading instantiates, whose credentials."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from packaging.requirements import Requirement

from langgraph_dynamo_conv._state.serializer import serializer_of
from langgraph_dynamo_conv._storage.table import Table
from langgraph_dynamo_conv.cli.diagnosis.findings import NOTE, OK, WRONG, Finding
from langgraph_dynamo_conv.errors import DynamoConvError

DISTRIBUTION = "langgraph-dynamo-conv"


@dataclass(frozen=True)
class _Stranger:
    """A type that nobody has a reason to allow."""

    name: str = "stranger"


def versions() -> Iterator[Finding]:
    """One finding: the versions of Python, of this package and of those that it requires, and which are too old."""
    try:
        own, required = metadata.version(DISTRIBUTION), metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Finding("versions", NOTE, "the package was not installed by pip", "install it with pip")
        return
    python = ".".join(map(str, sys.version_info[:3]))
    installed, outdated = [f"{DISTRIBUTION} {own}", f"Python {python}"], []
    for one in map(Requirement, required):
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            version = metadata.version(one.name)
            installed.append(f"{one.name} {version}")
            outdated += [] if one.specifier.contains(version, prereleases=True) else [f"'{one}'"]
    if outdated:
        needed = " ".join(outdated)
        yield Finding("versions", WRONG, f"{', '.join(installed)}; needed: {needed}", f"pip install {needed}")
    else:
        yield Finding("versions", OK, ", ".join(installed))


def types(serde: SerializerProtocol) -> Finding:
    """Whether reading a state instantiates types that nobody allowed: the serializer is given one to read.

    LangGraph's, where it has no list of types, does what LANGGRAPH_STRICT_MSGPACK said when LangGraph was imported.
    Trying it out also holds for a list of its own, and for a serializer that somebody else wrote.
    """
    serializer = serializer_of(serde)
    try:
        read = serializer.loads(serializer.dumps(_Stranger()))
    except (TypeError, ValueError) as error:
        return Finding("types", OK, f"the serializer stores no types of one's own ({type(error).__name__})")
    if not isinstance(read, _Stranger):
        return Finding("types", OK, "only types that are allowed are instantiated, in this environment")
    forger = "has the key" if isinstance(serde, EncryptedSerializer) else "can write to the table"
    danger = f"any name in a stored state is called: who {forger} runs commands in agents"
    remedy = "set LANGGRAPH_STRICT_MSGPACK=true for agents, or give savers a `serde` with a list of types"
    return Finding("types", NOTE, danger, remedy)


def identity_of(table: Table, identity: Callable[[], str]) -> Finding:
    meta = table.client.meta
    if ".amazonaws." not in meta.endpoint_url and ".api.aws" not in meta.endpoint_url:
        return Finding("identity", OK, f"not asked: {meta.endpoint_url} is not AWS")
    try:
        return Finding("identity", OK, f"{identity()} in {meta.region_name}")
    except DynamoConvError as error:
        return Finding("identity", WRONG, str(error), "check --profile and the AWS_* variables; `aws sso login` renews")
