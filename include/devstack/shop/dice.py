"""Chance that repeats itself: every thing of the shop has its own generator, named by seed and place.

So any order, customer or hour can be made again alone, in any process, without what comes before it.
"""

from __future__ import annotations

import hashlib
from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")

_MIX = 0x9E3779B97F4A7C15
"""2^64 divided by the golden ratio: neighbouring numbers get unlike seeds (splitmix64's increment)."""


def domain(seed: int, name: str) -> int:
    """A number for one kind of thing, to be mixed with the thing's own number."""
    return int.from_bytes(hashlib.blake2b(f"{seed}:{name}".encode(), digest_size=8).digest(), "little")


def dice(of: int, number: int) -> Random:
    """The generator of the thing `number` of a domain."""
    return Random(of ^ (number * _MIX & 0xFFFFFFFFFFFFFFFF))  # noqa: S311


def pick(random: Random, choices: Sequence[T]) -> T:
    """One of the choices, by one draw: quicker than `Random.choice`, and stable between Python versions."""
    return choices[int(random.random() * len(choices))]


def chance(random: Random, share: float) -> bool:
    """True in that share of the draws."""
    return random.random() < share


def below(random: Random, limit: int) -> int:
    """A whole number in `[0, limit)`, by one draw."""
    return int(random.random() * limit)


def sample(random: Random, first: int, count: int, wanted: int) -> list[int]:
    """`wanted` different numbers of the `count` that begin with `first`, in the order drawn."""
    chosen: dict[int, None] = {}
    while len(chosen) < min(wanted, count):
        chosen[first + below(random, count)] = None
    return list(chosen)
