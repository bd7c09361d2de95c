"""The API's items as warehouse rows, and what an hour does to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstack.shop.api_items import SIZES, Item, item, resources
from devstack.shop.dice import below, pick, sample
from devstack.shop.scope import Row, Version
from devstack.shop.vocabulary import WORDS

if TYPE_CHECKING:
    from random import Random

SOURCE = "jsonplaceholder"
_NAMES = {
    "userId": "user_id",
    "postId": "post_id",
    "albumId": "album_id",
    "thumbnailUrl": "thumbnail_url",
    "completed": "is_completed",
    "catchPhrase": "catch_phrase",
}
"""Fields whose column has another name."""

_DECLARED = {resource: frozenset(item(0, resource, 1)) for resource in SIZES}


def dataset_of(resource: str) -> str:
    """The dataset of a resource."""
    return f"{SOURCE}.{resource}"


def version_of(resource: str, found: Item) -> Version:
    """The warehouse row of an item, and the fields that nobody declared."""
    declared = _DECLARED[resource]
    extra = {name: value for name, value in found.items() if name not in declared}
    return Version(_renamed({name: found[name] for name in found if name in declared}), extra or None)


def _renamed(found: Item) -> Row:
    return {
        _NAMES.get(name, name): _renamed(value) if isinstance(value, dict) else value
        for name, value in found.items()
    }


class ApiState:
    """The API's items as they are after the hours so far."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._items = {
            resource: {found["id"]: found for found in items} for resource, items in resources(seed).items()
        }

    def advance(self, hour: int, random: Random) -> dict[str, list[Item]]:
        """What an hour changes and adds, by resource."""
        changed = {
            "posts": [self._rewritten("posts", number, hour) for number in sample(random, 1, 100, 2)],
            "albums": [self._rewritten("albums", 1 + below(random, 100), hour)],
            "photos": [self._rewritten("photos", 1 + below(random, 5000), hour)],
            "todos": [self._toggled(number) for number in sample(random, 1, 200, 3)],
            "comments": [self._commented(number, hour, random) for number in range(3)],
            "users": [self._joined(hour, random)],
        }
        for resource, items in changed.items():
            self._items[resource].update({found["id"]: found for found in items})
        return changed

    def _rewritten(self, resource: str, number: int, hour: int) -> Item:
        return item(self._seed, resource, number, version=hour + 1)

    def _toggled(self, number: int) -> Item:
        found = self._items["todos"][number]
        return {**found, "completed": not found["completed"]}

    def _commented(self, number: int, hour: int, random: Random) -> Item:
        new = item(self._seed, "comments", SIZES["comments"] + hour * 3 + number + 1)
        return {**new, "postId": 1 + below(random, SIZES["posts"]), "likes": below(random, 50)}

    def _joined(self, hour: int, random: Random) -> Item:
        new = item(self._seed, "users", SIZES["users"] + hour + 1)
        nickname: Any = {"text": pick(random, WORDS), "since": 2020 + below(random, 6)}
        return {**new, "nickname": nickname}
