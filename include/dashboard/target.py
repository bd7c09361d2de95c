"""Which warehouse the dashboard reads, from the environment. Opens nothing."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
_PREFIX = re.compile(r"[A-Za-z0-9_]*")
_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+/?")


class TargetError(ValueError):
    """A variable does not hold what it should; the message says which and what to set."""


@dataclass(frozen=True)
class Target:
    """A warehouse: the project and prefix of Tideline's settings, and where the emulator is, if it is one."""

    project: str
    prefix: str = ""
    emulator: str | None = None
    location: str = "US"

    @property
    def marts(self) -> str:
        """The dataset of the marts, as SQL refers to it."""
        return f"`{self.project}`.`{self.prefix}marts`"

    @property
    def name(self) -> str:
        """What people read."""
        where = "the embedded emulator" if self.emulator else "BigQuery"
        return f"{self.project}.{self.prefix}marts on {where}"


def from_environment(environ: Mapping[str, str] | None = None) -> Target:
    """The warehouse that TIDELINE_PROJECT, TIDELINE_DATASET_PREFIX and BIGQUERY_EMULATOR_HOST name.

    Raises:
        TargetError: One of them is not a name that BigQuery takes, or not a URL.
    """
    env = os.environ if environ is None else environ
    return Target(
        _matching(env, "TIDELINE_PROJECT", _PROJECT, "tideline"),
        _matching(env, "TIDELINE_DATASET_PREFIX", _PREFIX, ""),
        _matching(env, "BIGQUERY_EMULATOR_HOST", _URL, "") or None,
        _matching(env, "TIDELINE_LOCATION", re.compile(r"[A-Za-z0-9-]+"), "US"),
    )


def _matching(env: Mapping[str, str], name: str, pattern: re.Pattern[str], default: str) -> str:
    value = env.get(name) or default
    if value and not pattern.fullmatch(value):
        raise TargetError(
            f"{name} is {value!r}, which is not a name that can be used; set it right or unset it"
        )
    return value
