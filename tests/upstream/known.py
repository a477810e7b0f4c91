"""The tests of LangGraph 1.2.22 that fail, by name. Both lists are checked: a test in them that passes is an error."""

from __future__ import annotations

WITH_IN_MEMORY_SAVER = {
    "tests/test_channels.py::test_delta_channel_snapshot_version_based",
    "tests/test_large_cases.py::test_weather_subgraph[memory]",
    "tests/test_large_cases_async.py::test_weather_subgraph[memory]",
}
"""With this saver, and with an `InMemorySaver` of which nothing is to be seen but what every checkpointer has."""

WITH_THIS_SAVER_ALONE = {
    "tests/test_large_cases.py::test_root_graph[memory]": (
        "numbers what the process asks of uuid.uuid4(), of which botocore takes one for each request"
    ),
    "tests/test_delta_channel_supersteps_bound.py::test_counter_reset_after_supersteps_snapshot": (
        "wants a channel's snapshot repeated by later checkpoints, as savers do that store channels by their versions; "
        "here it is in the checkpoint that LangGraph put it into, and get_delta_channel_history() finds it there"
    ),
}
"""And why. None of these may be about what a checkpointer promises."""
