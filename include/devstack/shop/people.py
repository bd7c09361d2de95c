"""Customers: how they come, and how they change."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from devstack.shop.dice import below, chance, pick
from devstack.shop.scope import Row, Scope, Version, instant
from devstack.shop.vocabulary import CHANNELS, FIRST_NAMES, LAST_NAMES, PLACES, STREETS

if TYPE_CHECKING:
    from random import Random

_GENDERS = ("female", "male", "other", "unknown")


def customer_id(number: int) -> str:
    """The key of the customer of that number."""
    return f"C{number:08d}"


def history_customer(scope: Scope, number: int) -> Version:
    """A customer of the history, `number` from 1."""
    random = scope.dice("customer", number)
    return new_customer(random, number, scope.customer_created(number, random))


def new_customer(random: Random, number: int, created: int) -> Version:
    """A customer who came at `created` (microseconds since 1970)."""
    gender = pick(random, _GENDERS)
    first = pick(random, FIRST_NAMES.get(gender, FIRST_NAMES["other"]))
    last = pick(random, LAST_NAMES)
    moment = instant(created)
    row = {
        "id": customer_id(number),
        "first_name": first,
        "last_name": last,
        "email": None if chance(random, 0.03) else f"{first}.{last}.{number}@example.com".lower(),
        "gender": gender,
        "birth_date": _birth_date(random),
        "phone": None if chance(random, 0.2) else f"+1-555-{below(random, 10_000):04d}",
        **_address(random),
        "marketing": _marketing(random),
        "created_at": moment,
        "updated_at": moment,
    }
    return Version(row)


def changed_customer(row: Row, random: Random, stamp: int) -> Version:
    """The customer after moving, or after another word about marketing."""
    change = _address(random) if chance(random, 0.6) else {"marketing": _marketing(random)}
    return Version({**row, **change, "updated_at": instant(stamp)})


def _birth_date(random: Random) -> date | None:
    if chance(random, 0.1):
        return None
    return date(1931, 1, 1) + timedelta(days=below(random, 28_000))


def _address(random: Random) -> dict[str, Any]:
    city, state, country, postal_code = pick(random, PLACES)
    return {
        "delivery_address": f"{below(random, 300) + 1} {pick(random, STREETS)}",
        "delivery_city": city,
        "delivery_state": state,
        "delivery_postal_code": postal_code,
        "country": country,
    }


def _marketing(random: Random) -> dict[str, Any] | None:
    if chance(random, 0.1):
        return None
    is_opted_in = chance(random, 0.5)
    channels = [channel for channel in CHANNELS if chance(random, 0.5)] if is_opted_in else []
    return {"is_opted_in": is_opted_in, "channels": channels}
