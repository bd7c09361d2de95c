"""Products: how they are created, and how they change."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

from devstack.shop.dice import below, chance, pick
from devstack.shop.scope import Row, Scope, Version, instant
from devstack.shop.vocabulary import CATEGORIES, COLOURS, DESCRIPTIONS, GENDERS, MATERIALS

if TYPE_CHECKING:
    from random import Random

_CATEGORY_NAMES = tuple(CATEGORIES)


def money(cents: int) -> Decimal:
    """Cents as an amount with two places."""
    return Decimal(cents).scaleb(-2)


@lru_cache(maxsize=60_000)
def list_price_cents(scope: Scope, number: int) -> int:
    """What a product of the history costs at first, in cents."""
    return 500 + below(scope.dice("price", number), 29_500)


def history_product(scope: Scope, number: int) -> Version:
    """A product of the history, `number` from 1."""
    random = scope.dice("product", number)
    created = scope.product_created(number, random)
    return new_product(random, number, created, list_price_cents(scope, number))


def new_product(random: Random, number: int, created: int, cents: int) -> Version:
    """A product that was created at `created` (microseconds since 1970)."""
    category = pick(random, _CATEGORY_NAMES)
    kind = pick(random, CATEGORIES[category])
    moment = instant(created)
    row = {
        "id": number,
        "title": f"{pick(random, COLOURS)} {pick(random, MATERIALS)} {kind}",
        "description": pick(random, DESCRIPTIONS),
        "category": category,
        "sub_category": kind,
        "gender": pick(random, GENDERS),
        "unit_amount": money(cents),
        "is_active": chance(random, 0.95),
        "launched_on": None if chance(random, 0.05) else moment.date(),
        "created_at": moment,
        "updated_at": moment,
    }
    return Version(row)


def changed_product(row: Row, random: Random, stamp: int) -> Row:
    """The product after a new price, another description, or its end."""
    change: Row
    if chance(random, 0.6):
        change = {"unit_amount": money(500 + below(random, 29_500))}
    elif chance(random, 0.7):
        change = {"description": pick(random, DESCRIPTIONS)}
    else:
        change = {"is_active": not row["is_active"]}
    return {**row, **change, "updated_at": instant(stamp)}
