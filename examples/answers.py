"""What the tools have found, in the words of the offline model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Args = dict[str, Any]


def list_answer(args: Args, result: Args) -> str:
    """What a search with these arguments has found."""
    total, files = result["total"], result["files"]
    found = f"{count(total)} {_described(args)}".strip()
    if not files:
        return f"I found {found}."
    lines = [f"I found {found}:" if len(files) == total else f"I found {found}. Number {_span(files)}:"]
    lines += [f"  {file['number']}. {file['path']} ({_facts(file)})" for file in files]
    if files[-1]["number"] < total and "limit" not in args:
        lines.append('Say "more" for the next ones.')
    return "\n".join(lines)


def _span(files: list[Args]) -> str:
    first, last = files[0]["number"], files[-1]["number"]
    return str(first) if first == last else f"{first} to {last}"


def _described(args: Args) -> str:
    wordings: dict[str, Callable[[Any], str]] = {
        "resolution": lambda resolution: f"in {resolution}",
        "kind": lambda kind: f"of kind {kind}",
        "extension": lambda extension: f"ending in .{extension}",
        "name": lambda name: f'with "{name}" in the path',
        "min_bytes": lambda size: f"of at least {_size(size)}",
        "max_bytes": lambda size: f"of at most {_size(size)}",
        "modified_after": lambda moment: f"changed since {moment}",
        "modified_before": lambda moment: f"changed before {moment}",
        "order": lambda order: f"with the {order} first",
    }
    return ", ".join(wording(args[name]) for name, wording in wordings.items() if args.get(name))


def file_answer(file: Args, topic: str) -> str:
    """What was asked of a file, or all about it."""
    answers = {
        "size": f"{file['path']} is {_size(file['size_bytes'])} ({file['size_bytes']} bytes).",
        "modified": f"{file['path']} was {_made(file)} at {file['modified']}.",
        "kind": f"{file['path']} is of kind {file['kind']}.",
        "sha256": f"The SHA-256 of {file['path']} is {file.get('sha256', 'not known')}.",
    }
    first_lines = [f"    {line}" for line in file.get("first_lines", ())]
    if topic == "lines" and "lines" in file:
        return "\n".join([f"{file['path']} has {file['lines']} lines. It starts with:", *first_lines])
    if topic in answers:
        return answers[topic]
    lines = [f"{file['path']}: {_facts(file)}"]
    lines += [f"  SHA-256 {file['sha256']}"] if "sha256" in file else [f"  {_how_rendered(file)}"]
    return "\n".join(lines + ([f"  {file['lines']} lines, starting with:", *first_lines] if first_lines else []))


def _how_rendered(file: Args) -> str:
    frames = file.get("frames", 1)
    how = f"camera {file['camera']}, {file['engine']}, {file['samples']} samples"
    return f"{file['kind']}, project {file['project']}, {how}" + (f", {frames} frames" if frames > 1 else "")


def _facts(file: Args) -> str:
    day = file["modified"][:10]
    if "resolution" in file:
        return f"{file['resolution']}, {_size(file['size_bytes'])}, {day}"
    return f"{file['kind']}, {_size(file['size_bytes'])}, changed {day}"


def _made(file: Args) -> str:
    return "rendered" if "resolution" in file else "changed"


def count(number: int) -> str:
    """A number of files."""
    return f"{number or 'no'} file{'' if number == 1 else 's'}"


def _size(size_bytes: int) -> str:
    size, units = float(size_bytes), ["bytes", "KB", "MB", "GB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size_bytes} bytes" if units[0] == "bytes" else f"{size:.1f} {units[0]}"
