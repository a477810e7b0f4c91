"""Named calls, each answered by both engines."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.contract.cases import conditions, package, reads, updates
from tests.contract.cases.calls import BASE, Case
from tests.contract.pair import Pair

if TYPE_CHECKING:
    from tests.conftest import Report

pytestmark = pytest.mark.engine("dynamodb-local")

CASES = {
    "package": list(package.cases()),
    "conditions": list(conditions.cases()),
    "updates": list(updates.cases()),
    "reads": list(reads.cases()),
}


@pytest.mark.parametrize("group", CASES)
def test_both_engines_answer_alike(pair: Pair, group: str, report: Report) -> None:
    pair.call("put_item", Item=BASE)
    differing = [said for case in CASES[group] for said in differences(pair, case)]

    report(f"contract: {len(CASES[group])} cases of {group}, {pair.compared} calls")
    assert not differing, "\n\n".join(differing)


def differences(pair: Pair, case: Case) -> list[str]:
    """What differs in a case."""
    said = []
    for call in case.calls:
        try:
            pair.call(call.method, **call.request)
        except AssertionError as error:
            said.append(f"{case.name}: {error}")
    return said


def test_names_of_cases_are_their_own() -> None:
    names = [case.name for case in chain(*CASES.values())]

    assert [name for name in set(names) if names.count(name) > 1] == []
