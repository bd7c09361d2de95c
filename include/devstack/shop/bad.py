"""Rows that cannot be typed: what is wrong with each, and the reason and column that quarantine must name.

Each has a key of its own that no good row refers to, so that leaving it out changes no sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128

from devstack.shop.scope import CHARGES, CUSTOMERS, ORDER_ITEMS, ORDERS, PRODUCTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devstack.shop.documents import Document

HISTORY = -1
"""The "hour" of what was there before hour 0."""

_YEAR_10000_MS = 253_402_300_800_000
_ABSENT = object()


@dataclass(frozen=True)
class BadRow:
    """One row at a source that must end in quarantine.

    Args:
        dataset_id: Where it is.
        key: Its key as a warehouse row would have it; None where that is what is wrong.
        column: The column that quarantine names; empty for the record as a whole.
        reason: One of the reasons of the quarantine's closed set.
        stamp: Its change column, in microseconds since 1970.
        since: The hour in which it appeared; `HISTORY` for before hour 0.
        until: The hour in which it was put right; None for never.
        object_key: The CSV object that holds it; empty for documents.
    """

    dataset_id: str
    key: Any
    column: str
    reason: str
    stamp: int
    since: int
    until: int | None = None
    object_key: str = ""


@dataclass(frozen=True)
class _Fault:
    column: str
    reason: str
    values: dict[str, Any]
    """Field → what is put in the place of the good value."""


_DOCUMENT_FAULTS: dict[str, tuple[_Fault, ...]] = {
    ORDERS: (
        _Fault("total_items", "type_mismatch", {"total_items": "three"}),
        _Fault("amount", "not_finite", {"amount": Decimal128("NaN")}),
        _Fault("created_at", "out_of_range", {"created_at": DatetimeMS(_YEAR_10000_MS)}),
        _Fault("amount", "decimal_scale", {"amount": Decimal128("19.999")}),
        _Fault("order_date", "missing_required", {"order_date": _ABSENT}),
        _Fault("amount", "decimal_overflow", {"amount": Decimal128("12345678901.00")}),
        _Fault("online_order", "type_mismatch", {"online_order": 1.0}),
        _Fault("tags[1]", "null_item", {"tags": ["gift", None]}),
        _Fault("order_date", "null_required", {"order_date": None}),
        _Fault(
            "status_history[0].status", "type_mismatch", {"status_history": [{"status": "paid"}]}
        ),
    ),
    CUSTOMERS: (
        _Fault("birth_date", "type_mismatch", {"birth_date": "1990-13-45"}),
        _Fault("marketing", "type_mismatch", {"marketing": "yes please"}),
        _Fault("first_name", "type_mismatch", {"first_name": 42}),
    ),
    CHARGES: (
        _Fault("amount", "not_finite", {"amount": Decimal128("Infinity")}),
        _Fault("order_id", "type_mismatch", {"order_id": "12"}),
        _Fault("charged_at", "type_mismatch", {"charged_at": "2026-01-31 10:00"}),
    ),
}  # fmt: skip

_RECORD_FAULTS: dict[str, tuple[_Fault, ...]] = {
    PRODUCTS: (
        _Fault("unit_amount", "bad_number", {"unit_amount": "twelve"}),
        _Fault("launched_on", "bad_date", {"launched_on": "2026-02-30"}),
        _Fault("is_active", "bad_bool", {"is_active": "perhaps"}),
        _Fault("unit_amount", "decimal_scale", {"unit_amount": "10.999"}),
        _Fault("created_at", "bad_timestamp", {"created_at": "yesterday, 10 o'clock"}),
        _Fault("id", "null_required", {"id": ""}),
    ),
    ORDER_ITEMS: (
        _Fault("quantity", "bad_number", {"quantity": "two"}),
        _Fault("quantity", "out_of_range", {"quantity": "99999999999999999999"}),
        _Fault("discount_rate", "bad_number", {"discount_rate": "half"}),
        _Fault("order_id", "null_required", {"order_id": ""}),
        _Fault("unit_amount", "bad_number", {"unit_amount": "n/a"}),
    ),
}  # fmt: skip


_FIELD_COUNT_TURN = 3
"""Every third bad record has a field too many."""


def spoil_document(dataset_id: str, good: Document, number: int) -> tuple[Document, str, str]:
    """(the document with its `number`-th kind of fault, column, reason)."""
    fault = _turn(_DOCUMENT_FAULTS[dataset_id], number)
    spoiled = {**good, **fault.values}
    return {name: v for name, v in spoiled.items() if v is not _ABSENT}, fault.column, fault.reason


def spoil_record(
    dataset_id: str, columns: Sequence[str], good: list[str], number: int
) -> tuple[list[str], str, str]:
    """(the CSV record with its `number`-th kind of fault, column, reason)."""
    if number % _FIELD_COUNT_TURN == _FIELD_COUNT_TURN - 1:
        return [*good, "one field too many"], "", "field_count"
    fault = _turn(_RECORD_FAULTS[dataset_id], number - number // _FIELD_COUNT_TURN)
    fields = dict(zip(columns, good, strict=True)) | fault.values
    return [fields[name] for name in columns], fault.column, fault.reason


def _turn(faults: tuple[_Fault, ...], number: int) -> _Fault:
    return faults[number % len(faults)]
