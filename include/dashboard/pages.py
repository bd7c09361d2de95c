"""What each page shows, read from `looker/pages.yml`. Knows neither Looker Studio nor Streamlit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = re.compile(r"[a-z_][a-z0-9_]*")
_TEXT = re.compile(r"'[^']*'")


@dataclass(frozen=True)
class Chart:
    """A chart over one table."""

    kind: str
    title: str
    table: str
    dimensions: tuple[str, ...]
    measures: dict[str, str]
    """Label → SQL over the table's columns."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it needs, each once."""
        named = [word for sql in self.measures.values() for word in _WORDS.findall(_TEXT.sub("", sql))]
        return tuple(dict.fromkeys([*self.dimensions, *named]))


@dataclass(frozen=True)
class Page:
    """A page: a question and the charts that answer it."""

    name: str
    title: str
    question: str
    filters: tuple[str, ...]
    charts: tuple[Chart, ...]
    partitioned: frozenset[str] = frozenset()
    """Tables, of this page or another, that have a partition column."""

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables of its charts, in the order in which they are first used."""
        return tuple(dict.fromkeys(chart.table for chart in self.charts))


def read_pages(path: Path) -> tuple[Page, ...]:
    """The pages of a file, in its order."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    partitioned = frozenset(document["partitioned"])
    return tuple(_page(given, partitioned) for given in document["pages"])


def _page(given: dict[str, Any], partitioned: frozenset[str]) -> Page:
    charts = tuple(_chart(chart) for chart in given["charts"])
    filters = tuple(given["filters"])
    return Page(given["page"], given["title"], given["question"], filters, charts, partitioned)


def _chart(given: dict[str, Any]) -> Chart:
    dimensions = tuple(given.get("dimensions", ()))
    return Chart(given["chart"], given["title"], given["table"], dimensions, given["measures"])
