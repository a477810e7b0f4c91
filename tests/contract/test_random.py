"""Random calls, answered by both engines, and the table afterwards.

`CONTRACT_EXAMPLES` is the number of sequences; CI takes a few, always the same.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.contract.cases.calls import BASE, Call, key, n
from tests.contract.pair import Pair
from tests.contract.random_calls import sequences, token_soup
from tests.memory_engine.bare import INDEX

if TYPE_CHECKING:
    from tests.conftest import Report

pytestmark = pytest.mark.engine("dynamodb-local")

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "40"))

searched = settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_random_sequences_of_calls_are_answered_alike(local: Any, report: Report) -> None:
    played_calls: Counter[str] = Counter()

    @searched
    @given(sequences)
    def search(calls: list[Call]) -> None:
        pair = Pair(local, f"contract-{uuid.uuid4()}")
        try:
            for one in calls:
                played_calls[play(pair, one)] += 1
            pair.pages("scan")
            pair.pages("scan", IndexName=INDEX)
        finally:
            pair.close()

    search()
    refused = sum(count for name, count in played_calls.items() if "Exception" in name)
    report(f"contract: {played_calls.total()} random calls, {refused} of them refused")


def play(pair: Pair, one: Call) -> str:
    """Make a call; gives what came of it."""
    if one.method == "scan" or "IndexName" in one.request:
        return str(pair.pages(one.method, **one.request) and one.method)
    if not one.method.startswith("transact"):
        return str(pair.call(one.method, **one.request).get("code", one.method))
    parts = [
        {kind: {"TableName": pair.name, **request}}
        for part in one.request["TransactItems"]
        for kind, request in part.items()
    ]
    return str(pair.transact(one.method, TransactItems=parts).get("code", one.method))


@searched
@given(text=token_soup)
def test_what_is_no_expression_is_refused_by_both(soup_pair: Pair, text: str) -> None:
    given: dict[str, Any] = {}
    if "#n" in text:
        given["ExpressionAttributeNames"] = {"#n": "n"}
    if ":a" in text:
        given["ExpressionAttributeValues"] = {":a": n(1)}

    soup_pair.call("delete_item", Key=key("none"), ConditionExpression=text, **given)
    soup_pair.call("update_item", Key=key(), UpdateExpression=text, **given)
    soup_pair.call("get_item", Key=key(), ProjectionExpression=text, **{k: v for k, v in given.items() if "Names" in k})


@pytest.fixture
def soup_pair(pair: Pair) -> Pair:
    pair.call("put_item", Item=BASE)
    return pair
