"""The library of renders: what is in it, how it is searched, and what the offline model makes of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

import agent  # noqa: E402
from library import LibraryError  # noqa: E402
from offline_model import OfflineFileModel  # noqa: E402
from renders import RENDERS, RenderLibrary  # noqa: E402

MB = 1024 * 1024


@pytest.fixture
def library() -> RenderLibrary:
    return RenderLibrary()


def paths(result: dict[str, Any]) -> list[str]:
    return [file["path"] for file in result["files"]]


def test_the_library_is_one_small_file_and_has_five_renders_in_4k(library: RenderLibrary) -> None:
    assert RENDERS.stat().st_size < 8 * 1024
    found = library.search_renders(resolution="4K")
    assert (found["total"], len(found["files"])) == (5, 5)
    assert {file["resolution"] for file in found["files"]} == {"3840x2160"}
    assert library.name == "24 renders"


@pytest.mark.parametrize("resolution", ["4k", "UHD", "3840x2160", "3840X2160", "2160p"])
def test_a_resolution_has_several_names(library: RenderLibrary, resolution: str) -> None:
    assert library.search_renders(resolution=resolution)["total"] == 5


def test_renders_are_searched_by_all_that_files_are(library: RenderLibrary) -> None:
    assert paths(library.search_renders(name="Harbour", kind="video", order="largest"))[0] == "harbour/sh030_ferry.mp4"
    assert library.search_renders(kind="scene")["total"] == 3
    assert paths(library.search_renders(extension="exr", min_bytes=50 * MB)) == ["lighthouse/hero_storm.exr"]
    assert paths(library.search_renders(modified_before="2025-02-04")) == ["forest/fog_test_01.png"]
    assert paths(library.search_renders(modified_after="2025-05-12", max_bytes=30 * MB)) == ["watch/packshot_gold.png"]
    assert library.search_renders(resolution="16K") == {"total": 0, "files": []}
    assert library.search_renders(limit=1, offset=23)["files"][0]["number"] == 24


def test_details_say_how_a_render_was_made(library: RenderLibrary) -> None:
    details = library.render_details("harbour/sh030_ferry.mp4")
    assert (details["engine"], details["samples"], details["frames"]) == ("Cycles", 512, 240)
    assert "resolution" not in library.render_details("watch/watch.blend")
    with pytest.raises(LibraryError, match="no render harbour"):
        library.render_details("harbour")


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("Show me 4K renders", {"resolution": "4K"}),
        ("which renders are in 1920x1080?", {"resolution": "1920x1080"}),
        ("HD images of the watch", {"resolution": "HD", "kind": "image", "name": "watch"}),
        ("Show me the harbour videos", {"kind": "video", "name": "harbour"}),
        ("renders rendered since 2025-05-10", {"modified_after": "2025-05-10"}),
        ("scenes larger than 80 MB", {"kind": "scene", "min_bytes": 80 * MB}),
        ("list all renders", {}),
    ],
)
def test_the_model_searches_renders_where_their_tools_are(
    library: RenderLibrary, text: str, args: dict[str, Any]
) -> None:
    call = OfflineFileModel().bind_tools(library.tools()).invoke(text).tool_calls[0]
    assert (call["name"], call["args"]) == ("search_renders", args)


def test_a_talk_about_renders_goes_on_from_the_state(library: RenderLibrary) -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "1", "user_id": "alice"}}

    def ask(text: str) -> str:
        graph = agent.build_graph(OfflineFileModel(), library, saver)
        return str(list(agent.run_turn(graph, config, text))[-1].text)  # type: ignore[arg-type]

    assert "  4. lighthouse/hero_storm.exr (3840x2160, 96.8 MB, 2025-03-19)" in ask("Show me 4K renders")
    assert "image, project Harbour, camera dock_wide, Cycles, 1024 samples" in ask("Show me the first one")
    assert ask("When was it rendered?") == "harbour/sh010_dawn.png was rendered at 2025-04-28T22:41:08Z."
    assert "I found 1 file in 4K, of kind video" in ask("Which of them are videos?")
    assert ask("help").startswith("I search this library of renders.")
    assert "240 frames" in ask("the first one")
