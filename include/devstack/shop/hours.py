"""What happens in an hour: the databases' changes and the API's. The CSV drops are `devstack.shop.drops`'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstack.shop.api_rows import ApiState, dataset_of, version_of
from devstack.shop.bad import HISTORY, BadRow, spoil_document
from devstack.shop.dice import below, chance, sample
from devstack.shop.documents import document
from devstack.shop.drops import write_drops
from devstack.shop.orders import (
    Bundle,
    Step,
    advanced,
    item_keys,
    new_bundle,
    returned_item,
    settled,
)
from devstack.shop.people import changed_customer, customer_id, new_customer
from devstack.shop.scope import CHARGES, CUSTOMERS, ORDER_ITEMS, ORDERS, Scope, Version, instant
from devstack.shop.world import Draft, HourPlan, World, stamp_of

if TYPE_CHECKING:
    from random import Random

    from devstack.shop.documents import Document
    from devstack.shop.world import Key

MS = 1000
"""What MongoDB keeps of a moment, in microseconds."""

NEW_CUSTOMERS, CHANGED_CUSTOMERS, LATE_CUSTOMERS = 20, 30, 2
NEW_ORDERS, CHANGED_ORDERS, LATE_ORDERS = 40, 60, 3
SETTLED_CHARGES = 40
BAD_DOCUMENTS = {ORDERS: 2, CUSTOMERS: 1, CHARGES: 1}
"""Per hour and in the history, at any scale."""

_BAD_ORDER, _BAD_CUSTOMER = 9_000_000_000, 90_000_000
_REPAIRED = 1
"""Which of an hour's bad orders is put right an hour later."""


def plan_hour(world: World, api: ApiState) -> HourPlan:
    """The next hour of a world, which is then part of it."""
    hour = len(world.hours)
    draft = Draft(world, HourPlan(hour), world.scope.dice("hour", hour))
    builder = _Hour(draft)
    builder.customers()
    builder.orders()
    builder.charges()
    builder.bad_documents()
    builder.api(api)
    write_drops(draft)
    world.add(draft.plan)
    return draft.plan


class _Hour:
    """One hour being made; each method does one kind of thing."""

    def __init__(self, draft: Draft) -> None:
        self._draft, self._plan, self._random = draft, draft.plan, draft.random
        self._world, self._scope, self._volumes = draft.world, draft.world.scope, draft.world.scope.volumes

    def customers(self) -> None:
        """Newcomers, some of them visible an hour late, and changes of address or mind."""
        new = self._volumes.hourly(NEW_CUSTOMERS) + LATE_CUSTOMERS
        known = self._volumes.customers + self._plan.hour * new
        for number in range(known + 1, known + new + 1):
            is_late = number <= known + LATE_CUSTOMERS
            self._put(CUSTOMERS, new_customer(self._random, number, self._draft.stamp(MS, is_late=is_late)))
        for number in sample(self._random, 1, known, self._volumes.hourly(CHANGED_CUSTOMERS)):
            found = self._draft.newest(CUSTOMERS, customer_id(number))
            changed = changed_customer(found.row, self._random, self._draft.stamp(MS))
            self._put(CUSTOMERS, changed)

    def orders(self) -> None:
        """New orders, half of them paid at once, late ones, and steps of older ones."""
        new = self._volumes.hourly(NEW_ORDERS) + LATE_ORDERS
        known = self._volumes.orders + self._plan.hour * new
        for number in range(known + 1, known + new + 1):
            self._place(number, is_late=number <= known + LATE_ORDERS)
        recent = max(1, known - (known - self._volumes.settled_orders) // 3)
        for number in sample(self._random, recent, known - recent + 1, self._volumes.hourly(CHANGED_ORDERS)):
            self._advance(number, self._draft.stamp(MS))
        for number in sample(self._random, 1, recent, LATE_ORDERS):
            self._advance(number, self._draft.stamp(MS, is_late=True), is_late=True)

    def _place(self, number: int, *, is_late: bool) -> None:
        bundle = new_bundle(self._scope, self._random, number, self._draft.stamp(MS, is_late=is_late))
        self._put_bundle(bundle)
        placed = stamp_of(bundle.order)
        left = (self._scope.start_of(self._plan.hour + 1) - placed) // MS
        if left > 1 and chance(self._random, 0.5):
            self._advance(number, placed + (1 + below(self._random, left - 1)) * MS)

    def _put_bundle(self, bundle: Bundle) -> None:
        self._put(ORDERS, bundle.order)
        for item in bundle.items:
            self._draft.put(ORDER_ITEMS, item)

    def _advance(self, number: int, stamp: int, *, is_late: bool = False) -> None:
        found = self._draft.newest(ORDERS, number)
        if stamp_of(found) >= stamp or (is_late and number in self._plan.changed[ORDERS]):
            return
        step = advanced(found.row, self._random, stamp)
        self._put(ORDERS, Version(step.order, found.extra))
        for charge in step.charges:
            self._put(CHARGES, charge)
        if step.is_return:
            self._return_items(step, stamp)

    def _return_items(self, step: Step, stamp: int) -> None:
        for key in item_keys(step.order["id"]):
            item = self._draft.find(ORDER_ITEMS, key)
            if item is not None:
                later = max(stamp, stamp_of(item) + 1)
                self._draft.put(ORDER_ITEMS, Version(returned_item(item.row, later)))

    def charges(self) -> None:
        """Older charges that the processor settles."""
        wanted, settled_orders = self._volumes.hourly(SETTLED_CHARGES), self._volumes.settled_orders
        living = self._volumes.orders - settled_orders
        for number in sample(self._random, settled_orders + 1, living, min(2 * wanted, living)):
            paid = self._world.bundle(number).charges
            if paid and paid[0].row["id"] not in self._plan.changed[CHARGES]:
                found = self._draft.newest(CHARGES, paid[0].row["id"])
                self._put(CHARGES, settled(found.row, self._draft.stamp(MS)))
                wanted -= 1
            if not wanted:
                return

    def bad_documents(self) -> None:
        """Documents that cannot be typed, and one of the previous hour's put right."""
        self._plan.bad += bad_documents(self._scope, self._plan.hour, self._plan.documents)
        due = {0: (), 1: (HISTORY, 0)}.get(self._plan.hour, (self._plan.hour - 1,))
        for since in due:
            placed = _bad_stamp(self._scope, since)
            bundle = bad_order(self._scope, since, _REPAIRED, placed)
            now = {"updated_at": instant(self._draft.stamp(MS))}
            items = [Version({**item.row, **now}) for item in bundle.items]
            self._put_bundle(Bundle(Version({**bundle.order.row, **now}), items, []))

    def api(self, state: ApiState) -> None:
        """Items changed and added."""
        self._plan.items = state.advance(self._plan.hour, self._random)
        for resource, items in self._plan.items.items():
            for found in items:
                self._draft.put(dataset_of(resource), version_of(resource, found))

    def _put(self, dataset_id: str, version: Version) -> None:
        version = self._draft.put(dataset_id, self._with_extra(dataset_id, version))
        made = document(dataset_id, version, self._random)
        self._plan.documents[dataset_id][made["_id"]] = made

    def _with_extra(self, dataset_id: str, version: Version) -> Version:
        """A third of the orders gets fields that nobody declared."""
        if dataset_id != ORDERS or version.extra or not chance(self._random, 0.3):
            return version
        extra: dict[str, Any] = {
            "gift_message": f'from "{version.row["customer_id"]}" 🎁',
            "utm": {"source": "tide", "n": 3},
        }
        if version.row["shipping"] is not None:
            extra["shipping.insured"] = True
        return Version(version.row, extra)


def bad_order(scope: Scope, since: int, number: int, placed: int) -> Bundle:
    """The order that a bad document should have been."""
    key = _BAD_ORDER + (since + 1) * 10 + number
    return new_bundle(scope, scope.dice("bad order", key), key, placed)


def bad_documents(scope: Scope, since: int, into: dict[str, dict[Key, Document]]) -> list[BadRow]:
    """Put an hour's bad documents (or the history's) among the others; what they are."""
    rows = []
    for dataset_id, count in BAD_DOCUMENTS.items():
        for number in range(count):
            stamp = _bad_stamp(scope, since)
            turn = (since + 1) * count + number
            good = _good_document(scope, dataset_id, since, number, stamp)
            spoiled, column, reason = spoil_document(dataset_id, good, turn)
            into[dataset_id][spoiled["_id"]] = spoiled
            until = None
            if dataset_id == ORDERS and number == _REPAIRED:
                until = max(since + 1, 1)
            rows.append(BadRow(dataset_id, good["_id"], column, reason, stamp, since, until))
    return rows


def _bad_stamp(scope: Scope, since: int) -> int:
    """When an hour's bad documents changed: in that hour; those of the history a month before hour 0."""
    return scope.start_of(since if since >= 0 else -30 * 24) + 1_234_567 * MS


def _good_document(scope: Scope, dataset_id: str, since: int, number: int, stamp: int) -> Document:
    random = scope.dice(f"bad {dataset_id}", (since + 1) * 10 + number)
    if dataset_id == ORDERS:
        return document(dataset_id, bad_order(scope, since, number, stamp).order, random)
    if dataset_id == CUSTOMERS:
        key = _BAD_CUSTOMER + (since + 1) * 10 + number
        return document(dataset_id, new_customer(random, key, stamp), random)
    charge = settled_sample(scope, random, stamp)
    good = document(dataset_id, charge, random)
    return {**good, "_id": f"ch_0_{(since + 1) * 10 + number}"}


def settled_sample(scope: Scope, random: Random, stamp: int) -> Version:
    """A charge like any other, to be spoiled."""
    order = new_bundle(scope, random, 1, stamp).order
    charge = advanced(order.row, random, stamp).charges[0]
    return settled(charge.row, stamp)
