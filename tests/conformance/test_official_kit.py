"""The official kit. It passes over what a saver does not override, so here all of it must have run."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability
from langgraph.checkpoint.conformance.report import CapabilityReport, ProgressCallbacks

from tests.conftest import MakeSaver, Report
from tests.engines import Engine

CAPABILITIES = {capability.value for capability in Capability}
"""What the installed kit tests."""

OF_EVERY_KIT = {
    "put",
    "put_writes",
    "get_tuple",
    "list",
    "delete_thread",
    "delete_for_runs",
    "copy_thread",
    "prune",
}
"""What each kit since 0.0.2 does; the next one adds the history of delta channels, of which this one knows nothing."""


async def test_all_capabilities_of_the_official_kit_run_and_pass(
    engine: Engine, make_saver: MakeSaver, report: Report
) -> None:
    ran: Counter[str] = Counter()

    @checkpointer_test(name=f"DynamoDBConversationSaver on {engine.name}")
    async def checkpointer() -> AsyncIterator[BaseCheckpointSaver[int]]:
        yield make_saver()

    def count(capability: str, test: str, passed: bool, error: str | None) -> None:
        ran[capability] += 1
        if error:
            print(f"{capability}: {test}\n{error}")

    found = await validate(checkpointer, progress=ProgressCallbacks(on_test_result=count))

    counted = ", ".join(f"{name} {ran[name]}" for name in sorted(ran))
    passed = sum(result.passed is True for result in found.results.values())
    report(f"conformance kit on {engine.name}: {passed} of {len(CAPABILITIES)}; {ran.total()} tests run ({counted})")
    assert CAPABILITIES >= OF_EVERY_KIT
    assert set(ran) == CAPABILITIES
    assert problems(found) == {}


def problems(report: CapabilityReport) -> dict[str, str]:
    """What keeps a capability from counting as fully run and passed."""
    found = {}
    for name, result in report.results.items():
        if not result.detected:
            found[name] = "not detected"
        elif result.tests_failed or result.failures or result.passed is not True:
            found[name] = f"failed: {result.failures}"
        elif result.tests_skipped or not result.tests_passed:
            found[name] = "skipped"
    return found
