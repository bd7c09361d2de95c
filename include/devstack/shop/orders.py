"""Orders with their items and charges: how they are placed, and how they go on.

An order, its items and its charges come from one generator, so that sums agree: an order's amount is that of
its items, and so is the sum of its debits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstack.shop.dice import below, chance, pick
from devstack.shop.goods import list_price_cents, money
from devstack.shop.people import customer_id
from devstack.shop.scope import HOUR_US, Row, Scope, Version, instant
from devstack.shop.vocabulary import CARRIERS, METHODS, NOTES, PLACES, TAGS

if TYPE_CHECKING:
    from random import Random

PLACED, PAID, PACKED, SHIPPED, DELIVERED, RETURNED, CANCELLED = range(1, 8)
IN_STORE = 0
ITEM_IDS_PER_ORDER = 100
_CREDIT = 9
_MOST_ITEMS = 4


class Bundle(NamedTuple):
    """An order with all that belongs to it."""

    order: Version
    items: list[Version]
    charges: list[Version]


def history_bundle(scope: Scope, number: int) -> Bundle:
    """An order of the history, `number` from 1, as far as it had come by the anchor."""
    random = scope.dice("order", number)
    placed = scope.order_placed(number, random)
    return _bundle(scope, random, number, _life(random, placed, scope.start_of(0)))


def new_bundle(scope: Scope, random: Random, number: int, placed: int) -> Bundle:
    """An order that has just been placed."""
    return _bundle(scope, random, number, _Life([(PLACED, placed)], is_in_store=chance(random, 0.2)))


class _Life(NamedTuple):
    """How far an order has come: (status, when) from its placing on, in whole milliseconds."""

    events: list[tuple[int, int]]
    is_in_store: bool


def _life(random: Random, placed: int, until: int) -> _Life:
    """What happens to an order before `until`."""
    is_in_store = chance(random, 0.2)
    steps = [(PLACED, 0), (PAID, 1), (DELIVERED, 2)] if is_in_store else _online_steps(random)
    unit = 60_000_000 if is_in_store else HOUR_US
    jitter = below(random, 600_000) * 1000
    events = [(status, placed + after * unit + (jitter if after else 0)) for status, after in steps]
    return _Life([event for event in events if event[1] < until], is_in_store)


def _online_steps(random: Random) -> list[tuple[int, int]]:
    """(status, hours after it was placed)."""
    steps = [(PLACED, 0), (PAID, 1 + below(random, 2)), (PACKED, 4 + below(random, 28))]
    if chance(random, 0.05):
        return [*steps[: 1 + below(random, 2)], (CANCELLED, 3 + below(random, 12))]
    delivered = 60 + below(random, 100)
    steps += [(SHIPPED, 33 + below(random, 24)), (DELIVERED, delivered)]
    return [*steps, (RETURNED, delivered + 48 + below(random, 400))] if chance(random, 0.1) else steps


def _bundle(scope: Scope, random: Random, number: int, life: _Life) -> Bundle:
    items = _items(scope, random, number, life.events[0][1])
    order = _order(scope, random, number, life, items)
    events = life.events
    reached = dict(events)
    charges = []
    if PAID in reached:
        charges = debits(random, order, reached[PAID])
    if charges and (RETURNED in reached or CANCELLED in reached):
        charges.append(credit(random, order, events[-1][1]))
    if RETURNED in reached:
        items = [returned_item(item, reached[RETURNED]) for item in items]
    return Bundle(Version(order), [Version(item) for item in items], charges)


def _items(scope: Scope, random: Random, number: int, placed: int) -> list[Row]:
    count = 1 + below(random, _MOST_ITEMS)
    available = scope.products_at(placed)
    moment = placed + below(random, 1000)
    return [_item(scope, random, number, line, 1 + below(random, available), moment) for line in range(count)]


def _item(scope: Scope, random: Random, order: int, line: int, product: int, moment: int) -> Row:
    return {
        "id": order * ITEM_IDS_PER_ORDER + line,
        "order_id": order,
        "product_id": product,
        "quantity": 1 + below(random, 3),
        "unit_amount": money(list_price_cents(scope, product)),
        "discount_rate": None if chance(random, 0.05) else below(random, 7) * 5 / 100,
        "is_returned": False,
        "note": pick(random, NOTES),
        "created_at": instant(moment),
        "updated_at": instant(moment),
    }


def returned_item(item: Row, moment: int) -> Row:
    """An item that came back."""
    return {**item, "is_returned": True, "updated_at": instant(moment)}


def _item_cents(item: Row) -> int:
    """Price times quantity less the discount, rounded half up to a cent."""
    cents = int(item["unit_amount"].scaleb(2)) * item["quantity"]
    kept = 100 - round((item["discount_rate"] or 0) * 100)
    return int(cents * kept + 50) // 100


def _order(scope: Scope, random: Random, number: int, life: _Life, items: list[Row]) -> Row:
    events, is_in_store = life
    placed = events[0][1]
    return {
        "id": number,
        "customer_id": customer_id(1 + below(random, scope.customers_at(placed))),
        "order_date": instant(placed).date(),
        "status": events[-1][0],
        "online_order": IN_STORE if is_in_store else 1 + below(random, 2),
        "amount": money(sum(map(_item_cents, items))),
        "total_items": sum(item["quantity"] for item in items),
        "shipping": None if is_in_store else _shipping(random),
        "status_history": [{"status": status, "changed_at": instant(when)} for status, when in events],
        "tags": [tag for tag in TAGS if chance(random, 0.15)],
        "created_at": instant(placed),
        "updated_at": instant(events[-1][1]),
    }


def _shipping(random: Random) -> dict[str, Any]:
    city, state, country, _ = pick(random, PLACES)
    grams = 200 + below(random, 4000)
    return {
        "carrier": pick(random, CARRIERS),
        "city": city,
        "state": state or None,
        "country": country,
        "weight_kg": None if grams % 31 == 0 else float(grams // 1000) if grams % 10 == 0 else grams / 1000,
    }


def debits(random: Random, order: Row, moment: int) -> list[Version]:
    """What the customer pays: at once, or one part with a gift card."""
    cents = int(order["amount"].scaleb(2))
    if chance(random, 0.12) and cents > 1:
        part = 1 + below(random, cents - 1)
        return [
            _charge(random, order, 1, "debit", part, "gift_card", moment),
            _charge(random, order, 2, "debit", cents - part, pick(random, METHODS), moment),
        ]
    return [_charge(random, order, 1, "debit", cents, pick(random, METHODS), moment)]


def credit(random: Random, order: Row, moment: int) -> Version:
    """What the customer gets back."""
    cents = int(order["amount"].scaleb(2))
    return _charge(random, order, _CREDIT, "credit", cents, pick(random, METHODS), moment)


def _charge(
    random: Random, order: Row, number: int, kind: str, cents: int, method: str, moment: int
) -> Version:
    when = instant(moment)
    row = {
        "id": f"ch_{order['id']}_{number}",
        "order_id": order["id"],
        "kind": kind,
        "amount": money(cents),
        "currency": "USD",
        "method": method,
        "processor": _processor(random, method),
        "charged_at": when,
        "created_at": when,
        "updated_at": when,
    }
    return Version(row)


def _processor(random: Random, method: str) -> dict[str, Any] | None:
    """What a payment processor answers: free in form, the same when written as JSON and read again."""
    if method == "gift_card":
        return None
    return {
        "reference": f"{below(random, 1 << 48):012x}",
        "settled": False,
        "risk": {
            "score": below(random, 100) / 100,
            "flags": ["new card", 'name "mismatch"'][: below(random, 3)],
        },
        "attempts": [{"n": n, "ok": n > 0} for n in range(1 + below(random, 2))],
        "note": None,
    }


def settled(charge: Row, stamp: int) -> Version:
    """A charge after the processor has settled it."""
    answer = charge["processor"] and {**charge["processor"], "settled": True}
    return Version({**charge, "processor": answer, "updated_at": instant(stamp)})


def item_keys(number: int) -> range:
    """The keys that the items of an order can have."""
    return range(number * ITEM_IDS_PER_ORDER, number * ITEM_IDS_PER_ORDER + _MOST_ITEMS)


class Step(NamedTuple):
    """What one change of an order brings with it."""

    order: Row
    charges: list[Version]
    is_return: bool


def advanced(order: Row, random: Random, stamp: int) -> Step:
    """The order one step on: paid, packed, shipped, delivered, perhaps returned; then it gets tags."""
    status = order["status"]
    moment = instant(stamp)
    if status in (RETURNED, CANCELLED) or (status == DELIVERED and chance(random, 0.6)):
        tags = [*order["tags"], f"follow-up {len(order['tags'])}"]
        return Step({**order, "tags": tags, "updated_at": moment}, [], is_return=False)
    entry = {"status": status + 1, "changed_at": moment}
    changed = {
        **order,
        "status": status + 1,
        "status_history": [*order["status_history"], entry],
        "updated_at": moment,
    }
    if status + 1 == PAID:
        return Step(changed, debits(random, changed, stamp), is_return=False)
    if status + 1 == RETURNED:
        return Step(changed, [credit(random, changed, stamp)], is_return=True)
    return Step(changed, [], is_return=False)
