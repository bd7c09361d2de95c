"""The compiled decoder where it is more than another way to decode: limits, failures, threads, long drift."""

import io
import threading
from struct import pack

import bson
import pytest
from bson import MinKey
from documents import Shop
from documents import dataset as shop_dataset

from tideline.catalog.model import MongoDataset
from tideline.errors import IntegrityError
from tideline.lake.manifest import Part
from tideline.refine.bson import BsonDecoder, decode_bson
from tideline.refine.bson_columns import BatchTooLargeError
from tideline.refine.contract import SEMANTICS

compiled = pytest.importorskip(
    "tideline_native_bson", reason="the compiled decoder is not built (make native)"
)

ID = {"name": "id", "type": "int64", "field": "_id"}
LIMITS = {
    "document_bytes": 1 << 20,
    "row_cells": 100,
    "batch_cells": 1_000,
    "row_text": 1_000,
    "batch_text": 10_000,
}


def dataset(*columns, **declared):
    return MongoDataset(
        name="t", source="s", database="d", collection="c", key=("id",), columns=[ID, *columns], **declared
    )


def assert_same(native, python):
    native.batch.validate(full=True)
    assert native.batch.equals(python.batch)
    assert native.rejects == python.rejects
    assert list(native.drift.items()) == list(python.drift.items())
    assert native.records == python.records


def test_it_has_the_semantics_of_this_code():
    assert compiled.SEMANTICS == SEMANTICS


def test_it_leaves_to_the_walker_what_is_refused_and_nothing_else():
    """Otherwise a batch would be decoded twice: right, but slow."""
    shop = Shop("left")
    raw = b"".join(shop.document() for _ in range(3_000))
    decoder = BsonDecoder(shop_dataset(), engine="native")
    decoded = decoder.decode(raw)
    assert decoded.rejects
    assert "_python" not in vars(decoder._documents)


def test_a_part_is_decoded_in_blocks_with_the_offsets_of_the_part():
    raw = b"".join(bson.encode({"_id": number, "x": "y" * 1_000}) for number in range(9_000))
    part = Part("s3://raw/part-00000.bson", 0, "")
    found = {
        engine: list(decode_bson(dataset(), part, io.BytesIO(raw), engine)) for engine in ("native", "python")
    }
    assert len(found["native"]) > 1
    for native, python in zip(found["native"], found["python"], strict=True):
        assert_same(native, python)


def test_bytes_after_the_last_whole_document_are_one_reject():
    raw = bson.encode({"_id": 1}) + bson.encode({"_id": 2})[:-3]
    native, python = (BsonDecoder(dataset(), engine=engine).decode(raw, 7) for engine in ("native", "python"))
    assert_same(native, python)
    assert [reject.reason for reject in native.rejects] == ["truncated"]


@pytest.mark.parametrize("length", range(1, 20))
def test_names_that_differ_in_one_letter_are_told_apart(length):
    """Names are compared by their first and last eight bytes; here each of their letters is another once."""
    name = "abcdefghijklmnopqrst"[:length]
    others = [name[:place] + "X" + name[place + 1 :] for place in range(length)]
    names = [name, *others, name[:-1] or "Y", f"{name}Z"]
    documents = [{"_id": number, each: number} for number, each in enumerate(names)]
    documents += [{"_id": 100, **dict.fromkeys(names, 1)}, {"_id": 101, **dict.fromkeys(reversed(names), 2)}]
    declared = dataset({"name": "x", "type": "int64", "field": name})
    raw = b"".join(map(bson.encode, documents))
    native, python = (BsonDecoder(declared, engine=engine).decode(raw) for engine in ("native", "python"))
    assert_same(native, python)
    assert native.batch.column("x").to_pylist() == [0, *[None] * (len(names) - 1), 1, 2]


def test_a_document_that_only_the_walker_accepts_sends_the_batch_to_python(monkeypatch):
    """JSON text is counted in bytes by the one, in characters by the other."""
    for user in ("rows", "bson_native"):
        monkeypatch.setattr(f"tideline.refine.{user}.MAX_ROW_TEXT", 100)
    declared = dataset({"name": "x", "type": "json"})
    raw = bson.encode({"_id": 1, "x": "é" * 90}) + bson.encode({"_id": 2, "x": "e" * 200, "new": 1})
    decoder = BsonDecoder(declared, engine="native")
    assert_same(decoder.decode(raw), BsonDecoder(declared).decode(raw))
    assert "_python" in vars(decoder._documents)


@pytest.mark.parametrize("asks_for", ["text", "cells"])
def test_a_batch_that_asks_for_too_much_is_split(monkeypatch, asks_for):
    monkeypatch.setattr("tideline.refine.bson_native.MAX_BATCH_TEXT", 1_000)
    monkeypatch.setattr("tideline.refine.bson_native.MAX_BATCH_CELLS", 100)
    declared = dataset({"name": "x", "type": "int64", "repeated": True})
    more = {"x": [1] * 30} if asks_for == "cells" else {"new": "y" * 300}
    raw = b"".join(bson.encode({"_id": number, **more}) for number in range(20))
    with pytest.raises(BatchTooLargeError):
        BsonDecoder(declared, engine="native").decode(raw)
    batches = list(decode_bson(declared, Part("p.bson", 0, ""), io.BytesIO(raw), "native"))
    assert [value for decoded in batches for value in decoded.batch.column("id").to_pylist()] == [*range(20)]
    assert max(decoded.batch.num_rows for decoded in batches) == 3


def test_text_that_explodes_stops_growing_at_the_limit(monkeypatch):
    """Two bytes of BSON ask for 14 of text."""
    for user in ("rows", "bson_native"):
        monkeypatch.setattr(f"tideline.refine.{user}.MAX_ROW_TEXT", 100_000)
    declared = dataset()
    items = b"\xff\0" * 100_000
    array = pack("<i", len(items) + 5) + items + b"\0"
    body = b"\x10_id\0" + pack("<i", 1) + b"\x04x\0" + array + b"\0"
    raw = pack("<i", len(body) + 4) + body + bson.encode({"_id": 2, "x": [MinKey()]})
    decoded = BsonDecoder(declared, engine="native").decode(raw)
    assert [(reject.column, reject.reason) for reject in decoded.rejects] == [("x", "too_large")]
    assert decoded.batch.column("_extra").to_pylist() == ['{"x":[{"$minKey":1}]}']


def test_drift_of_many_and_long_and_indexed_paths_is_counted_alike():
    declared = dataset(
        {
            "name": "items",
            "type": "record",
            "repeated": True,
            "columns": [{"name": "sku", "type": "string"}],
        }
    )
    documents = [
        {"_id": 1, "items": [{"by": 1}, {"by": "x"}, {"a[3].b": 1}], "x[1].y": 1, "x[2].y": 2, "z[a].b": 1},
        {"_id": 2, "é" * 400: 1, "é" * 400 + "f": 2.5, "[1][2].": 1},
        *({"_id": 3 + number, f"new{number}": number, "…": True} for number in range(1_200)),
        {"_id": 5_000, "items": [{"by": 1, "sku": "s"}]},
    ]
    raw = b"".join(map(bson.encode, documents))
    native, python = (BsonDecoder(declared, engine=engine).decode(raw) for engine in ("native", "python"))
    assert_same(native, python)
    assert native.drift["items[].by"] == (2, "int32")
    assert len(native.drift) == 1_000


def test_only_immutable_bytes_are_taken():
    decoder = compiled.Decoder([], evolve=True, **LIMITS)
    for other in (bytearray(5), memoryview(bytes(5))):
        with pytest.raises(TypeError):
            decoder.decode(other, 0)


def test_two_threads_do_not_share_a_decoder():
    decoder = compiled.Decoder([], evolve=True, **{**LIMITS, "row_text": 1 << 30, "batch_text": 1 << 30})
    raw = bson.encode({"_id": 1, "x": "y" * 500}) * 20_000
    outcomes = []

    def decode():
        try:
            outcomes.extend(decoder.decode(raw, 0)[2] for _ in range(20))
        except RuntimeError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=decode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {20_000, "Already borrowed", "Already mutably borrowed"}


@pytest.mark.parametrize("kind", ["decimal128", "decimal256", "nothing"])
def test_a_declaration_that_makes_no_sense_is_refused(kind):
    with pytest.raises(ValueError, match=kind):
        compiled.Decoder([("x", "x", kind, 80, 2, False, False, [])], evolve=True, **LIMITS)


class Broken:
    def __init__(self, outcome):
        self.outcome = outcome

    def cut(self, data):
        return [0, len(data)], False

    def decode(self, data, base_offset):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.mark.parametrize(
    ("outcome", "text"),
    [(RuntimeError("a panic"), "failed: a panic"), ((None, [], 7, []), "found 7 documents, not 1")],
)
def test_a_compiled_decoder_that_fails_says_what_to_do(outcome, text):
    decoder = BsonDecoder(dataset(), engine="native")
    decoder._documents._core = Broken(outcome)
    with pytest.raises(IntegrityError, match=text) as caught:
        decoder.decode(bson.encode({"_id": 1}))
    assert "set TIDELINE_DECODER to python" in str(caught.value)
    assert "s.t" in str(caught.value) or "dataset" in str(caught.value)
