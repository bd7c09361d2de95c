"""The CSV objects that an hour drops: products plain, order items as gzip, late rows under an old prefix.

Each object is also what a careless program writes: the same row twice, columns in another order, a column
that nobody declared, rows that cannot be typed, an earlier object written over.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from devstack.shop.bad import HISTORY, BadRow, spoil_record
from devstack.shop.csv_files import ITEM_COLUMNS, PRODUCT_COLUMNS, CsvForm, encode, record
from devstack.shop.dice import below, pick, sample
from devstack.shop.goods import changed_product, new_product
from devstack.shop.orders import new_bundle
from devstack.shop.scope import HOUR_US, ORDER_ITEMS, PRODUCTS, Scope, Version, instant
from devstack.shop.vocabulary import NOTES
from devstack.shop.world import Draft, stamp_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

NEW_PRODUCTS, CHANGED_PRODUCTS, TWICE = 15, 45, 4
CHANGED_ITEMS = 25
LATE_PRODUCTS, STALE_PRODUCTS = 3, 2
BAD_RECORDS = {PRODUCTS: 2, ORDER_ITEMS: 2}
"""Per hour and in the history, at any scale."""

SEASON = "season"
"""A column that nobody declared."""

_BAD_PRODUCT, _BAD_ORDER_ID = 800_000_000, 8_000_000_000
_SEASONS = ("AW26", "SS27", "permanent, all year")


def drop_key(scope: Scope, dataset: str, hour: int, extension: str) -> str:
    """`products/2026/11/21/products-14.csv` for the hour that begins at 14:00 on that day."""
    begin = instant(scope.start_of(hour))
    return f"{dataset}/{begin:%Y/%m/%d}/{dataset}-{begin:%H}.{extension}"


def late_key(scope: Scope, hour: int) -> str:
    """A key a year back, under which late products turn up."""
    begin = instant(scope.start_of(hour))
    return f"products/{begin.year - 1}/{begin:%m/%d}/products-late-{begin:%Y%m%d%H}.csv"


def write_drops(draft: Draft) -> None:
    """Add the hour's CSV objects to its plan, and what they make true."""
    drops = _Drops(draft)
    drops.products()
    drops.late_products()
    drops.earlier_products_again()
    drops.order_items()


class _Drops:
    def __init__(self, draft: Draft) -> None:
        self._draft, self._world, self._plan, self._random = draft, draft.world, draft.plan, draft.random
        self._scope, self._volumes = draft.world.scope, draft.world.scope.volumes

    def products(self) -> None:
        """The hour's main object: new and changed products, some of them twice."""
        new = self._volumes.hourly(NEW_PRODUCTS)
        known = self._volumes.products + self._plan.hour * new
        versions = [self._new_product(number) for number in range(known + 1, known + new + 1)]
        changed = sample(self._random, 1, known, self._volumes.hourly(CHANGED_PRODUCTS))
        versions += [self._changed_product(number) for number in changed]
        for number in changed[:TWICE]:
            versions.insert(below(self._random, len(versions)), self._changed_product(number))
        self._plan.product_drop = versions
        columns = _turned(PRODUCT_COLUMNS, self._plan.hour % 3)
        records = [_season_record(columns, version) for version in versions]
        key = drop_key(self._scope, "products", self._plan.hour, "csv")
        records += self._bad(PRODUCTS, (*columns, SEASON), key)
        form = CsvForm((*columns, SEASON), line_end="\r\n")
        self._plan.objects[key] = encode(form, records)

    def _new_product(self, number: int) -> Version:
        created = self._draft.stamp()
        found = new_product(self._random, number, created, 500 + below(self._random, 20_000))
        return self._draft.offer(PRODUCTS, self._in_season(found.row))

    def _changed_product(self, number: int) -> Version:
        """Another state of a product; when it lies before the newest one, it is only written, not true."""
        stamp = self._draft.stamp()
        row = changed_product(self._draft.newest(PRODUCTS, number).row, self._random, stamp)
        return self._draft.offer(PRODUCTS, self._in_season(row))

    def _in_season(self, row: dict[str, Any]) -> Version:
        return Version(row, {SEASON: pick(self._random, _SEASONS)})

    def late_products(self) -> None:
        """Under an old prefix: rows of the previous hour, and rows older than what is known already."""
        versions = self._late_versions()
        for key in list(self._plan.changed[PRODUCTS])[:STALE_PRODUCTS]:
            newest = self._draft.newest(PRODUCTS, key)
            stamp = stamp_of(newest) - 1 - below(self._random, HOUR_US)
            row = changed_product(newest.row, self._random, stamp)
            versions.append(self._draft.offer(PRODUCTS, Version(row)))
        records = [record(PRODUCT_COLUMNS, version.row) for version in versions]
        form = CsvForm(PRODUCT_COLUMNS, quote_all=True)
        self._plan.objects[late_key(self._scope, self._plan.hour)] = encode(form, records)

    def _late_versions(self) -> list[Version]:
        """Changes of the previous hour to products that have not changed since."""
        versions: list[Version] = []
        for number in sample(self._random, 1, self._volumes.products, 40):
            newest, stamp = self._draft.newest(PRODUCTS, number), self._draft.stamp(is_late=True)
            if stamp_of(newest) < stamp and len(versions) < LATE_PRODUCTS:
                row = changed_product(newest.row, self._random, stamp)
                versions.append(self._draft.offer(PRODUCTS, Version(row)))
        return versions

    def earlier_products_again(self) -> None:
        """The previous hour's main object written over: its good rows, its bad ones put right, newer ones."""
        if not self._plan.hour:
            return
        before = self._world.hours[-1]
        spoiled = [bad for bad in before.bad if bad.dataset_id == PRODUCTS and bad.key is not None]
        versions = [
            *before.product_drop,
            *[self._put_right(bad) for bad in spoiled],
            *[self._changed_product(version.row["id"]) for version in before.product_drop[:3]],
        ]
        form = CsvForm((*PRODUCT_COLUMNS, SEASON))
        records = [_season_record(PRODUCT_COLUMNS, version) for version in versions]
        self._plan.objects[drop_key(self._scope, "products", before.hour, "csv")] = encode(form, records)

    def _put_right(self, bad: BadRow) -> Version:
        row = {**good_product(bad.key, bad.stamp).row, "updated_at": self._now()}
        return self._draft.offer(PRODUCTS, self._in_season(row))

    def order_items(self) -> None:
        """All items that the hour's orders brought or changed, and a few notes; some rows twice."""
        self._change_notes()
        versions = list(self._plan.changed[ORDER_ITEMS].values())
        for version in versions[:TWICE]:
            older = Version(
                {**version.row, "note": "first draft", "updated_at": instant(stamp_of(version) - 7)}
            )
            versions.insert(below(self._random, len(versions)), older)
        records = [record(ITEM_COLUMNS, version.row) for version in versions]
        key = drop_key(self._scope, "order_items", self._plan.hour, "csv.gz")
        records += self._bad(ORDER_ITEMS, ITEM_COLUMNS, key)
        self._plan.objects[key] = encode(CsvForm(ITEM_COLUMNS, is_gzip=True), records)

    def _change_notes(self) -> None:
        for number in sample(self._random, 1, self._volumes.orders, self._volumes.hourly(CHANGED_ITEMS)):
            key = self._world.bundle(number).items[0].row["id"]
            row = {**self._draft.newest(ORDER_ITEMS, key).row, "note": pick(self._random, NOTES)}
            self._draft.offer(ORDER_ITEMS, Version({**row, "updated_at": self._now()}))

    def _bad(self, dataset_id: str, columns: Sequence[str], key: str) -> list[list[str]]:
        made, rows = bad_records(self._scope, self._plan.hour, dataset_id, columns, key)
        self._plan.bad += rows
        return made

    def _now(self) -> datetime:
        return instant(self._draft.stamp())


def _turned(columns: Sequence[str], by: int) -> tuple[str, ...]:
    return (*columns[by:], *columns[:by])


def _season_record(columns: Sequence[str], version: Version) -> list[str]:
    return [*record(columns, version.row), (version.extra or {})[SEASON]]


def bad_records(
    scope: Scope, since: int, dataset_id: str, columns: Sequence[str], object_key: str
) -> tuple[list[list[str]], list[BadRow]]:
    """An hour's bad records of one object (or the history's), and what they are."""
    records, rows = [], []
    for number in range(BAD_RECORDS[dataset_id]):
        serial = (since + 1) * 10 + number
        stamp = scope.start_of(since if since > HISTORY else -30 * 24) + 1_200_000_000 + number
        row = _good_row(scope, dataset_id, serial, stamp)
        good = record([name for name in columns if name != SEASON], row)
        good += [_SEASONS[0]] if SEASON in columns else []
        turn = (since + 1) * BAD_RECORDS[dataset_id] + number
        spoiled, column, reason = spoil_record(dataset_id, columns, good, turn)
        records.append(spoiled)
        key = None if column == "id" else row["id"]
        rows.append(BadRow(dataset_id, key, column, reason, stamp, since, object_key=object_key))
    return records, rows


def _good_row(scope: Scope, dataset_id: str, serial: int, stamp: int) -> dict[str, Any]:
    if dataset_id == PRODUCTS:
        return good_product(_BAD_PRODUCT + serial, stamp).row
    key = _BAD_ORDER_ID + serial
    return new_bundle(scope, scope.dice("bad item", key), key, stamp).items[0].row


def good_product(number: int, stamp: int) -> Version:
    """What a bad product record should have been."""
    return new_product(Random(number), number, stamp, 4_200)  # noqa: S311
