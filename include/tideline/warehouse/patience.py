"""How often and how long a call to the warehouse is repeated. Knows errors and clocks, not what is called."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from tideline.errors import RetriableError
from tideline.warehouse.failures import CLIENT_ERRORS, translate

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)
T = TypeVar("T")

_LONGEST_REQUEST_SECONDS = 300.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


@dataclass(frozen=True)
class Patience:
    """A bound on tries and on time; the clock, the sleep and the dice can be replaced in tests."""

    deadline_seconds: float
    tries: int = 6
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def call(self, place: str, request: Callable[[float], T]) -> T:
        """Make one request, again while it may succeed later and there is time.

        Args:
            place: The job or table concerned, for errors.
            request: Takes the seconds it may last; must not retry by itself.

        Raises:
            WarehouseUnavailableError: The last try failed with something that passes.
            WarehouseRefusedError: A try failed with something that does not.
        """
        ends = self.clock() + self.deadline_seconds
        number = 1
        while True:
            try:
                return request(min(max(ends - self.clock(), 1.0), _LONGEST_REQUEST_SECONDS))
            except CLIENT_ERRORS as error:
                failure = translate(error, place)
                if not isinstance(failure, RetriableError) or number == self.tries or self.clock() >= ends:
                    raise failure from error
            self.pause(number, str(failure))
            number += 1

    def pause(self, number: int, why: str) -> None:
        """Wait before try `number + 1`: exponential, with jitter so that many do not come back at once."""
        seconds = min(_FIRST_PAUSE_SECONDS * 2.0 ** (number - 1), _LONGEST_PAUSE_SECONDS)
        seconds *= 0.5 + self.dice() / 2
        log.warning("Trying again in %.1f s after try %d: %s", seconds, number, why)
        self.sleep(seconds)
