"""The prices of DynamoDB's units and storage: AWS's list prices, or those that a user gives. Sends nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

GB = 1024**3


@dataclass(frozen=True)
class Prices:
    """Prices of on-demand capacity and storage, in US dollars.

    Args:
        write: Of a million write units.
        read: Of a million read units.
        storage: Of a GB of table or index for a month.
    """

    write: float = 0.625
    read: float = 0.125
    storage: float = 0.25

    def of(self, write_units: float = 0, read_units: float = 0, stored_bytes: float = 0) -> float:
        """Dollars for so many units, and so many bytes kept for a month."""
        return (write_units * self.write + read_units * self.read) / 1e6 + stored_bytes / GB * self.storage


SOURCE = "AWS's list prices of on-demand capacity, standard table class, us-east-1, in force since 2024-11-01"
"""Where the default prices are from. The free tier is not deducted, and other regions have other prices."""


def prices_of(texts: Iterable[str]) -> Prices:
    """The default prices, some replaced by those that are given, such as `write=0.7`.

    Raises:
        ValueError: A price has no such name, or is no number of at least 0.
    """
    names = [one.name for one in fields(Prices)]
    prices = Prices()
    for text in texts:
        name, _, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = -1
        if name not in names or not 0 <= number < float("inf"):
            raise ValueError(f"a price is {'=…, '.join(names)}=… in US dollars, such as write=0.7; got {text!r}")
        prices = replace(prices, **{name: number})
    return prices
