"""Input that asks for far more memory than it is worth, decoded in a process of its own that is measured.

`python tests/support/hostile.py NAME ENGINE` writes JSON: rows, rejects by reason, and by how many bytes the
process grew at most.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from struct import pack

from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.lake.manifest import Part
from tideline.refine.bson import decode_bson
from tideline.refine.csv import decode_csv
from tideline.refine.json import decode_json

ID = {"name": "id", "type": "int64", "field": "_id"}
WIDE = {
    "name": "wide",
    "type": "record",
    "repeated": True,
    "columns": [{"name": f"c{number}", "type": "int64"} for number in range(100)],
}
TEXT = {"name": "text", "type": "string"}


class Pieces:
    """A stream over what a generator makes."""

    def __init__(self, pieces):
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size):
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._rest = piece
        head, self._rest = self._rest[:size], self._rest[size:]
        return head


def document(number, *elements):
    body = b"\x10_id\0" + pack("<i", number) + b"".join(elements)
    return pack("<i", len(body) + 5) + body + b"\0"


def array(name, items):
    return b"\4" + name + b"\0" + pack("<i", len(items) + 5) + items + b"\0"


def exploding_documents():
    """16 MB of empty documents in an array of a hundred columns: two million rows of these."""
    yield document(1)
    yield document(2, array(b"wide", b"\3\0\5\0\0\0\0" * (16_700_000 // 7)))
    yield document(3)


def exploding_texts():
    """16 MB of values of two bytes that are fourteen each as JSON."""
    yield document(1)
    yield document(2, array(b"new", b"\xff\0" * (16_700_000 // 2)))
    yield document(3)


def strings_beyond_two_gigabytes():
    """More bytes of one column than 32-bit offsets reach, a megabyte in each document."""
    text = b"x" * (1 << 20)
    element = b"\2text\0" + pack("<i", len(text) + 1) + text + b"\0"
    return (document(number, element) for number in range(2_100))


def field_of_a_gigabyte():
    yield b'_id,text\n1,a\n2,"'
    yield from [b"x" * (1 << 20)] * 1_024
    yield b'"\n3,c\n'


def header_of_many_columns():
    """Ten thousand undeclared columns, and three rows."""
    names = b",".join(b"column %d" % number for number in range(10_000))
    yield b"_id,text," + names + b"\n"
    yield from (b"%d,a" % number + b",x" * 10_000 + b"\n" for number in range(3))


def exploding_items():
    """Items of 30 KB, each with 9,999 empty objects in an array of a hundred columns."""
    wide = b",".join([b"{}"] * 9_999)
    yield b"[" + b",".join(b'{"_id":%d,"wide":[%s]}' % (number, wide) for number in range(20)) + b"]"


def body_with_one_emoji():
    """26 MB, of which each character takes four bytes in memory for the sake of the last."""
    yield b'[{"_id":1}'
    yield from [b',{"_id":2,"text":"%s"}' % (b"x" * 979)] * 26_000
    yield b',{"_id":3,"text":"\xf0\x9f\x98\x80"}]'


DOCUMENTS = {
    "exploding documents": exploding_documents,
    "exploding texts": exploding_texts,
    "strings beyond two gigabytes": strings_beyond_two_gigabytes,
}
BODIES = {"body with one emoji": body_with_one_emoji, "exploding items": exploding_items}
OBJECTS = {
    "field of a gigabyte": field_of_a_gigabyte,
    "header of many columns": header_of_many_columns,
}


def peak_bytes():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def batches(name, engine):
    names = {"name": "t", "source": "s", "key": ("id",)}
    if name in DOCUMENTS:
        declared = MongoDataset(**names, database="d", collection="c", columns=[ID, WIDE, TEXT])
        return decode_bson(declared, Part("s3://raw/p.bson", 0, ""), Pieces(DOCUMENTS[name]()), engine)
    if name in BODIES:
        declared = HttpDataset(**names, path="/t", columns=[ID, WIDE, TEXT])
        return decode_json(declared, Part("s3://raw/p.json", 0, ""), Pieces(BODIES[name]()))
    declared = CsvDataset(**names, bucket="bucket", prefix="p/", columns=[ID, TEXT])
    part = Part("s3://raw/p.csv", 0, "", None, {"key": "p/p.csv"})
    return decode_csv(declared, part, Pieces(OBJECTS[name]()))


def main():
    name, engine = sys.argv[1:]
    list(batches_of_one(engine))  # so that imports and first use do not count
    before, rows, reasons = peak_bytes(), 0, Counter()
    for decoded in batches(name, engine):
        rows += decoded.batch.num_rows
        reasons.update(reject.reason for reject in decoded.rejects)
    sys.stdout.write(json.dumps({"rows": rows, "reasons": reasons, "grew": peak_bytes() - before}))


def batches_of_one(engine):
    DOCUMENTS["one"] = lambda: iter([document(1)])
    yield from batches("one", engine)


if __name__ == "__main__":
    main()
