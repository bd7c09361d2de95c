"""Bounded patience: how often and how long a call is tried again. Knows no client, only our error types.

`Patience` is the rule, `Budget` is what one call has left of it. Both the number of attempts and the total
time are bounded, and the pause before an attempt never uses up the time that the attempt itself needs.
"""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from tideline.errors import RetriableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
log = logging.getLogger(__name__)

_SHARE_FOR_PAUSES = 0.9
"""A pause takes at most this share of the time left; the rest belongs to the attempt after it."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on: at most `attempts` in number and `deadline_seconds` in total, pauses included.

    Pauses double from `pause_seconds` up to `longest_pause_seconds`, with up to half of each taken off at
    random so that many workers do not come back at the same instant.
    """

    attempts: int = 6
    deadline_seconds: float = 600.0
    pause_seconds: float = 0.25
    longest_pause_seconds: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def begin(self) -> Budget:
        """What one call has, starting now."""
        return Budget(self, self.clock())

    def within(self, seconds: float) -> Patience:
        """The same rule with another deadline, in seconds."""
        return replace(self, deadline_seconds=seconds)

    def call(self, operation: Callable[[], T], only: type[RetriableError] = RetriableError) -> T:
        """Do it until it succeeds, fails for good, or patience runs out.

        Args:
            operation: One attempt.
            only: What it is tried again for; where it talks to a second server that has patience of its own,
                that one's failure is final, as attempts would multiply otherwise.

        Raises:
            RetriableError: The last one, when attempts or time are used up.
        """
        budget = self.begin()
        while True:
            try:
                return operation()
            except only as error:
                budget.pause(error)


@dataclass(slots=True)
class Budget:
    """What is left of one call's patience."""

    patience: Patience
    started: float
    failures: int = field(default=0)

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self.started + self.patience.deadline_seconds - self.patience.clock())

    def pause(self, error: RetriableError, at_least: float = 0.0) -> None:
        """Wait before the next attempt; `at_least` is the wait a server asked for, in seconds.

        Raises:
            RetriableError: `error` itself, when attempts or time are used up.
        """
        self.failures += 1
        left = self.seconds_left
        if self.failures >= self.patience.attempts or left <= 0:
            raise error
        seconds = min(max(self._backoff(), at_least), left * _SHARE_FOR_PAUSES)
        log.info("attempt %d failed (%s); the next one follows in %.2f s", self.failures, error, seconds)
        self.patience.sleep(seconds)

    def _backoff(self) -> float:
        rule = self.patience
        full: float = min(rule.pause_seconds * 2 ** (self.failures - 1), rule.longest_pause_seconds)
        return full * (1.0 - rule.chance() / 2)
