"""What the API holds: JSONPlaceholder's six resources in its shapes and sizes, with our own text."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from devstack.shop.dice import below, chance, dice, domain, pick
from devstack.shop.vocabulary import FIRST_NAMES, LAST_NAMES, PLACES, STREETS, WORDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

Item: TypeAlias = dict[str, Any]

SIZES = {"users": 10, "posts": 100, "comments": 500, "albums": 100, "photos": 5000, "todos": 200}
"""Items of each resource, as the public service has them."""

_FIRST_NAMES = FIRST_NAMES["female"] + FIRST_NAMES["male"]


@lru_cache(maxsize=4)
def resources(seed: int) -> dict[str, list[Item]]:
    """All items of all resources, the same for the same seed; not to be changed by whoever asks."""
    return {name: [item(seed, name, number) for number in range(1, size + 1)] for name, size in SIZES.items()}


def item(seed: int, resource: str, number: int, version: int = 0) -> Item:
    """One item; `version` counts how often it was rewritten."""
    random = dice(domain(seed, f"api:{resource}:{version}"), number)
    return _MAKERS[resource](random, number)


def _words(random: Random, fewest: int, most: int) -> str:
    return " ".join(pick(random, WORDS) for _ in range(fewest + below(random, most - fewest + 1)))


def _text(random: Random) -> str:
    return "\n".join(_words(random, 5, 8) for _ in range(4))


def _user(random: Random, number: int) -> Item:
    first, last = pick(random, _FIRST_NAMES), pick(random, LAST_NAMES)
    city, _, _, zipcode = pick(random, PLACES)
    return {
        "id": number,
        "name": f"{first} {last}",
        "username": f"{pick(random, WORDS).title()}{number}",
        "email": f"{pick(random, WORDS)}.{number}@example.com",
        "address": {
            "street": pick(random, STREETS),
            "suite": f"Apt. {below(random, 900) + 100}",
            "city": city,
            "zipcode": zipcode,
            "geo": {"lat": f"{random.random() * 180 - 90:.4f}", "lng": f"{random.random() * 360 - 180:.4f}"},
        },
        "phone": f"1-555-{below(random, 9000) + 1000}",
        "website": f"{pick(random, WORDS)}.example",
        "company": {
            "name": f"{last} & {pick(random, LAST_NAMES)}",
            "catchPhrase": f"The {pick(random, WORDS)} of {pick(random, WORDS)}",
            "bs": _words(random, 3, 3),
        },
    }


def _post(random: Random, number: int) -> Item:
    return {
        "userId": (number - 1) // 10 + 1,
        "id": number,
        "title": _words(random, 3, 9),
        "body": _text(random),
    }


def _comment(random: Random, number: int) -> Item:
    return {
        "postId": (number - 1) // 5 + 1,
        "id": number,
        "name": _words(random, 3, 6),
        "email": f"{pick(random, WORDS)}_{pick(random, WORDS)}@example.org",
        "body": _text(random),
    }


def _album(random: Random, number: int) -> Item:
    return {"userId": (number - 1) // 10 + 1, "id": number, "title": _words(random, 2, 6)}


def _photo(random: Random, number: int) -> Item:
    colour = f"{below(random, 1 << 24):06x}"
    return {
        "albumId": (number - 1) // 50 + 1,
        "id": number,
        "title": _words(random, 3, 9),
        "url": f"https://img.example/600/{colour}",
        "thumbnailUrl": f"https://img.example/150/{colour}",
    }


def _todo(random: Random, number: int) -> Item:
    return {
        "userId": (number - 1) // 20 + 1,
        "id": number,
        "title": _words(random, 3, 8),
        "completed": chance(random, 0.45),
    }


_MAKERS: dict[str, Callable[[Random, int], Item]] = {
    "users": _user,
    "posts": _post,
    "comments": _comment,
    "albums": _album,
    "photos": _photo,
    "todos": _todo,
}
