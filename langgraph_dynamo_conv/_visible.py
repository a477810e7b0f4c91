"""Text of others that is safe to show. What controls a terminal, reorders a line or hides in it is written out.

The rule: whatever the table holds, an error says, a log line has or a command prints is `visible`. HTML and Markdown
have rules of their own on top of it, in `cli/views/rendering.py` and `conversations/_markdown.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

_RAW = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters but tab and line feed: they move the cursor, or worse
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"  # what turns the direction of text, or breaks lines
    # what shows nothing (Unicode's Default_Ignorable_Code_Point), but for selectors of a form, which emoji need
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U000e0fff"
    "\ud800-\udfff\ufffe\uffff"
)
_JOINERS = "\u200c\u200d"
_JOINED = rf"[^\x00-\x7f{_RAW}{_JOINERS}]"
# Persian and emoji need joiners between two characters; anywhere else they only hide.
_HOSTILE = re.compile(rf"[{_RAW}]|(?<!{_JOINED})[{_JOINERS}]|[{_JOINERS}](?!{_JOINED})")

_BREAKS = re.compile(r"[\t\n]+ *")


def visible(text: str) -> str:
    """Text in which characters that control a terminal, reorder a line or hide are written out, as `\\x1b`.

    Tabs and line feeds stay.
    """
    return written_out(text, _as_in_python)


def one_line(text: str) -> str:
    """Text as `visible`, in one line."""
    return _BREAKS.sub(" ", visible(text))


def escaped(json_text: str) -> str:
    """JSON in which what `visible` writes out is escaped, so that it parses back."""
    return written_out(json_text, lambda number: json.dumps(chr(number))[1:-1])


def written_out(text: str, form: Callable[[int], str]) -> str:
    """Text in which what `visible` writes out has another form, given for the number of the character."""
    return _HOSTILE.sub(lambda match: form(ord(match[0])), text)


def _as_in_python(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
