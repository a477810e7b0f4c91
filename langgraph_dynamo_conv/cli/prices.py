"""What DynamoDB's units cost. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

GB = 1024**3


@dataclass(frozen=True)
class Prices:
    """US dollars for on-demand capacity and storage.

    Args:
        write: A million write units.
        read: A million read units.
        storage: A GB of table or index for a month.
    """

    write: float = 0.625
    read: float = 0.125
    storage: float = 0.25

    def of(self, write_units: float = 0, read_units: float = 0, stored_bytes: float = 0) -> float:
        """Dollars for so many units, and so many bytes kept for a month."""
        return (write_units * self.write + read_units * self.read) / 1e6 + stored_bytes / GB * self.storage


SOURCE = "AWS's list prices of on-demand capacity, standard table class, us-east-1, in force since 2024-11-01"
"""Where the default prices are from. The free tier and other regions' prices are not counted."""


def prices_of(texts: Iterable[str]) -> Prices:
    """The default prices with others in their place, given as `write=0.7`.

    Raises:
        ValueError: There is no such price, or it is no number of at least 0.
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
