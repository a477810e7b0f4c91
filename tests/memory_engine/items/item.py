"""An item as the table holds it: never changed, only replaced, and measured once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.memory_engine.items.sizes import attribute_size, attributes_size
from tests.memory_engine.items.values import Attributes, Value, canonical_attributes


@dataclass(frozen=True)
class Item:
    """Attributes in their one form, and their bytes."""

    attributes: Attributes
    size: int

    @classmethod
    def of(cls, attributes: Any) -> Item:
        """The item of a request. Raises `Invalid`."""
        form = canonical_attributes(attributes)
        return cls(form, attributes_size(form))

    def replaced(self, new: Mapping[str, Value | None]) -> Item:
        """The item with these attributes as they are now, or without them where they are None."""
        gone = sum(attribute_size(name, self.attributes[name]) for name in new if name in self.attributes)
        come = sum(attribute_size(name, value) for name, value in new.items() if value is not None)
        attributes = {name: value for name, value in {**self.attributes, **new}.items() if value is not None}
        return Item(attributes, self.size - gone + come)

    def only(self, names: Iterable[str]) -> Item:
        """The item with no other attributes than these."""
        attributes = {name: self.attributes[name] for name in names if name in self.attributes}
        return Item(attributes, attributes_size(attributes))
