"""What decoders and stored parts are held to, with decoders that break their promise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from tideline.catalog.model import Column, HttpDataset, MongoDataset
from tideline.errors import ContractError, IntegrityError
from tideline.lake import manifest
from tideline.refine import parts
from tideline.refine.contract import Decoded, Reject, decoded_schema, empty_batch
from tideline.refine.parts import decoded_parts, decoder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NESTED = MongoDataset(
    name="items", source="shop", database="shop", collection="items", key=("id",),
    columns=(
        Column(name="id", type="int64"),
        Column(name="tags", type="string", repeated=True),
        Column(name="place", type="record", columns=(
            Column(name="city", type="string", nullable=False), Column(name="lat", type="float64"),
        )),
        Column(name="log", type="record", repeated=True, columns=(
            Column(name="by", type="string", nullable=False),
            Column(name="notes", type="string", repeated=True),
        )),
        Column(name="must", type="string", nullable=False),
    ),
)  # fmt: skip
GOOD = {
    "id": 1, "tags": ["a"], "place": {"city": "x", "lat": None}, "log": [{"by": "me", "notes": []}], "must": "m",
    "_extra": None, "_raw_position": 0,
}  # fmt: skip


def rows(*values: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{**GOOD, **each} for each in values], schema=decoded_schema(NESTED))


@pytest.fixture
def decoding(lake: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    """`decoding(batch, …)`: what comes of a part from which the decoder makes these."""

    def run(*found: Decoded, body: bytes = b"x", **fields: Any) -> list[Any]:
        def decode(*_: Any) -> Iterator[Decoded]:
            yield from found

        monkeypatch.setattr(parts, "decoder_of", lambda *_: decode)
        landed = manifest.read(lake.raw, lake.land(NESTED, body, **fields))
        return list(decoded_parts(NESTED, landed, lake.raw))

    return run


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"tags": [], "log": [], "place": None},
        {"log": [{"by": "a", "notes": ["x"]}, {"by": "b", "notes": []}]},
    ],
)
def test_good_batches_pass(decoding: Callable[..., list[Any]], values: dict[str, Any]) -> None:
    ((part, decoded),) = decoding(Decoded(rows(GOOD, values), [], 2))
    assert decoded.batch.num_rows == 2
    assert part.uri.endswith("part-00000.csv")


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"id": None}, "id"), ({"must": None}, "must"), ({"tags": None}, "tags"), ({"tags": ["a", None]}, "tags[]"),
        ({"place": {"city": None}}, "place.city"), ({"log": None}, "log"), ({"log": [None]}, "log[]"),
        ({"log": [{"by": None, "notes": []}]}, "log.by"), ({"log": [{"by": "a", "notes": None}]}, "log.notes"),
    ],
)  # fmt: skip
def test_a_null_where_none_may_be_is_an_error(
    decoding: Callable[..., list[Any]], values: dict[str, Any], path: str
) -> None:
    with pytest.raises(IntegrityError, match="NULL") as caught:
        decoding(Decoded(rows(GOOD, values), [], 2))
    assert caught.value.message.endswith(f"in {path}")


def test_counts_that_do_not_add_up_are_an_error(decoding: Callable[..., list[Any]]) -> None:
    with pytest.raises(IntegrityError, match="4 records, 1 rows, 2 rejects"):
        decoding(Decoded(rows(GOOD), [Reject(1, "bad_type")] * 2, 4))


def test_another_schema_is_an_error(decoding: Callable[..., list[Any]]) -> None:
    with pytest.raises(IntegrityError, match="has the schema a: int64"):
        decoding(Decoded(pa.RecordBatch.from_pydict({"a": [1]}), [], 1))


def test_parts_hold_what_was_landed(decoding: Callable[..., list[Any]]) -> None:
    assert len(decoding(Decoded(rows(GOOD), [], 1), part_records=[1])) == 1
    with pytest.raises(IntegrityError, match="7 records were landed, but 1 were decoded"):
        decoding(Decoded(rows(GOOD), [], 1), part_records=[7], body=b"y", attempt_id="other")


def test_no_parts_are_no_batches(lake: Any) -> None:
    landed = manifest.read(lake.raw, lake.land(NESTED))
    assert list(decoded_parts(NESTED, landed, lake.raw)) == []


def test_a_damaged_part_is_found_even_if_it_decodes(lake: Any, csv_dataset: Callable[..., Any]) -> None:
    dataset = csv_dataset()
    landed = manifest.read(lake.raw, lake.land(dataset, b"id,name\n1,a\n"))
    lake.raw.damage(landed.parts[0].uri, b"id,name\n1,b\n")
    with pytest.raises(IntegrityError, match="SHA-256") as caught:
        list(decoded_parts(dataset, landed, lake.raw))
    assert landed.parts[0].uri in str(caught.value)


def test_a_damaged_part_is_named_so_whatever_the_decoder_says(
    lake: Any, csv_dataset: Callable[..., Any]
) -> None:
    dataset = csv_dataset()
    landed = manifest.read(lake.raw, lake.land(dataset, b"id,name\n" + b"1,a\n" * 2_000_000))
    lake.raw.damage(landed.parts[0].uri, b"id;name\n" + b"1,a\n" * 2_000_000)
    with pytest.raises(IntegrityError, match="SHA-256") as caught:
        list(decoded_parts(dataset, landed, lake.raw))
    assert isinstance(caught.value.__context__, ContractError)


def test_what_the_decoder_does_not_read_is_read(lake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        parts, "decoder_of", lambda *_: lambda *_: iter([Decoded(empty_batch(NESTED), [], 0)])
    )
    landed = manifest.read(lake.raw, lake.land(NESTED, bytes(3 << 20)))
    assert len(list(decoded_parts(NESTED, landed, lake.raw))) == 1
    lake.raw.damage(landed.parts[0].uri, bytes(3 << 20)[:-1] + b"x")
    with pytest.raises(IntegrityError, match="SHA-256"):
        list(decoded_parts(NESTED, landed, lake.raw))


def test_each_kind_has_its_decoder(csv_dataset: Callable[..., Any]) -> None:
    http = HttpDataset(
        name="posts", source="api", key=("id",), path="/posts", columns=(Column(name="id", type="int64"),)
    )
    for dataset, name in ((csv_dataset(), "csv"), (NESTED, "bson"), (http, "json")):
        decode: Any = decoder_of(dataset)
        assert getattr(decode, "func", decode) is getattr(
            sys.modules[f"tideline.refine.{name}"], f"decode_{name}"
        )
