"""A small library of renders, as a CG studio has them: what `renders.json` beside this module says, and no files.

The rules of this module are those of `library`: answers are plain JSON values, one page at a time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool, tool
from library import PAGE_FILES, File, Kind, LibraryError, Order, page, selected

RENDERS = Path(__file__).with_name("renders.json")
NAMED_RESOLUTIONS = {
    "4k": "3840x2160",
    "uhd": "3840x2160",
    "2160p": "3840x2160",
    "2k": "2048x1080",
    "hd": "1920x1080",
    "1080p": "1920x1080",
    "720p": "1280x720",
}


@dataclass(frozen=True)
class Render(File):
    """One file of the library; `resolution` is empty for a scene, `made` says how it was rendered."""

    resolution: str
    made: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The render as a list shows it."""
        return super().to_json() | ({"resolution": self.resolution} if self.resolution else {})


class RenderLibrary:
    """The renders of a catalogue."""

    def __init__(self, catalogue: Path = RENDERS) -> None:
        self.renders = [_render(**entry) for entry in json.loads(catalogue.read_text(encoding="utf-8"))]

    @property
    def name(self) -> str:
        """How many renders there are."""
        return f"{len(self.renders)} renders"

    def tools(self) -> list[BaseTool]:
        """The library's two questions as tools for a chat model, which reads their docstrings."""
        as_tool = tool(parse_docstring=True)
        return [as_tool(self.search_renders), as_tool(self.render_details)]

    def search_renders(
        self,
        resolution: str = "",
        name: str = "",
        kind: Kind | None = None,
        extension: str = "",
        min_bytes: int | None = None,
        max_bytes: int | None = None,
        modified_after: str | None = None,
        modified_before: str | None = None,
        order: Order = "path",
        offset: int = 0,
        limit: int = PAGE_FILES,
    ) -> dict[str, Any]:
        """Search the renders by resolution, project, shot, kind, size and date, and put them in order.

        Args:
            resolution: Only renders of this resolution: "4K", "2K", "HD", "720p", or pixels such as "1920x1080".
            name: Words that must all be in the path, such as the project's or the shot's name.
            kind: Only files of this kind: image, video or scene.
            extension: Only files with this extension, for example "exr".
            min_bytes: Only files of at least this size.
            max_bytes: Only files of at most this size.
            modified_after: Only files rendered at or after this ISO 8601 date or time (UTC).
            modified_before: Only files rendered before this ISO 8601 date or time (UTC).
            order: Which files come first.
            offset: How many of the found files to skip; use it for the next page.
            limit: How many files to show at most.
        """
        pixels = NAMED_RESOLUTIONS.get(resolution.lower(), resolution.lower())
        found = selected(
            (render for render in self.renders if pixels in ("", render.resolution)),
            name=name,
            kind=kind,
            extension=extension,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            modified_after=modified_after,
            modified_before=modified_before,
        )
        return page(found, order, offset, limit)

    def render_details(self, path: str) -> dict[str, Any]:
        """Show all about one render: resolution, size, date, project, camera, engine, samples.

        Args:
            path: The render's path as a list of renders shows it.
        """
        for render in self.renders:
            if render.path == path:
                return render.to_json() | render.made
        raise LibraryError(f"there is no render {path} in the library")


def _render(path: str, size_bytes: int, modified: str, width: int = 0, height: int = 0, **made: Any) -> Render:
    moment = datetime.fromisoformat(modified.replace("Z", "+00:00"))
    return Render(path, size_bytes, moment, f"{width}x{height}" if width else "", made)
