"""A folder as a file library: the tools that the example's agent works with.

The rules of this module: nothing is read outside the folder, whatever path is asked for; hidden files, caches
and virtual environments are no part of the library; answers are plain JSON values, one page at a time.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, Protocol

from langchain_core.tools import BaseTool, ToolException, tool

Kind = Literal[
    "archive",
    "audio",
    "code",
    "config",
    "data",
    "document",
    "image",
    "markdown",
    "other",
    "python",
    "scene",
    "text",
    "video",
]
Order = Literal["path", "largest", "smallest", "newest", "oldest"]

EXTENSIONS: dict[Kind, str] = {
    "archive": "7z gz rar tar tgz whl xz zip",
    "audio": "flac m4a mp3 ogg wav",
    "code": "bat c cpp css go h html java js jsx kt lua php ps1 rb rs sh sql swift ts tsx vue",
    "config": "cfg conf ini json lock toml yaml yml",
    "data": "csv db jsonl ndjson parquet sqlite tsv xml",
    "document": "doc docx epub odt pdf ppt pptx rtf xls xlsx",
    "image": "avif bmp exr gif ico jpeg jpg png psd svg tif tiff webp",
    "markdown": "markdown md mdx rst",
    "python": "py pyi pyw ipynb",
    "scene": "blend c4d ma mb usd",
    "text": "log txt",
    "video": "avi m4v mkv mov mp4 mpeg webm",
}
KIND_OF_EXTENSION: dict[str, Kind] = {ext: kind for kind, words in EXTENSIONS.items() for ext in words.split()}
SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages"})
SKIPPED_SUFFIXES = (".pyc", ".pyo", ".egg-info")

PAGE_FILES = 5
LARGEST_PAGE_FILES = 50
FIRST_LINES = 4
LONGEST_LINE = 100
READ_BYTES = 1 << 20


class LibraryError(ToolException):
    """A request that the library refuses; the text says why and is meant for the model to read."""


class Library(Protocol):
    """What the assistant can be asked about."""

    @property
    def name(self) -> str:
        """What it is, for a person."""

    def tools(self) -> list[BaseTool]:
        """Its questions as tools for a chat model."""


@dataclass(frozen=True)
class File:
    """One file of the library, as listed; `path` is relative to the folder, with forward slashes."""

    path: str
    size_bytes: int
    modified: datetime

    @property
    def extension(self) -> str:
        """Without the dot, in lower case; empty if there is none."""
        return Path(self.path).suffix.lstrip(".").lower()

    @property
    def kind(self) -> Kind:
        """The kind that the extension stands for."""
        return KIND_OF_EXTENSION.get(self.extension, "other")

    def to_json(self) -> dict[str, Any]:
        """The file as a tool shows it."""
        return {
            "path": self.path,
            "kind": self.kind,
            "size_bytes": self.size_bytes,
            "modified": self.modified.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


SORT_KEYS: dict[Order, Callable[[File], Any]] = {
    "path": lambda file: file.path,
    "largest": lambda file: (-file.size_bytes, file.path),
    "smallest": lambda file: (file.size_bytes, file.path),
    "newest": lambda file: (-file.modified.timestamp(), file.path),
    "oldest": lambda file: (file.modified.timestamp(), file.path),
}


class FileLibrary:
    """The files of one folder; read anew at every question, so that answers are never stale."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).expanduser().resolve()
        if not self.folder.is_dir():
            raise LibraryError(f"there is no folder {folder}")

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folder)

    def tools(self) -> list[BaseTool]:
        """The library's three questions as tools for a chat model, which reads their docstrings."""
        as_tool = tool(parse_docstring=True)
        return [as_tool(self.search_files), as_tool(self.filter_files), as_tool(self.file_details)]

    def search_files(
        self,
        name: str = "",
        kind: Kind | None = None,
        extension: str = "",
        offset: int = 0,
        limit: int = PAGE_FILES,
    ) -> dict[str, Any]:
        """Search the library's files by name, kind or extension.

        Args:
            name: Words that must all be in the file's path; upper and lower case are the same.
            kind: Only files of this kind.
            extension: Only files with this extension, for example "toml".
            offset: How many of the found files to skip; use it for the next page.
            limit: How many files to show at most.
        """
        found = selected(self._files(), name=name, kind=kind, extension=extension)
        return page(found, "path", offset, limit)

    def filter_files(
        self,
        min_bytes: int | None = None,
        max_bytes: int | None = None,
        modified_after: str | None = None,
        modified_before: str | None = None,
        kind: Kind | None = None,
        name: str = "",
        extension: str = "",
        order: Order = "path",
        offset: int = 0,
        limit: int = PAGE_FILES,
    ) -> dict[str, Any]:
        """Filter the library's files by their metadata: size, date of change, type; and put them in order.

        Args:
            min_bytes: Only files of at least this size.
            max_bytes: Only files of at most this size.
            modified_after: Only files changed at or after this ISO 8601 date or time (UTC).
            modified_before: Only files changed before this ISO 8601 date or time (UTC).
            kind: Only files of this kind.
            name: Words that must all be in the file's path.
            extension: Only files with this extension.
            order: Which files come first.
            offset: How many of the found files to skip; use it for the next page.
            limit: How many files to show at most.
        """
        found = selected(
            self._files(),
            name=name,
            kind=kind,
            extension=extension,
            min_bytes=min_bytes,
            max_bytes=max_bytes,
            modified_after=modified_after,
            modified_before=modified_before,
        )
        return page(found, order, offset, limit)

    def file_details(self, path: str) -> dict[str, Any]:
        """Show all about one file: size, date of change, kind, checksum, and a text file's first lines.

        Args:
            path: The file's path as a list of files shows it.
        """
        target = self._inside(path)
        file = self._file(target)
        if file is None:
            raise LibraryError(f"{path} cannot be read")
        try:
            return file.to_json() | _content(target)
        except OSError as error:
            raise LibraryError(f"{path} cannot be read: {error.strerror}") from error

    def _files(self) -> Iterator[File]:
        for parent, folders, names in os.walk(self.folder):
            folders[:] = [folder for folder in folders if not _is_skipped(Path(parent, folder))]
            files = (self._file(Path(parent, name)) for name in names if not _is_skipped(Path(parent, name)))
            yield from (file for file in files if file is not None)

    def _file(self, path: Path) -> File | None:
        """The file's facts; None if this is no plain file that can be looked at."""
        relative = path.relative_to(self.folder).as_posix()
        try:
            relative.encode()  # a name that is no valid text can be neither shown nor stored
            facts = path.lstat()
        except (UnicodeEncodeError, OSError):  # or it was deleted since the folder was read
            return None
        if not stat.S_ISREG(facts.st_mode):
            return None
        return File(relative, facts.st_size, datetime.fromtimestamp(facts.st_mtime, timezone.utc))

    def _inside(self, path: str) -> Path:
        """The real path that `path` names, every `..` and link followed; refused unless in the library."""
        try:
            target = (self.folder / path).resolve()
            steps = [step for step in (target, *target.parents) if step.is_relative_to(self.folder)]
            is_hidden = any(_is_skipped(step) for step in steps if step != self.folder)
            is_file = target.is_file()
        except (OSError, ValueError, RuntimeError) as error:
            raise LibraryError(f"{path[:LONGEST_LINE]!r} is no usable path") from error
        if not steps:
            raise LibraryError(f"{path} is outside the library; only files inside its folder can be shown")
        if is_hidden:
            raise LibraryError(f"{path} is hidden or a cache, and so no part of the library")
        if not is_file:
            raise LibraryError(f"there is no file {path} in the library")
        return target


def _is_skipped(path: Path) -> bool:
    name = path.name
    if name.startswith(".") or name in SKIPPED_FOLDERS or name.endswith(SKIPPED_SUFFIXES):
        return True
    return (path / "pyvenv.cfg").exists()


def selected(
    files: Iterable[File],
    *,
    name: str = "",
    kind: Kind | None = None,
    extension: str = "",
    min_bytes: int | None = None,
    max_bytes: int | None = None,
    modified_after: str | None = None,
    modified_before: str | None = None,
) -> list[File]:
    """The files that all of this is true of; the arguments are those of `FileLibrary.filter_files`."""
    words, wanted = name.lower().split(), extension.lower().lstrip("*.")
    after, before = _moment(modified_after), _moment(modified_before)
    return [
        file
        for file in files
        if kind in (None, file.kind)
        and wanted in ("", file.extension)
        and all(word in file.path.lower() for word in words)
        and (min_bytes is None or file.size_bytes >= min_bytes)
        and (max_bytes is None or file.size_bytes <= max_bytes)
        and (after is None or file.modified >= after)
        and (before is None or file.modified < before)
    ]


def page(found: list[File], order: Order, offset: int, limit: int) -> dict[str, Any]:
    """One page of what was found, as a tool shows it."""
    offset, limit = max(offset, 0), min(max(limit, 1), LARGEST_PAGE_FILES)
    shown = sorted(found, key=SORT_KEYS[order])[offset : offset + limit]
    return {
        "total": len(found),
        "files": [{"number": offset + place} | file.to_json() for place, file in enumerate(shown, start=1)],
    }


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise LibraryError(f"{text!r} is no ISO 8601 date such as 2025-01-31") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _content(path: Path) -> dict[str, Any]:
    """What is in the file, read in one pass of bounded memory."""
    digest, line_ends, head, last = hashlib.sha256(), 0, b"", b""
    with path.open("rb") as stream:
        while part := stream.read(READ_BYTES):
            head = head or part
            digest.update(part)
            line_ends += part.count(b"\n")
            last = part
    content: dict[str, Any] = {"sha256": digest.hexdigest()}
    if _is_text(head):
        content["lines"] = line_ends + (last[-1:] not in (b"", b"\n"))
        content["first_lines"] = _first_lines(head)
    return content


def _is_text(head: bytes) -> bool:
    try:
        head[:4096].decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and b"\0" not in head[:4096]
    return b"\0" not in head[:4096]


def _first_lines(head: bytes) -> list[str]:
    return [_printable(line) for line in head.decode("utf-8", "replace").splitlines()[:FIRST_LINES]]


def _printable(line: str) -> str:
    clean = "".join(char if char.isprintable() else " " for char in line)
    return clean if len(clean) <= LONGEST_LINE else clean[: LONGEST_LINE - 1] + "…"
