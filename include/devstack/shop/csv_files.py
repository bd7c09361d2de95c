"""Rows as CSV objects: header, quoting where a text needs it, LF or CRLF, plain or gzip. RFC 4180."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from devstack.shop.scope import Row

PRODUCT_COLUMNS = (
    "id", "title", "description", "category", "sub_category", "gender", "unit_amount", "is_active",
    "launched_on", "created_at", "updated_at",
)  # fmt: skip
ITEM_COLUMNS = (
    "id", "order_id", "product_id", "quantity", "unit_amount", "discount_rate", "is_returned", "note",
    "created_at", "updated_at",
)  # fmt: skip


@dataclass(frozen=True)
class CsvForm:
    """How one object is written.

    Args:
        columns: Its header, in order.
        line_end: Between records; inside fields a line break stays as it is.
        is_gzip: Whether the object is compressed; then its key ends in `.csv.gz`.
        quote_all: Quote every field, not only those that need it.
    """

    columns: Sequence[str]
    line_end: str = "\n"
    is_gzip: bool = False
    quote_all: bool = False


def encode(form: CsvForm, records: Iterable[Sequence[str]]) -> bytes:
    """The object's bytes: header and records."""
    text = io.StringIO(newline="")
    writer = csv.writer(
        text, lineterminator=form.line_end, quoting=csv.QUOTE_ALL if form.quote_all else csv.QUOTE_MINIMAL
    )
    writer.writerow(form.columns)
    writer.writerows(records)
    data = text.getvalue().encode()
    return gzip.compress(data, compresslevel=6, mtime=0) if form.is_gzip else data


def record(columns: Sequence[str], row: Row) -> list[str]:
    """The fields of a row; null is the empty text, which is why no string column is ever null here."""
    return [_text(row[name]) for name in columns]


def _text(value: Any) -> str:  # noqa: ANN401  any column type
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
