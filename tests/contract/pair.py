"""The same calls on the in-memory engine and on DynamoDB Local, and what must be equal of the answers.

Equal are: the members of an answer, the units where a request asks for them, and of a refusal its code, its item, its
cancellation reasons, and its words as far as the package looks at them. What DynamoDB Local does otherwise than AWS
is in `differences`, and is taken out here or avoided by the calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pprint import pformat
from typing import Any

from botocore.exceptions import ClientError

from langgraph_dynamo_conv._storage.failures import ITEM_TOO_LARGE, NO_INDEX
from tests.memory_engine.bare import BareClient, conversations_table
from tests.memory_engine.client import memory_client
from tests.memory_engine.service import Service

Played = dict[str, Any]
"""An answer, or what was said instead, as it is compared."""

_ZEROS = re.compile(r"(-?[0-9]+)\.([0-9]*?)0*")
_SETS = frozenset({"SS", "NS", "BS"})
_UNITS = "ConsumedCapacity"


class Pair:
    """A table of the same name and definition in three places: DynamoDB Local, and both faces of the memory engine.

    Args:
        local: A client of DynamoDB Local.
        definition: CreateTable's parameters; those of the conversations table if None.
    """

    def __init__(self, local: Any, name: str, definition: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.compared = 0
        self.local = local
        self.memory: Any = memory_client(Service(), retries={"total_max_attempts": 1}, parameter_validation=False)
        self.bare: Any = BareClient(Service())
        for client in (self.memory, self.bare, self.local):
            client.create_table(**{**conversations_table(name), **(definition or {}), "TableName": name})

    def close(self) -> None:
        """Delete the table."""
        self.local.delete_table(TableName=self.name)
        self.memory.close()

    def call(self, method: str, **request: Any) -> Played:
        """What all of them answer. Raises `AssertionError` if they differ."""
        memory = played(self.memory, method, self._named(method, request))
        local = played(self.local, method, self._named(method, request))
        bare = played(self.bare, method, self._named(method, request))
        if method == "scan":
            memory, local, bare = map(in_any_order, (memory, local, bare))
        self.compared += 1
        assert_same(method, request, memory, local)
        assert_same(method, request, bare, memory, "bare client", "memory")
        return memory

    def transact(self, method: str, **request: Any) -> Played:
        """What all of them answer to a transaction.

        What does not fit an item cancels a transaction in AWS; DynamoDB Local refuses it as it does a single write.
        """
        memory, local, bare = (played(client, method, request) for client in (self.memory, self.local, self.bare))
        assert_same(method, request, bare, memory, "bare client", "memory")
        if any(code == "ValidationError" for code, _ in memory.get("reasons", ())):
            assert_same(method, request, "refused", "refused" if "code" in local else local)
        else:
            assert_same(method, request, memory, local)
        return memory

    def pages(self, method: str, **request: Any) -> list[dict[str, Any]]:
        """All items of a Query or Scan in whatever order, page by page of the same lengths."""
        request = self._named(method, request)
        one, other = (played(client, method, request) for client in (self.memory, self.local))
        if "code" in one or "code" in other:
            assert_same(method, request, one, other)
            return []
        memory, local = (list(_pages(client, method, request)) for client in (self.memory, self.local))
        lengths = [[page["ScannedCount"] for page in pages] for pages in (memory, local)]
        assert_same(method, request, {"ScannedCounts": lengths[0]}, {"ScannedCounts": lengths[1]})
        found = [sorted((item for page in pages for item in page["Items"]), key=repr) for pages in (memory, local)]
        assert_same(method, request, {"Items": found[0]}, {"Items": found[1]})
        return found[0]

    def _named(self, method: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return dict(request) if method.startswith("transact") else {"TableName": self.name, **request}


def played(client: Any, method: str, request: Mapping[str, Any]) -> Played:
    """What a client answers, in the form that is compared."""
    try:
        answer = getattr(client, method)(**request)
    except ClientError as error:
        return refusal(error)
    return compared(answer, request)


def refusal(error: ClientError) -> Played:
    """A refusal in the form that is compared."""
    answer: Any = error.response
    said = str(answer["Error"]["Message"])
    reasons = [(reason["Code"], plain(reason.get("Item"))) for reason in answer.get("CancellationReasons", ())]
    return {
        "code": answer["Error"]["Code"],
        "status": answer["ResponseMetadata"]["HTTPStatusCode"],
        "item": plain(answer.get("Item")),
        "reasons": reasons,
        "words": [bool(words.search(said)) for words in (NO_INDEX, ITEM_TOO_LARGE)],
    }


def compared(answer: Mapping[str, Any], request: Mapping[str, Any]) -> Played:
    """An answer in the form that is compared."""
    left = {name: plain(value) for name, value in answer.items() if name != "ResponseMetadata"}
    # DynamoDB Local reports the units of some deletions unasked, and none of a page without items.
    if "ReturnConsumedCapacity" not in request or answer.get("ScannedCount") == 0:
        left.pop(_UNITS, None)
    return left


def in_any_order(answer: Played) -> Played:
    """The answer to a Scan, whose order DynamoDB does not promise."""
    return {**answer, "Items": sorted(answer["Items"], key=repr)} if "Items" in answer else answer


def plain(value: Any) -> Any:
    """A value with names and sets in order, and without the zeros that DynamoDB Local leaves behind a decimal point."""
    if isinstance(value, dict) and len(value) == 1 and isinstance(value.get("N"), str):
        return {"N": without_zeros(value["N"])}
    if isinstance(value, dict) and len(value) == 1 and value.keys() <= _SETS:
        ((kind, members),) = value.items()
        return {kind: sorted(map(without_zeros, members) if kind == "NS" else members)}
    if isinstance(value, dict):
        return {name: plain(value[name]) for name in sorted(value)}
    return [plain(one) for one in value] if isinstance(value, list) else value


def without_zeros(number: str) -> str:
    """A number's text without zeros behind its decimal point."""
    found = _ZEROS.fullmatch(number)
    if found is None:
        return number
    return f"{found[1]}.{found[2]}" if found[2] else found[1]


def assert_same(
    method: str,
    request: Mapping[str, Any],
    one: Any,
    other: Any,
    name: str = "memory",
    reference: str = "DynamoDB Local",
) -> None:
    """Raises `AssertionError` with both answers if they differ."""
    if one != other:
        raise AssertionError(
            f"{method} is answered differently.\n{pformat(dict(request), width=110)[:4000]}\n"
            f"{name}:\n{pformat(one, width=110)[:3000]}\n{reference}:\n{pformat(other, width=110)[:3000]}"
        )


def _pages(client: Any, method: str, request: Mapping[str, Any]) -> Iterator[Played]:
    request = dict(request)
    send: Callable[..., Any] = getattr(client, method)
    while True:
        answer = send(**request)
        yield compared(answer, request)
        if "LastEvaluatedKey" not in answer:
            return
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
