"""Limits and prices that the code plans by, each with its source.

"Guide" is the Amazon DynamoDB Developer Guide (Quotas; Read and write operations), read in November 2026.
"""

from __future__ import annotations

MAX_ITEM_BYTES = 400 * 1024
"""An item with its attribute names. Guide, "Items"."""

MAX_PK_BYTES = 2048
"""Partition key value. Guide, "Partition keys and sort keys"."""

MAX_SK_BYTES = 1024
"""Sort key value. Guide, "Partition keys and sort keys"."""

READ_UNIT_BYTES = 4096
"""One strongly consistent read unit. Guide, "Read consumption"."""

WRITE_UNIT_BYTES = 1024
"""One write unit. Guide, "Write consumption"."""

MAX_USER_ID_BYTES = 256
"""This project's own rule, so that every sort key has room for the rest."""

MAX_THREAD_ID_BYTES = 1024
"""This project's own rule, half of a partition key, so that run pointers can name a thread."""

MAX_CHECKPOINT_ID_BYTES = 128
"""This project's own rule; LangGraph's ids are UUIDs of 36 characters."""

MAX_COMPONENT_BYTES = 200
"""A namespace or task id longer than this (escaped) is digested, to keep sort keys below their limit."""

MAX_BUCKET_PREFIX_BYTES = 900
"""An object's key has at most 1,024 bytes (Amazon S3 User Guide, "Naming objects"); 73 of them are ours."""

INLINE_FRAME_BYTES = 300 * 1024
"""A frame above this is stored as parts; leaves room for keys and bookkeeping in a 400 KB item."""

PART_BYTES = 350 * 1024
"""Bytes of one part of a large value."""

BUCKET_BYTES = PART_BYTES
"""Where a bucket is given, a value above this is an object in it: what needs one part is read sooner from the table."""

OBJECT_RANGE_BYTES = 16 * 1024 * 1024
"""Objects are read in ranges of so many bytes, side by side; the S3 guide on performance advises 8 to 16 MB."""

LARGE_ELEMENT_BYTES = 24 * 1024
"""A compressed element above this is stored once as a value of its own and referred to."""

MIN_MOVED_BYTES = 16 * 1024
"""Values that take less together stay in the item itself; more are stored apart from it, and referred to."""

MIN_MOVED_LEAF_BYTES = 64
"""A value below this is cheaper written again than referred to."""

MAX_WRITES_PER_UPDATE = 60
"""Only writes of lower indices have attributes of their own: about 45 bytes of an UpdateItem's expression each, whose
limit is 4 KB."""
