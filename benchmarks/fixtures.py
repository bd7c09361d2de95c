"""The input of the benchmarks: deterministic, made once, each with what is true of it in a file beside it.

Documents with a sub-document, a place in it, a list of records and a list of strings; CSV of 13 columns with
empty texts, `n/a` and quoted commas. Not committed; a new `VERSION` makes them anew.
"""

from __future__ import annotations

import gzip
import json
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

from benchmarks.paths import FIXTURES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    import pyarrow as pa

VERSION = 1
SEED = 20260131
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SPAN_SECONDS = 30 * 86_400
CSV_CHUNK_ROWS = 250_000
COUNTRIES = ("US", "DE", "FR", "GB", "JP", "BR", "IN", "ZA")
STATUSES = ("placed", "paid", "packed", "shipped", "delivered", "returned", "cancelled")
CITIES = ("Köln", "New York", "São Paulo", "東京", "Leeds", "Pune", "Lyon", "Durban")
TAGS = ("gift", "priority", "vip", "bulk", "fragile", "repeat", "promo", "new")
WORDS = ("leave", "at", "the", "door", "ring", "twice", "call", "first", "neighbour", "garage", "red", "gate")
COLUMNS = (
    "id", "order_id", "customer_id", "email", "status", "created_at", "updated_at", "amount", "tax",
    "quantity", "country", "is_gift", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What any faithful copy of a fixture holds: the number of rows and two sums over columns."""

    rows: int
    order_id_sum: int
    email_bytes: int


@dataclass(frozen=True)
class Fixture:
    """One file of input."""

    name: str
    rows: int

    @property
    def path(self) -> Path:
        """The file."""
        return FIXTURES / self.name

    @property
    def truth_path(self) -> Path:
        """The file beside it."""
        return FIXTURES / f"{self.name}.json"

    @property
    def truth(self) -> Truth:
        """What is true of it; it must have been made."""
        return Truth(**json.loads(self.truth_path.read_text())["truth"])

    @property
    def is_current(self) -> bool:
        """Whether it was made by this version of this module."""
        return self.truth_path.is_file() and json.loads(self.truth_path.read_text())["version"] == VERSION


DOCUMENTS = Fixture("documents-200k.bson", 200_000)
DOCUMENTS_LARGE = Fixture("documents-1m.bson", 1_000_000)
CSV = Fixture("orders-1m5.csv.gz", 1_500_000)
CSV_LARGE = Fixture("orders-6m.csv.gz", 6_000_000)
DOCUMENTS_SMALL = Fixture("documents-1k.bson", 1_000)
CSV_SMALL = Fixture("orders-1k.csv.gz", 1_000)
CSV_BAD = Fixture("bad-1m5.csv.gz", 1_500_000)
CSV_WIDE = Fixture("wide-60k.csv.gz", 60_000)
CSV_LONG = Fixture("long-2k.csv.gz", 2_000)
ALL = (DOCUMENTS, DOCUMENTS_LARGE, DOCUMENTS_SMALL, CSV, CSV_LARGE, CSV_SMALL, CSV_BAD, CSV_WIDE, CSV_LONG)


def make_all(names: Sequence[str] = ()) -> None:
    """Write those of the fixtures that are not there, side by side; all of them where none is named."""
    missing = [fixture for fixture in ALL if (not names or fixture.name in names) and not fixture.is_current]
    if missing:
        with ProcessPoolExecutor(len(missing)) as pool:
            list(pool.map(make, missing))


def make(fixture: Fixture) -> None:
    """Write the fixture unless it is there already; whole or not at all."""
    if fixture.is_current:
        return
    FIXTURES.mkdir(parents=True, exist_ok=True)
    unfinished = fixture.path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        truth = _write(file, fixture)
    unfinished.replace(fixture.path)
    fixture.truth_path.write_text(json.dumps({"version": VERSION, "truth": asdict(truth)}))


def _write(file: BinaryIO, fixture: Fixture) -> Truth:
    if fixture.name.endswith(".bson"):
        return _write_bson(file, fixture.rows)
    if fixture.name.startswith(("bad-", "wide-", "long-")):
        from benchmarks import shapes

        return shapes.write(file, fixture.name, fixture.rows)
    return _write_csv(file, fixture.rows)


def _write_bson(file: BinaryIO, rows: int) -> Truth:
    import bson

    order_ids = email_bytes = 0
    for document in _documents(rows):
        order_ids += document["order_id"]
        email_bytes += len(document["email"])
        file.write(bson.encode(document))
    return Truth(rows, order_ids, email_bytes)


def _documents(rows: int) -> Iterator[dict[str, Any]]:
    """Sixteen fields, about 490 bytes each as BSON."""
    from bson import Int64, ObjectId

    rng = random.Random(SEED)
    prefix = rng.randbytes(8)
    notes = _notes(rng)
    for number in range(1, rows + 1):
        created = BEGIN + timedelta(milliseconds=rng.randrange(SPAN_SECONDS * 1000))
        customer = rng.randrange(1, 100_000)
        yield {
            "_id": ObjectId(prefix + number.to_bytes(4, "big")),
            "order_id": Int64(10_000_000_000 + number),
            "customer_id": Int64(customer),
            "email": f"c{customer}@example.com",
            "status": rng.choice(STATUSES),
            "created_at": created,
            "updated_at": created + timedelta(milliseconds=rng.randrange(86_400_000)),
            "amount": rng.randrange(100, 100_000) / 100,
            "tax": rng.randrange(0, 10_000) / 100,
            "quantity": rng.randrange(1, 9),
            "country": rng.choice(COUNTRIES),
            "is_gift": rng.random() < 0.1,
            "note": rng.choice(notes),
            "address": {
                "street": f"{rng.randrange(1, 400)} Harbour Road",
                "city": rng.choice(CITIES),
                "zip": f"{rng.randrange(100_000):05d}",
                "geo": {"lat": rng.uniform(-90, 90), "lon": rng.uniform(-180, 180)},
            },
            "items": [
                {
                    "sku": f"SKU-{rng.randrange(10_000):05d}",
                    "qty": rng.randrange(1, 5),
                    "price": rng.randrange(100, 20_000) / 100,
                }
                for _ in range(rng.randrange(1, 4))
            ],
            "tags": rng.sample(TAGS, rng.randrange(0, 4)),
        }


def _notes(rng: random.Random) -> list[str]:
    """A thousand short texts: some empty, some that careless readers take for NULL, some with a comma."""
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(1, 7))) for _ in range(800)]
    return [*texts, *(["", "n/a"] * 80), *(f"{text}, please" for text in texts[:40])]


def _write_csv(file: BinaryIO, rows: int) -> Truth:
    order_ids = email_bytes = 0
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as packed:
        packed.write((",".join(COLUMNS) + "\n").encode())
        for first in range(0, rows, CSV_CHUNK_ROWS):
            text, truth = csv_chunk(first + 1, min(CSV_CHUNK_ROWS, rows - first))
            packed.write(text)
            order_ids += truth.order_id_sum
            email_bytes += truth.email_bytes
    return Truth(rows, order_ids, email_bytes)


def csv_chunk(first: int, rows: int) -> tuple[pa.Buffer, Truth]:
    """Rows of the common CSV as text, from the row of that number on."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rng = np.random.default_rng((SEED, first))
    order_id = pa.array(np.arange(10_000_000_000 + first, 10_000_000_000 + first + rows))
    customer = pa.array(rng.integers(1, 100_000, rows)).cast("string")
    created = rng.integers(0, SPAN_SECONDS, rows) + int(BEGIN.timestamp())
    email = pc.binary_join_element_wise("c", customer, "@example.com", "")
    columns = [
        pc.binary_join_element_wise("ord", order_id.cast("string"), "-"),
        order_id.cast("string"),
        customer,
        email,
        _pick(rng, STATUSES, rows),
        _instant(created),
        _instant(created + rng.integers(0, 86_400, rows)),
        _money(rng.integers(100, 100_000, rows)),
        _money(rng.integers(0, 10_000, rows)),
        pa.array(rng.integers(1, 9, rows)).cast("string"),
        _pick(rng, COUNTRIES, rows),
        pc.if_else(pa.array(rng.random(rows) < 0.1), "true", "false"),
        pc.binary_join_element_wise(_pick(rng, _quoted_notes(), rows), "\n", ""),
    ]
    # The data buffer of a string array is its texts end to end: the chunk of the file.
    lines = pc.binary_join_element_wise(*columns, ",")
    truth = Truth(rows, pc.sum(order_id).as_py(), pc.sum(pc.binary_length(email)).as_py())
    return lines.buffers()[2].slice(0, pc.sum(pc.binary_length(lines)).as_py()), truth


def _pick(rng: np.random.Generator, texts: Sequence[str], rows: int) -> pa.Array:
    import pyarrow as pa

    return pa.array(texts).take(pa.array(rng.integers(0, len(texts), rows)))


def _instant(seconds: np.ndarray) -> pa.Array:
    """`2026-01-31T14:05:02Z`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.strftime(pa.array(seconds).cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")


def _money(cents: np.ndarray) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    fraction = pc.utf8_lpad(pa.array(cents % 100).cast("string"), 2, "0")
    return pc.binary_join_element_wise(pa.array(cents // 100).cast("string"), fraction, ".")


def _quoted_notes() -> list[str]:
    return [f'"{note}"' if "," in note else note for note in _notes(random.Random(SEED))]
