"""One command as it arrived: its body, its document sequences, and what commands share to serve it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstack.mongo.bson_view import DOCUMENT, array_slots, decode, find_slot, split
from devstack.mongo.cursors import Cursors
from devstack.mongo.errors import CommandError
from devstack.mongo.storage import Storage

if TYPE_CHECKING:
    from devstack.mongo.auth import Conversation


@dataclass
class Backend:
    """What all connections of a server share."""

    storage: Storage = field(default_factory=Storage)
    cursors: Cursors = field(default_factory=Cursors)
    credentials: tuple[str, str] | None = None
    """User name and password that clients must prove; None lets everybody in."""


@dataclass
class Session:
    """What one connection has achieved."""

    is_authenticated: bool = False
    conversation: Conversation | None = None


@dataclass(frozen=True)
class Request:
    """A command; `sequences` are OP_MSG's document sequences (name → documents that follow one another)."""

    body: bytes
    sequences: dict[str, bytes] = field(default_factory=dict)
    default_database: str = "admin"

    @cached_property
    def command(self) -> dict[str, Any]:
        """The body decoded, without its sequences."""
        return decode(self.body)

    @property
    def name(self) -> str:
        """The command's name, which is the first key."""
        return next(iter(self.command), "")

    @property
    def database(self) -> str:
        """The database that the command addresses."""
        return str(self.command.get("$db", self.default_database))

    @property
    def collection(self) -> str:
        """The collection that the command addresses.

        Raises:
            CommandError: The command addresses none.
        """
        name = self.command[self.name]
        if not isinstance(name, str):
            raise CommandError(73, f"collection name has invalid type {type(name).__name__}")
        return name

    @property
    def namespace(self) -> str:
        """`database.collection`."""
        return f"{self.database}.{self.collection}"

    def documents(self, name: str) -> list[bytes]:
        """An argument that is a list of documents, each as it was sent.

        Raises:
            CommandError: The argument is missing or empty, or not a list of documents.
        """
        found = self._sequence(name)
        if not found:
            raise CommandError(40414, f"BSON field '{self.name}.{name}' is missing or empty")
        return found

    def _sequence(self, name: str) -> list[bytes]:
        if name in self.sequences:
            return split(self.sequences[name])
        slot = find_slot(self.body, name.encode())
        if slot is None:
            return []
        items = array_slots(self.body, slot)
        if any(item.kind != DOCUMENT for item in items):
            raise CommandError(14, f"BSON field '{self.name}.{name}' holds what is no document")
        return [self.body[item.start : item.end] for item in items]
