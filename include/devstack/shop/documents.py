"""Rows as MongoDB documents: the types that applications really store, chosen anew for every document."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from devstack.shop.dice import chance
from devstack.shop.scope import CHARGES, CUSTOMERS, ORDERS, Row, Version

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Document: TypeAlias = dict[str, Any]


def document(dataset_id: str, version: Version, random: Random) -> Document:
    """The document of a row: some nulls left out, integers of either width, decimals in any notation."""
    made = _MAKERS[dataset_id](version.row, random)
    for path, value in (version.extra or {}).items():
        outer, _, inner = path.rpartition(".")
        holder = made[outer] if outer else made
        holder[inner] = value
    return made


def _plain(row: Row, random: Random) -> Document:
    """All columns but the key under their own names; a null is kept or left out."""
    return {
        name: _midnight(value) if type(value) is date else value
        for name, value in row.items()
        if name != "id" and (value is not None or chance(random, 0.5))
    }


def _customer(row: Row, random: Random) -> Document:
    return {"_id": row["id"], **_plain(row, random)}


def _order(row: Row, random: Random) -> Document:
    made = {"_id": Int64(row["id"]), **_plain(row, random)}
    made["amount"] = _decimal(row["amount"], random)
    made["status"] = _integer(row["status"], random)
    made["total_items"] = _integer(row["total_items"], random)
    made["status_history"] = [dict(entry) for entry in row["status_history"]]
    if row["shipping"] is not None:
        made["shipping"] = {**row["shipping"], "weight_kg": _weight(row["shipping"]["weight_kg"], random)}
    if not row["tags"] and chance(random, 0.5):
        del made["tags"]
    return made


def _charge(row: Row, random: Random) -> Document:
    return {
        "_id": row["id"],
        **_plain(row, random),
        "order_id": Int64(row["order_id"]),
        "amount": _decimal(row["amount"], random),
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(tzinfo=UTC))


def _integer(value: int, random: Random) -> int:
    return Int64(value) if chance(random, 0.3) else value


def _weight(value: float | None, random: Random) -> float | int | None:
    """A whole number of kilograms may be stored as an integer."""
    is_whole = value is not None and value.is_integer()
    return int(value) if value is not None and is_whole and chance(random, 0.5) else value


def _decimal(amount: Decimal, random: Random) -> Decimal128:
    """The same amount as `12.50`, `12.5` or `1.25E+1`."""
    if chance(random, 0.8):
        return Decimal128(amount)
    shortest = amount.normalize()
    return Decimal128(shortest if chance(random, 0.5) else Decimal(f"{shortest:E}"))


_MAKERS: dict[str, Callable[[Row, Random], Document]] = {
    CUSTOMERS: _customer,
    ORDERS: _order,
    CHARGES: _charge,
}
