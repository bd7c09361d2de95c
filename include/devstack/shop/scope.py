"""Which shop it is: seed, scale, anchor; how much there is of everything, and when things happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from devstack.shop.dice import below, dice, domain

if TYPE_CHECKING:
    from random import Random

Row: TypeAlias = dict[str, Any]
"""A warehouse row: declared column → Python value (Decimal, aware datetime, date, nested dict or list)."""

CUSTOMERS, ORDERS, CHARGES = "shop_mongodb.customers", "shop_mongodb.orders", "shop_mongodb.charges"
PRODUCTS, ORDER_ITEMS = "shop_s3.products", "shop_s3.order_items"

HOUR = timedelta(hours=1)
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HISTORY_DAYS = 400
"""How long before the anchor the first order was placed, unless told otherwise."""
_DAYS_BEFORE = 20
"""How long before the first order the first customer came."""


class Version(NamedTuple):
    """One state of a row, with the fields that nobody declared."""

    row: Row
    extra: dict[str, Any] | None = None


def instant(microseconds: int) -> datetime:
    """Microseconds since 1970 as an aware datetime."""
    return _EPOCH + timedelta(microseconds=microseconds)


def microseconds(moment: datetime) -> int:
    """Undo `instant`."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def midnight(microseconds_: int) -> int:
    """The beginning of that day, in microseconds since 1970."""
    return microseconds_ - microseconds_ % DAY_US


@dataclass(frozen=True)
class Volumes:
    """How much there is at a scale; about 10 k orders of history at scale 1 in 400 days.

    What an hour changes has a lower bound, so that its few bad rows stay below the quarantine threshold.
    """

    scale: float
    history_days: int
    orders: int = field(init=False)
    customers: int = field(init=False)
    products: int = field(init=False)
    settled_orders: int = field(init=False)
    """How many of the oldest orders hours leave alone but for late changes: all before the last 400 days."""

    def __post_init__(self) -> None:
        size = self.scale * self.history_days / HISTORY_DAYS
        object.__setattr__(self, "orders", max(100, round(10_000 * size)))
        object.__setattr__(self, "customers", max(60, round(4_000 * size)))
        object.__setattr__(self, "products", max(60, round(500 * size)))
        living = self.orders * HISTORY_DAYS // self.history_days
        object.__setattr__(self, "settled_orders", max(0, self.orders - living))

    def hourly(self, count: int) -> int:
        """What an hour does `count` times at scale 1."""
        return max(count, round(count * self.scale))


@dataclass(frozen=True)
class Scope:
    """One shop.

    Raises:
        ValueError: The anchor is not a full hour in UTC, or the scale or the history not positive.
    """

    seed: int
    scale: float
    anchor: datetime
    history_days: int = HISTORY_DAYS

    def __post_init__(self) -> None:
        if self.anchor.utcoffset() != timedelta(0) or microseconds(self.anchor) % HOUR_US:
            raise ValueError(f"the shop's anchor must be a full hour in UTC, not {self.anchor!r}")
        if not self.scale > 0:
            raise ValueError(f"the shop's scale must be above 0, not {self.scale}")
        if not self.history_days > 0:
            raise ValueError(f"the shop's history must be above 0 days, not {self.history_days}")

    @property
    def volumes(self) -> Volumes:
        """How much there is."""
        return _volumes(self.scale, self.history_days)

    def dice(self, kind: str, number: int) -> Random:
        """The generator of one thing of a kind."""
        return dice(_domain(self.seed, kind), number)

    def start_of(self, hour: int) -> int:
        """The beginning of an hour, in microseconds since 1970; hour 0 begins at the anchor."""
        return microseconds(self.anchor) + hour * HOUR_US

    def stamp(self, hour: int, random: Random, unit: int = 1) -> int:
        """A moment in an hour, a whole multiple of `unit` microseconds (1000 for what MongoDB keeps)."""
        return self.start_of(hour) + below(random, HOUR_US // unit) * unit

    def customer_created(self, number: int, random: Random) -> int:
        """When a customer of the history came: in order of their numbers."""
        return self._spread(self._customer_days, number, self.volumes.customers, random)

    def order_placed(self, number: int, random: Random) -> int:
        """When an order of the history was placed: in order of their numbers."""
        return self._spread(self.history_days, number, self.volumes.orders, random)

    def product_created(self, number: int, random: Random) -> int:
        """When a product of the history was created: most of them before the first order."""
        first = round(self.volumes.products * 0.6)
        if number <= first:
            return self.start_of(0) - (self._customer_days + 1) * DAY_US + below(random, DAY_US)
        return self._spread(self.history_days, number - first, self.volumes.products - first, random)

    def customers_at(self, moment: int) -> int:
        """How many customers of the history there were then, at least one."""
        return self._reached(self._customer_days, moment, self.volumes.customers)

    def products_at(self, moment: int) -> int:
        """How many products of the history there were then."""
        first = round(self.volumes.products * 0.6)
        return first + self._reached(self.history_days, moment, self.volumes.products - first, least=0)

    @property
    def _customer_days(self) -> int:
        return self.history_days + _DAYS_BEFORE

    def _spread(self, days: int, number: int, count: int, random: Random) -> int:
        """The moment of the `number`-th of `count` things in the days before the anchor, in milliseconds."""
        span = days * DAY_US
        offset = int(span * (number - 1 + random.random()) / count)
        return self.start_of(0) - span + offset // 1000 * 1000

    def _reached(self, days: int, moment: int, count: int, least: int = 1) -> int:
        passed = moment - (self.start_of(0) - days * DAY_US)
        return min(count, max(least, passed * count // (days * DAY_US)))


@cache
def _volumes(scale: float, history_days: int) -> Volumes:
    return Volumes(scale, history_days)


@cache
def _domain(seed: int, kind: str) -> int:
    return domain(seed, kind)
