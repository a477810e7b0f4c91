"""The expressions of one request with what their placeholders stand for, checked before any item is looked at."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from tests.memory_engine.expressions.conditions import Condition
from tests.memory_engine.expressions.cursor import Parsed
from tests.memory_engine.expressions.operands import Binding, Steps
from tests.memory_engine.expressions.parser import parsed_condition, parsed_projection, parsed_update
from tests.memory_engine.expressions.paths import check_apart
from tests.memory_engine.expressions.updates import NO_LOOK_UP, Update
from tests.memory_engine.items.sizes import value_size
from tests.memory_engine.items.values import Attributes, Value, canonical
from tests.memory_engine.refusals import Invalid

NAMES, VALUES = "ExpressionAttributeNames", "ExpressionAttributeValues"

_CONDITIONS = ("ConditionExpression", "FilterExpression", "KeyConditionExpression")
_LARGEST_CONDITION = 1024 * 1024
"""Bytes of a condition with the values in it, as DynamoDB Local counts."""

_LONGEST_PLACEHOLDER = 255
_LONGEST_NAME = 65535
_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")
_READERS: dict[str, Callable[[str], Parsed[Any]]] = {
    "ConditionExpression": parsed_condition,
    "FilterExpression": parsed_condition,
    "KeyConditionExpression": parsed_condition,
    "UpdateExpression": parsed_update,
    "ProjectionExpression": parsed_projection,
}


class Expressions:
    """The expressions of a request, by the name of their parameters. Raises `Invalid` if they are wrong.

    Args:
        request: All parameters.
        keys: The attributes that are keys of the table or of an index, in which there is nothing to look up.
    """

    def __init__(self, request: Mapping[str, Any], keys: Collection[str]) -> None:
        self._nodes: dict[str, Any] = {}
        given = {name: _read(name, request[name]) for name in _READERS if name in request}
        self.binding = Binding(_names(request), _values(request))
        _check_used(NAMES, self.binding.names, [(name, one.names) for name, one in given.items()])
        _check_used(VALUES, self.binding.values, [(name, one.values) for name, one in given.items()])
        for name, one in given.items():
            _check_closed({self.binding.names.get(step, step) for step in one.opened} & set(keys))
            self._check_size(name, request[name], one.values)
            self._nodes[name] = one.node
            self._check(name)

    def node(self, parameter: str) -> Any:
        """What was read of a parameter's expression, or None."""
        return self._nodes.get(parameter)

    def holds(self, parameter: str, item: Attributes) -> bool:
        """Whether an item is as a parameter's condition says; True without one."""
        condition: Condition | None = self._nodes.get(parameter)
        return condition is None or condition.holds(self.binding, item)

    @property
    def update(self) -> Update:
        """The update expression; one that changes nothing if the request has none."""
        update: Update = self._nodes.get("UpdateExpression", Update(()))
        return update

    @property
    def projection(self) -> list[Steps] | None:
        """The paths of the projection expression, or None."""
        paths = self._nodes.get("ProjectionExpression")
        return None if paths is None else [path.steps(self.binding) for path in paths]

    def _check_size(self, name: str, text: str, values: Collection[str]) -> None:
        if name not in _CONDITIONS:
            return
        if len(text) + sum(value_size(self.binding.values[value]) for value in values) > _LARGEST_CONDITION:
            raise Invalid(f"Invalid {name}: Expression size has exceeded the maximum allowed size")

    def _check(self, name: str) -> None:
        try:
            if name == "ProjectionExpression":
                check_apart(self.projection or [])
            else:
                self._nodes[name].check(self.binding)
        except Invalid as error:
            raise _of(name, error) from error


def _check_closed(names: Collection[str]) -> None:
    if names:
        raise Invalid(f"{NO_LOOK_UP}: Key: {', '.join(sorted(names))}")


def _read(name: str, text: str) -> Parsed[Any]:
    try:
        return _READERS[name](text)
    except Invalid as error:
        raise _of(name, error) from error


def _of(name: str, error: Invalid) -> Invalid:
    return Invalid(f"Invalid {name}: {error.message}")


def _names(request: Mapping[str, Any]) -> Mapping[str, str]:
    names: Mapping[str, str] = request.get(NAMES, {})
    _check_placeholders(NAMES, "#", request)
    for key, name in names.items():
        if not name:
            raise Invalid(f"{NAMES} contains invalid value: Empty attribute name for key {key}")
        if len(name.encode()) > _LONGEST_NAME:
            raise Invalid(f"{NAMES} contains invalid value: Attribute name is too large for key {key}")
    return names


def _values(request: Mapping[str, Any]) -> Mapping[str, Value]:
    _check_placeholders(VALUES, ":", request)
    try:
        return {key: canonical(value) for key, value in request.get(VALUES, {}).items()}
    except Invalid as error:
        raise Invalid(f"{VALUES} contains invalid value: {error.message}") from error


def _check_placeholders(parameter: str, sign: str, request: Mapping[str, Any]) -> None:
    if parameter not in request:
        return
    if not request[parameter]:
        raise Invalid(f"{parameter} must not be empty")
    for key in request[parameter]:
        if key[:1] != sign or not _PLACEHOLDER.fullmatch(key):
            raise Invalid(f'{parameter} contains invalid key: Syntax error; key: "{key}"')
        if len(key) > _LONGEST_PLACEHOLDER:
            raise Invalid(
                f"{parameter} contains invalid key: The expression attribute map contains a key that is too long"
            )


def _check_used(parameter: str, given: Mapping[str, Any], used: list[tuple[str, frozenset[str]]]) -> None:
    if given and not used:
        raise Invalid(f"{parameter} can only be specified when using expressions")
    for name, placeholders in used:
        for missing in sorted(placeholders - given.keys()):
            raise Invalid(f"Invalid {name}: An expression attribute {_WHAT[parameter]} is not defined; {missing}")
    unused = given.keys() - frozenset().union(*(placeholders for _, placeholders in used))
    if unused:
        raise Invalid(f"Value provided in {parameter} unused in expressions: keys: {{{', '.join(sorted(unused))}}}")


_WHAT = {NAMES: "name used in the document path", VALUES: "value used in expression"}
