"""The state before hour 0, written as a stream: nothing of it is held but one batch and one CSV object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstack.shop.api_items import resources
from devstack.shop.bad import HISTORY, BadRow
from devstack.shop.csv_files import ITEM_COLUMNS, PRODUCT_COLUMNS, CsvForm, encode, record
from devstack.shop.documents import document
from devstack.shop.drops import bad_records
from devstack.shop.goods import history_product
from devstack.shop.hours import bad_documents
from devstack.shop.orders import history_bundle
from devstack.shop.people import history_customer
from devstack.shop.scope import CHARGES, CUSTOMERS, DAY_US, ORDER_ITEMS, ORDERS, PRODUCTS, Scope, instant
from devstack.shop.world import stamp_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from devstack.shop.documents import Document
    from devstack.shop.scope import Version
    from devstack.shop.targets import Targets
    from devstack.shop.world import Key

COLLECTIONS = (CUSTOMERS, ORDERS, CHARGES)
_BATCH = 2_000
_WEEK_US = 7 * DAY_US
_PRODUCT_OBJECTS = 12


def write_history(scope: Scope, targets: Targets) -> None:
    """Fill the targets with everything that was there before hour 0."""
    for dataset_id in COLLECTIONS:
        targets.clear(dataset_id)
    targets.insert(CUSTOMERS, _customers(scope))
    for key, body in _product_objects(scope):
        targets.put_object(key, body)
    _write_orders(scope, targets)
    bad: dict[str, dict[Key, Document]] = {name: {} for name in COLLECTIONS}
    bad_documents(scope, HISTORY, bad)
    for dataset_id, documents in bad.items():
        targets.insert(dataset_id, documents.values())
    for resource, items in resources(scope.seed).items():
        targets.send_items("PUT", resource, items)


def history_bad(scope: Scope) -> list[BadRow]:
    """What of the history must end in quarantine."""
    rows = bad_documents(scope, HISTORY, {name: {} for name in COLLECTIONS})
    rows += bad_records(scope, HISTORY, PRODUCTS, PRODUCT_COLUMNS, _product_key(scope, 1))[1]
    rows += bad_records(scope, HISTORY, ORDER_ITEMS, ITEM_COLUMNS, _last_item_key(scope))[1]
    return rows


def _customers(scope: Scope) -> Iterator[Document]:
    for number in range(1, scope.volumes.customers + 1):
        random = scope.dice("customer document", number)
        yield document(CUSTOMERS, history_customer(scope, number), random)


def _product_key(scope: Scope, first: int) -> str:
    day = history_product(scope, first).row["created_at"]
    return f"products/{day:%Y/%m/%d}/products-{first:06d}.csv"


def _product_objects(scope: Scope) -> Iterator[tuple[str, bytes]]:
    """(key, bytes) of the objects in which the history's products first came."""
    count = scope.volumes.products
    size = -(-count // _PRODUCT_OBJECTS)
    for first in range(1, count + 1, size):
        numbers = range(first, min(first + size, count + 1))
        records = [record(PRODUCT_COLUMNS, history_product(scope, number).row) for number in numbers]
        if first == 1:
            key = _product_key(scope, 1)
            records += bad_records(scope, HISTORY, PRODUCTS, PRODUCT_COLUMNS, key)[0]
        yield _product_key(scope, first), encode(CsvForm(PRODUCT_COLUMNS), records)


def _write_orders(scope: Scope, targets: Targets) -> None:
    orders: list[Document] = []
    charges: list[Document] = []
    items: list[Version] = []
    week = _week_of(scope, stamp_of(history_bundle(scope, 1).items[0]))
    for number in range(1, scope.volumes.orders + 1):
        bundle = history_bundle(scope, number)
        random = scope.dice("order document", number)
        orders.append(document(ORDERS, bundle.order, random))
        charges.extend(document(CHARGES, charge, random) for charge in bundle.charges)
        if len(orders) == _BATCH:
            _flush(targets, orders, charges)
        placed_in = _week_of(scope, _created(bundle.items[0]))
        if placed_in != week:
            _put_items(scope, targets, week, items)
            items, week = [], placed_in
        items.extend(bundle.items)
    _flush(targets, orders, charges)
    _put_items(scope, targets, week, items)


def _flush(targets: Targets, orders: list[Document], charges: list[Document]) -> None:
    targets.insert(ORDERS, orders)
    targets.insert(CHARGES, charges)
    orders.clear()
    charges.clear()


def _created(version: Version) -> int:
    from devstack.shop.scope import microseconds

    return microseconds(version.row["created_at"])


def _week_of(scope: Scope, moment: int) -> int:
    """How many weeks before the anchor, 1 for the last one."""
    return -(-(scope.start_of(0) - moment) // _WEEK_US)


def _item_key(scope: Scope, week: int) -> str:
    begin = instant(scope.start_of(0) - week * _WEEK_US)
    return f"order_items/{begin:%Y/%m/%d}/order_items-week.csv.gz"


def _last_item_key(scope: Scope) -> str:
    newest = history_bundle(scope, scope.volumes.orders)
    return _item_key(scope, _week_of(scope, _created(newest.items[0])))


def _put_items(scope: Scope, targets: Targets, week: int, items: Iterable[Version]) -> None:
    key = _item_key(scope, week)
    records = [record(ITEM_COLUMNS, item.row) for item in items]
    if key == _last_item_key(scope):
        records += bad_records(scope, HISTORY, ORDER_ITEMS, ITEM_COLUMNS, key)[0]
    targets.put_object(key, encode(CsvForm(ITEM_COLUMNS, is_gzip=True), records))
