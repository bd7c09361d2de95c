"""What is true at every hour: the history, made anew when asked for, under the rows that hours have touched.

Keeps only what changed, so that a shop of any scale fits into memory. Knows no servers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from devstack.shop.api_items import SIZES, Item, resources
from devstack.shop.api_rows import dataset_of, version_of
from devstack.shop.goods import history_product
from devstack.shop.orders import ITEM_IDS_PER_ORDER, Bundle, history_bundle
from devstack.shop.people import history_customer
from devstack.shop.scope import (
    CHARGES,
    CUSTOMERS,
    ORDER_ITEMS,
    ORDERS,
    PRODUCTS,
    Scope,
    Version,
    microseconds,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from devstack.shop.bad import BadRow
    from devstack.shop.documents import Document

Key: TypeAlias = Any
"""A dataset's key: a text or a whole number."""

DATASETS = (CUSTOMERS, ORDERS, CHARGES, PRODUCTS, ORDER_ITEMS, *map(dataset_of, SIZES))
"""Every dataset that the shop fills; the same as the shipped catalog's."""


@dataclass
class HourPlan:
    """What one hour does: what becomes true, and what is written where."""

    hour: int
    changed: dict[str, dict[Key, Version]] = field(default_factory=lambda: {name: {} for name in DATASETS})
    """Dataset → key → the state at the end of the hour, of the rows that it touched."""
    documents: dict[str, dict[Key, Document]] = field(
        default_factory=lambda: {name: {} for name in (CUSTOMERS, ORDERS, CHARGES)}
    )
    """Dataset → `_id` → the document that replaces the one of that `_id`, or is new."""
    objects: dict[str, bytes] = field(default_factory=dict)
    """Key → bytes of CSV objects that are written, some over older ones."""
    items: dict[str, list[Item]] = field(default_factory=dict)
    """API resource → items that replace those of the same id, or are new."""
    bad: list[BadRow] = field(default_factory=list)
    product_drop: list[Version] = field(default_factory=list)
    """The good rows of the hour's main products object, which the next hour writes over."""


@dataclass
class Draft:
    """An hour that is being made, over the world as it was before."""

    world: World
    plan: HourPlan
    random: Random

    def find(self, dataset_id: str, key: Key) -> Version | None:
        """The newest state of a row; None where there is none."""
        return self.plan.changed[dataset_id].get(key) or self.world.find(dataset_id, key)

    def newest(self, dataset_id: str, key: Key) -> Version:
        """The newest state of a row that there must be."""
        found = self.find(dataset_id, key)
        if found is None:
            raise LookupError(f"{dataset_id} has no row {key!r}")
        return found

    def put(self, dataset_id: str, version: Version) -> Version:
        """Let a state be true."""
        self.plan.changed[dataset_id][version.row["id"]] = version
        return version

    def offer(self, dataset_id: str, version: Version) -> Version:
        """Let a state be true unless a newer one is known."""
        known = self.find(dataset_id, version.row["id"])
        if known is None or stamp_of(known) < stamp_of(version):
            self.put(dataset_id, version)
        return version

    def stamp(self, unit: int = 1, *, is_late: bool = False) -> int:
        """A moment in the hour, or in the one before."""
        return self.world.scope.stamp(self.plan.hour - is_late, self.random, unit)


class World:
    """A shop's state over the hours.

    Args:
        scope: Which shop.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.hours: list[HourPlan] = []
        self._touched: dict[str, dict[Key, Version]] = {name: {} for name in DATASETS}
        self._bundle = lru_cache(maxsize=1024)(lambda number: history_bundle(scope, number))

    def bundle(self, number: int) -> Bundle:
        """An order of the history with what belongs to it, as it was at the anchor."""
        return self._bundle(number)

    def add(self, plan: HourPlan) -> None:
        """Let the next hour be part of the world."""
        for name, changed in plan.changed.items():
            self._touched[name].update(changed)
        self.hours.append(plan)

    def find(self, dataset_id: str, key: Key) -> Version | None:
        """The newest state of a row; None where there is none."""
        return self._touched[dataset_id].get(key) or self._from_history(dataset_id, key)

    def _from_history(self, dataset_id: str, key: Key) -> Version | None:
        volumes = self.scope.volumes
        if dataset_id == CUSTOMERS:
            number = int(key[1:])
            return history_customer(self.scope, number) if number <= volumes.customers else None
        if dataset_id == PRODUCTS:
            return history_product(self.scope, key) if key <= volumes.products else None
        number = _order_of(dataset_id, key)
        if number > volumes.orders:
            return None
        candidates = _PARTS[dataset_id](self.bundle(number))
        return next((version for version in candidates if version.row["id"] == key), None)

    def versions(self, dataset_id: str, hour: int) -> Iterator[tuple[Key, Version]]:
        """(key, state) of every row of a dataset at the end of an hour, in any order; -1: before hour 0."""
        touched: dict[Key, Version] = {}
        for plan in self.hours[: hour + 1]:
            touched.update(plan.changed[dataset_id])
        for version in self._history(dataset_id):
            key = version.row["id"]
            yield key, touched.pop(key, version)
        yield from touched.items()

    def _history(self, dataset_id: str) -> Iterator[Version]:
        scope, volumes = self.scope, self.scope.volumes
        if dataset_id == CUSTOMERS:
            yield from (history_customer(scope, n) for n in range(1, volumes.customers + 1))
        elif dataset_id == PRODUCTS:
            yield from (history_product(scope, n) for n in range(1, volumes.products + 1))
        elif dataset_id in _PARTS:
            for number in range(1, volumes.orders + 1):
                yield from _PARTS[dataset_id](history_bundle(scope, number))
        else:
            resource = dataset_id.partition(".")[2]
            yield from (version_of(resource, found) for found in resources(scope.seed)[resource])


_PARTS: dict[str, Callable[[Bundle], list[Version]]] = {
    ORDERS: lambda bundle: [bundle.order],
    ORDER_ITEMS: lambda bundle: bundle.items,
    CHARGES: lambda bundle: bundle.charges,
}


def _order_of(dataset_id: str, key: Key) -> int:
    """The number of the order that a row belongs to, read off its key."""
    if dataset_id == CHARGES:
        return int(key.split("_")[1])
    return int(key) // ITEM_IDS_PER_ORDER if dataset_id == ORDER_ITEMS else int(key)


def stamp_of(version: Version) -> int:
    """When a row last changed, in microseconds since 1970."""
    return microseconds(version.row["updated_at"])
