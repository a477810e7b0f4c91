"""Every variant of the templates that the command line prints. Run as a module, it writes those of CloudFormation."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from langgraph_dynamo_conv.cli.infrastructure import TemplateOptions, cloudformation

KEY_ARN = "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"

PLACES: dict[str, dict[str, Any]] = {
    "new": {"tags": {"team": "chat"}},
    "limited": {"max_write_units": 500},
    "provisioned": {"provisioned": True},
    "existing": {"existing": True},
}
OBJECTS: dict[str, dict[str, Any]] = {
    "items": {},
    "objects": {"s3_bucket": "values", "s3_prefix": "conversations/"},
    "consumer": {"s3_bucket": "values", "s3_prefix": "conversations/", "consumer": True},
}
KEYS: dict[str, dict[str, Any]] = {"aws-key": {}, "own-key": {"kms_key_arn": KEY_ARN}}
FLAGS: dict[str, dict[str, Any]] = {
    "named": {"table_name": "chats"},
    "bare": {"ttl": False, "recovery": False, "protect": False, "scan": False},
}


def variants() -> Iterator[tuple[str, TemplateOptions]]:
    """Options of every kind with those of every other, by a name of their own."""
    for chosen in product(PLACES.items(), OBJECTS.items(), KEYS.items(), FLAGS.items()):
        options: dict[str, Any] = {}
        for _, some in chosen:
            options |= some
        yield "-".join(name for name, _ in chosen), TemplateOptions(**options)


VARIANTS = dict(variants())


def main(folder: Path) -> None:
    """Write them, one a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, options in VARIANTS.items():
        (folder / f"{name}.yaml").write_text(cloudformation(options), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
