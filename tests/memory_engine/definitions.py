"""What CreateTable takes: keys, indexes and tags of a table that is billed per request. All else is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.memory_engine.items.item import Item
from tests.memory_engine.items.keys import KeySchema
from tests.memory_engine.refusals import Invalid

_NAME = re.compile(r"[A-Za-z0-9_.-]{3,255}")
_KEY_TYPES = ("S", "N", "B")
_KNOWN = {
    "TableName",
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
    "Tags",
}


@dataclass(frozen=True)
class IndexDefinition:
    """A global secondary index.

    Args:
        name: Its name.
        schema: Its key.
        projected: The attributes that it has, those of both keys included; None for all.
        projection: `Projection` as it was asked for.
    """

    name: str
    schema: KeySchema
    projected: tuple[str, ...] | None
    projection: Mapping[str, Any]

    def project(self, item: Item) -> Item:
        """The item as the index has it."""
        return item if self.projected is None else item.only(self.projected)


@dataclass(frozen=True)
class Definition:
    """A table."""

    name: str
    schema: KeySchema
    indexes: tuple[IndexDefinition, ...]
    types: Mapping[str, str]

    @property
    def keys(self) -> Collection[str]:
        """The attributes of all keys, those of the indexes included."""
        return self.types.keys()


def table_definition(request: Mapping[str, Any]) -> Definition:
    """The table that a CreateTable asks for. Raises `Invalid`."""
    refuse_unknown("CreateTable", request, _KNOWN)
    if request.get("BillingMode") != "PAY_PER_REQUEST":
        raise NotImplementedError("a table of provisioned capacity")
    types = {one["AttributeName"]: one["AttributeType"] for one in request["AttributeDefinitions"]}
    if not set(types.values()) <= set(_KEY_TYPES):
        raise Invalid(f"Member must satisfy enum value set: {list(_KEY_TYPES)}")
    schema = _schema(request["KeySchema"], types)
    indexes = tuple(_index(one, types, schema) for one in request.get("GlobalSecondaryIndexes", ()))
    if "GlobalSecondaryIndexes" in request and not indexes:
        raise Invalid("GSI list is empty/invalid")
    if len({index.name for index in indexes}) < len(indexes):
        raise Invalid("Two global secondary indices have the same name")
    used = {name for one in (schema, *(index.schema for index in indexes)) for name in one.names}
    if used != types.keys():
        raise Invalid("Some AttributeDefinitions are not used")
    return Definition(table_name(request), schema, indexes, types)


def table_name(request: Mapping[str, Any]) -> str:
    """The name of the table that a request is for. Raises `Invalid`."""
    name = str(request.get("TableName", ""))
    if name.startswith("arn:"):
        raise NotImplementedError("a table named by its ARN")
    if not _NAME.fullmatch(name):
        raise Invalid(
            "Invalid table/index name.  Table/index names must be between 3 and 255 characters long, and may contain "
            "only the characters a-z, A-Z, 0-9, '_', '-', and '.'"
        )
    return name


def refuse_unknown(operation: str, request: Iterable[str], known: Collection[str]) -> None:
    """Raises `NotImplementedError` for parameters that the engine does not know."""
    unknown = sorted(set(request) - set(known))
    if unknown:
        raise NotImplementedError(f"{operation} with {', '.join(unknown)}")


def _schema(keys: list[Mapping[str, str]], types: Mapping[str, str]) -> KeySchema:
    if [key["KeyType"] for key in keys] not in (["HASH"], ["HASH", "RANGE"]):
        raise Invalid("Invalid key order. Hash Key must be specified first in key schema, Range Key second")
    names = tuple(key["AttributeName"] for key in keys)
    missing = [name for name in names if name not in types]
    if missing:
        raise Invalid(f"Some index key attributes are not defined in AttributeDefinitions. Keys: {missing}")
    if len(set(names)) < len(names):
        raise Invalid("Both the Hash Key and the Range Key element in the KeySchema have the same name")
    return KeySchema(names, tuple(types[name] for name in names))


def _index(asked: Mapping[str, Any], types: Mapping[str, str], table: KeySchema) -> IndexDefinition:
    refuse_unknown("an index", asked, ("IndexName", "KeySchema", "Projection"))
    table_name({"TableName": asked["IndexName"]})
    schema = _schema(asked["KeySchema"], types)
    kind, others = asked["Projection"].get("ProjectionType"), asked["Projection"].get("NonKeyAttributes")
    if kind not in ("ALL", "KEYS_ONLY", "INCLUDE") or (kind == "INCLUDE") is not bool(others):
        raise Invalid(f"Projection type {kind} with the non-key attributes {others}")
    projected = None if kind == "ALL" else tuple(dict.fromkeys((*table.names, *schema.names, *(others or ()))))
    return IndexDefinition(asked["IndexName"], schema, projected, asked["Projection"])
