"""Every key of the table is built and parsed here, and nowhere else.

A conversation's items share the partition `conversation_id` (LangGraph's `thread_id`). The sort key `user_id` is
overloaded; each component is escaped, so `#` only ever separates:

    <user>                                   the conversation row, the one item that others read
    <user>#c#<ns>#<checkpoint>               a checkpoint
    <user>#w#<ns>#<checkpoint>#<task>        the pending writes of one task
    <user>#s#<ns>#<checkpoint>#<n>.<digest>  a segment: elements that later checkpoints refer to
    <user>#m#<number>                        older messages, by the number of the first one
    <user>#p#<digest>#<part>                 a part of a blob (a large value), by the digest of its bytes
    <user>#p#<digest>#s3                     a pointer: the blob is, or may be, an object in the bucket

and, in the partition `run#<run>` (a `thread_id` has no `#`, so no conversation can be there):

    <user>#r#<thread>                        which conversations a run wrote to

The object is named `<digest of thread and user>/<digest>` below the bucket's prefix: no id stands in it.

The kinds sort so that one Query can read two at once: the root's checkpoints come right after the row, and task writes
right after segments.

Every prefix ends in `#`, so `alice` never matches `alice2`. A user id has no `#`, no control characters and is in
Unicode's composed form as given: it is compared byte by byte, never normalised.

What is checked comes back as plain text: a subclass of `str` can print as another text than it is compared by, and can
know more than its letters (`OwnedThreadId`), neither of which may get into a key or into what a call gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import quote, unquote

from langgraph_dynamo_conv._arguments import check_words
from langgraph_dynamo_conv._format.limits import (
    MAX_BUCKET_PREFIX_BYTES,
    MAX_CHECKPOINT_ID_BYTES,
    MAX_COMPONENT_BYTES,
    MAX_SK_BYTES,
    MAX_THREAD_ID_BYTES,
    MAX_USER_ID_BYTES,
)

PK = "conversation_id"
SK = "user_id"
INDEX = "user_id-created_at-index"

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CHECKPOINT_ID = re.compile(r"[A-Za-z0-9._:@+=-]+\Z")
_PLAIN = " !$&'()*+,-./:;<=>?@[]^_`{|}\"\\"
_DIGESTED = "~"
_IN_BUCKET = "s3"
_OWNER_DIGEST_BYTES = 20
_NO_FOLDERS = frozenset({"", ".", ".."})
_HIGHEST = "\x7f"
"""Above every character of a component, which are printable ASCII."""


class Key(NamedTuple):
    """Partition key and sort key of one item."""

    pk: str
    sk: str

    def __str__(self) -> str:
        return f"{self.pk} / {self.sk}"


def check_user_id(user_id: object) -> str:
    """The user id as plain text, or a `ValueError` that names the rule."""
    rule = f"a user_id is a non-empty string without '#' or control characters, at most {MAX_USER_ID_BYTES} bytes"
    return _check(user_id, rule, MAX_USER_ID_BYTES)


def check_thread_id(thread_id: object) -> str:
    """The thread id (conversation id) as plain text, or a `ValueError` that names the rule."""
    rule = (
        "a thread_id (conversation_id) is a non-empty string without '#' or control characters, "
        f"at most {MAX_THREAD_ID_BYTES} bytes; new_conversation() makes one"
    )
    return _check(thread_id, rule, MAX_THREAD_ID_BYTES)


def check_checkpoint_id(checkpoint_id: object) -> str:
    """The checkpoint id as plain text, or a `ValueError` that names the rule."""
    rule = f"a checkpoint_id is 1 to {MAX_CHECKPOINT_ID_BYTES} letters, digits or ._:@+=-"
    text = _plain(checkpoint_id)
    if len(text) > MAX_CHECKPOINT_ID_BYTES or not _CHECKPOINT_ID.match(text):
        raise ValueError(f"{rule}; got {_shown(checkpoint_id)}")
    return text


def check_created_at(created_at: object) -> str:
    """The time at which a conversation was created, as its row has it, whoever wrote that; or a `ValueError`."""
    text = check_text("created_at", created_at)
    if not 0 < len(text.encode()) <= MAX_SK_BYTES:
        rule = f"created_at is a conversation's time as its row has it, 1 to {MAX_SK_BYTES} bytes"
        raise ValueError(f"{rule}; got {_shown(created_at)}")
    return text


def check_text(name: str, value: object) -> str:
    """A namespace, task id or run id: any string that can be stored as UTF-8."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is a string; got {_shown(value)}")
    text = _plain(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is a string without lone surrogates; got {_shown(value)}") from None
    return text


def check_each(name: str, values: object, check: Callable[[object], str]) -> list[str]:
    """Several texts, each checked; a `TypeError` for one text, whose letters nobody means, and for what is no list."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{name} is a list of texts, such as ['a']; got {_shown(values)}")
    return [check(value) for value in values]


def _check(value: object, rule: str, max_bytes: int) -> str:
    text = _plain(value)
    if not text or "#" in text or _CONTROL.search(text):
        raise ValueError(f"{rule}; got {_shown(value)}")
    if len(text.encode()) > max_bytes:
        raise ValueError(f"{rule}; got {len(text.encode())} bytes")
    return text


def _plain(value: object) -> str:
    """The characters of any string; no other value has one."""
    return str.__str__(value) if isinstance(value, str) else ""


def _shown(value: object) -> str:
    return f"{value!r:.60}" if isinstance(value, str) else f"a {type(value).__name__}"


class Scope(NamedTuple):
    """One user's share of one conversation: the owner of every key below.

    Args:
        thread_id: LangGraph's `thread_id`, the table's `conversation_id`.
        user_id: The owner.
    """

    thread_id: str
    user_id: str

    @classmethod
    def checked(cls, thread_id: object, user_id: object) -> Scope:
        """Raises `ValueError` for ids of another type or shape."""
        return cls(check_thread_id(thread_id), check_user_id(user_id))

    def row(self) -> Key:
        """The conversation row."""
        return Key(self.thread_id, self.user_id)

    def prefix(self, kind: str = "") -> str:
        """The sort-key prefix of all items, or of all of one kind (`c`, `w`, `s`, `m`, `p`)."""
        return f"{self.user_id}#{kind}#" if kind else f"{self.user_id}#"

    def namespace(self, ns: str = "") -> Namespace:
        """The root graph's checkpoints, or a subgraph's."""
        return Namespace(self, ns, component(ns))

    def blob(self, digest: str) -> str:
        """The sort-key prefix of a large value's parts."""
        return f"{self.user_id}#p#{digest}#"

    def part(self, digest: str, number: int) -> Key:
        """A part of a large value."""
        return Key(self.thread_id, f"{self.blob(digest)}{number:05d}")

    def pointer(self, digest: str) -> Key:
        """The item by which a large value's object in the bucket is found again."""
        return Key(self.thread_id, self.blob(digest) + _IN_BUCKET)

    def messages(self, number: int) -> Key:
        """Older messages, the first of which has this number (from 0)."""
        return Key(self.thread_id, f"{self.user_id}#m#{number:010d}")

    def run(self, run_id: str) -> Key:
        """The pointer from a run to this conversation."""
        return Key(run_partition(run_id), f"{self.user_id}#r#{component(self.thread_id)}")


class Namespace(NamedTuple):
    """The checkpoints of one graph in a conversation, and what goes with them.

    Args:
        scope: Conversation and user.
        ns: LangGraph's `checkpoint_ns`: "" for the root graph, else a subgraph's.
        component: The namespace as it stands in keys.
    """

    scope: Scope
    ns: str
    component: str

    def prefix(self, kind: str) -> str:
        """The sort-key prefix of its checkpoints (`c`), task writes (`w`) or segments (`s`)."""
        return f"{self.scope.user_id}#{kind}#{self.component}#"

    def checkpoint(self, checkpoint_id: str) -> Key:
        """A checkpoint."""
        return Key(self.scope.thread_id, self.prefix("c") + checkpoint_id)

    def writes(self, checkpoint_id: str) -> str:
        """The sort-key prefix of a checkpoint's task writes."""
        return f"{self.prefix('w')}{checkpoint_id}#"

    def task(self, checkpoint_id: str, task_id: str) -> Key:
        """The writes of one task."""
        return Key(self.scope.thread_id, self.writes(checkpoint_id) + component(task_id))

    def revision(self) -> Key:
        """The item that changes where what is behind checkpoints has; it sorts after all checkpoints."""
        return Key(self.scope.thread_id, after_prefix(self.prefix("c")))

    def segment(self, segment_id: str) -> Key:
        """A segment, by the id that checkpoints refer to it with."""
        return Key(self.scope.thread_id, self.prefix("s") + segment_id)


def is_pointer(key: Key) -> bool:
    """Whether an item is the pointer to an object in the bucket."""
    parsed = parse_sk(key.sk)
    return parsed.kind == "p" and parsed.parts[1] == _IN_BUCKET


def object_name(pointer: Key) -> str:
    """What the object of a pointer is called below the bucket's prefix.

    Thread and user are digested together: the name tells neither, and nothing in an id can lead out of the prefix.
    """
    parsed = parse_sk(pointer.sk)
    owner = f"{pointer.pk}\0{parsed.user_id}".encode()  # no id has a NUL, so no two pairs are the same text
    return f"{blake2b(owner, digest_size=_OWNER_DIGEST_BYTES).hexdigest()}/{parsed.parts[0]}"


def bucket_prefix(prefix: str) -> str:
    """A prefix of object keys as it is used: empty, or ending in `/`. Raises `ValueError` for other shapes."""
    clean = check_words("s3_prefix", prefix).removesuffix("/")
    if not clean and not prefix:
        return ""
    if _CONTROL.search(clean) or len(clean.encode()) > MAX_BUCKET_PREFIX_BYTES or set(clean.split("/")) & _NO_FOLDERS:
        raise ValueError(
            "s3_prefix is made of names with '/' between them, without '.', '..' or control characters, at most "
            f"{MAX_BUCKET_PREFIX_BYTES} bytes; got {_shown(prefix)}"
        )
    return f"{clean}/"


def run_partition(run_id: str) -> str:
    """The partition of a run's pointers."""
    return f"run#{component(run_id)}"


def is_run(pk: str) -> bool:
    """Whether a partition holds a run's pointers."""
    return pk.startswith("run#")


def is_conversation(pk: str) -> bool:
    """Whether a partition can be a conversation's: not a run's pointers, nor another program's."""
    return "#" not in pk and not _CONTROL.search(pk)


def task_of(ns: str) -> str | None:
    """The task that a namespace is of, where it is of a single call: `<node>:<task>`, the innermost that it names.

    LangGraph numbers the further subgraphs that one task calls (`<node>:<task>|1`), and gives a subgraph with a memory
    of its own a namespace without tasks.
    """
    named = [part for part in ns.split("|") if ":" in part]
    return named[-1].rpartition(":")[2] if named else None


def segment_id(checkpoint_id: str, number: int, digest: str) -> str:
    """The id of a segment: ordered by checkpoint, and never the same for other content."""
    return f"{checkpoint_id}#{number:02d}.{digest}"


def after_prefix(prefix: str) -> str:
    """A bound above all sort keys that start with `prefix` and below all others that come after it.

    The character after `#` would not do: `alice$`, a user of her own, would be the bound of what is `alice`'s.
    """
    return prefix + _HIGHEST


def component(text: str) -> str:
    """One key component: `#`, `%`, `~` and control characters escaped; digested where it would be too long."""
    escaped = quote(text, safe=_PLAIN).replace(_DIGESTED, "%7E")
    if len(escaped) <= MAX_COMPONENT_BYTES:
        return escaped
    return f"{_DIGESTED}{blake2b(text.encode(), digest_size=20).hexdigest()}"


@dataclass(frozen=True)
class ParsedKey:
    """What a sort key says: its user, kind (`row`, `c`, `v`, `w`, `s`, `m`, `p`, `r`) and components, still escaped.

    A revision, which is among the checkpoints, has the kind `v`.
    """

    user_id: str
    kind: str
    parts: tuple[str, ...]


def parse_sk(sk: str) -> ParsedKey:
    """Take a sort key apart. A key of no known shape has the kind `other`."""
    user_id, *rest = sk.split("#")
    if not rest:
        return ParsedKey(user_id, "row", ())
    kind = rest[0]
    expected = {"c": 2, "w": 3, "s": 3, "m": 1, "p": 2, "r": 1}.get(kind)
    if kind == "c" and rest[-1] == _HIGHEST:
        kind, expected = "v", 2
    return ParsedKey(user_id, kind if expected == len(rest) - 1 else "other", tuple(rest[1:]))


def component_text(escaped: str) -> str | None:
    """The text of a component, or None where only its digest is left."""
    return None if escaped.startswith(_DIGESTED) else unquote(escaped)
