"""Random documents from a seed, most of them right, and ways to damage them."""

import datetime as dt
import math
import random
from struct import pack

import bson
from bson import Binary, Code, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp

from tideline.catalog.model import MongoDataset

COLUMNS = [
    {"name": "id", "type": "string", "field": "_id"},
    {"name": "whole", "type": "int64", "integral_doubles": True},
    {"name": "number", "type": "int64"},
    {"name": "text", "type": "string"},
    {"name": "at", "type": "timestamp"},
    {"name": "day", "type": "date"},
    {"name": "real", "type": "float64"},
    {"name": "flag", "type": "bool"},
    {"name": "money", "type": "numeric"},
    {"name": "price", "type": "numeric(18, 2)"},
    {"name": "big", "type": "bignumeric"},
    {"name": "raw", "type": "bytes"},
    {"name": "any", "type": "json"},
    {
        "name": "address",
        "type": "record",
        "columns": [
            {"name": "street", "type": "string"},
            {"name": "city", "type": "string", "nullable": False},
            {
                "name": "geo",
                "type": "record",
                "columns": [{"name": "lat", "type": "float64"}, {"name": "lon", "type": "float64"}],
            },
            {"name": "marks", "type": "int64", "repeated": True},
        ],
    },
    {
        "name": "items",
        "type": "record",
        "repeated": True,
        "columns": [
            {"name": "sku", "type": "string"},
            {"name": "price", "type": "numeric(9, 4)"},
            {
                "name": "parts",
                "type": "record",
                "repeated": True,
                "columns": [
                    {"name": "x", "type": "string", "nullable": False},
                    {"name": "d", "type": "date"},
                ],
            },
        ],
    },
    {"name": "tags", "type": "string", "repeated": True},
    {"name": "anys", "type": "json", "repeated": True},
    {"name": "dotted", "type": "int64", "field": "a.b"},
]


def dataset(**declared):
    return MongoDataset(
        name="t", source="s", database="d", collection="c", key=("id",), columns=COLUMNS, **declared
    )


class Shop:
    """Random documents of `COLUMNS`, most of them right, from a seed."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        return self.random.choice(
            ["", "a", 'é"\\\n\x01', "日本", "x" * 300, "\U0001f600", "\x7f\u2028", "n\0ul"]
        )

    def decimal(self):
        digits = str(self.random.randrange(10 ** self.random.randrange(1, 35)))
        return Decimal128(
            f"{self.random.choice('+-')}{digits}E{self.random.choice([-2, -1, 0, 3, -9, -12, 30, -6000])}"
        )

    def integer(self):
        power = self.random.randrange(64)
        number = self.random.randrange(-(2**power), 2**power)
        return number if abs(number) < 2**31 and self.random.random() < 0.5 else Int64(number)

    def instant(self):
        return dt.datetime(1, 1, 1, tzinfo=dt.UTC) + dt.timedelta(
            milliseconds=self.random.randrange(315537897600000)
        )

    def day(self):
        return dt.datetime(1, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=self.random.randrange(3652059))

    def anything(self, depth=0):
        pick = self.random.choice
        scalars = [
            lambda: None,
            lambda: pick([0.0, -0.0, 1.5, 1e16, math.nan, math.inf, 5e-324, 3.0]),
            self.text,
            lambda: self.random.randbytes(self.random.randrange(9)),
            lambda: Binary(b"12345678", pick([2, 3, 5, 128])),
            lambda: ObjectId(self.random.randbytes(12)),
            lambda: pick([True, False]),
            self.instant,
            lambda: Regex(self.text().replace("\0", ""), "im"),
            lambda: Code(self.text()),
            self.integer,
            lambda: Timestamp(self.random.randrange(2**32), self.random.randrange(2**32)),
            self.decimal,
            lambda: pick([MinKey(), MaxKey(), Decimal128("NaN"), Decimal128("Infinity")]),
        ]
        nested = [
            lambda: {
                pick(["a", "b", "c.d", "é", "$x", ""]) + str(index): self.anything(depth + 1)
                for index in range(self.random.randrange(4))
            },
            lambda: [self.anything(depth + 1) for _ in range(self.random.randrange(4))],
            lambda: Code(self.text(), {"k": self.anything(depth + 1)}),
        ]
        return pick(scalars + nested * (depth < 3))()

    def members(self):
        pick, chance = self.random.choice, self.random.random
        return {
            "_id": lambda: pick([ObjectId(self.random.randbytes(12)), self.text()]),
            "whole": lambda: pick([1, Int64(2**62), 3.0, -0.0, None]),
            "number": self.integer,
            "text": self.text,
            "at": self.instant,
            "day": self.day,
            "real": lambda: pick([1.5, 2, Int64(2**53), Int64(2**62), -math.inf]),
            "flag": lambda: chance() < 0.5,
            "money": lambda: pick(
                [Decimal128("1.25"), 5, Int64(-(2**63)), Decimal128("-0.10"), Decimal128("1E+25")]
            ),
            "price": lambda: pick(
                [Decimal128("1.25"), Decimal128("-9999999999999999.99"), Decimal128("1.500")]
            ),
            "big": lambda: pick([1, Decimal128("1.5"), Decimal128("-1E-38"), Decimal128("1E+37")]),
            "raw": lambda: pick([b"", b"abc", Binary(b"xyz", 2)]),
            "any": self.anything,
            "address": lambda: pick(
                [
                    None,
                    {"city": self.text(), "geo": {"lat": 1.0, "lon": 2}},
                    {"street": "s", "city": "c", "marks": [1, Int64(2)], "geo": None},
                    {"city": "x", **({"zone": 1} if chance() < 0.2 else {})},
                ]
            ),
            "items": lambda: [self.item() for _ in range(self.random.randrange(3))],
            "tags": lambda: [self.text() for _ in range(self.random.randrange(3))],
            "anys": lambda: [self.anything() or 1 for _ in range(self.random.randrange(3))],
            "a.b": lambda: 1,
        }

    def item(self):
        chance = self.random.random
        return {
            "sku": self.text(),
            "price": Decimal128("1.5"),
            **({"parts": [{"x": self.text()}] * self.random.randrange(3)} if chance() < 0.5 else {}),
            **({"by": 7} if chance() < 0.03 else {}),
        }

    def document(self, *, clean=False):
        members = self.members()
        keys = [key for key in members if key == "_id" or self.random.random() < 0.8]
        if self.random.random() < 0.1:
            self.random.shuffle(keys)
        wrong = 0 if clean else 0.03
        found = {key: self.anything() if self.random.random() < wrong else members[key]() for key in keys}
        for _ in range(self.random.choice([0] * 8 + [1, 2])):
            found[self.random.choice(["new", "newer", f"new{self.random.randrange(99)}"])] = self.anything()
        return bson.encode(found)

    def damage(self, raw, donors):
        raw = bytearray(raw)
        for _ in range(self.random.randrange(1, 4)):
            if len(raw) > 5:
                place = self.random.randrange(4, len(raw))
                self.random.choice(DAMAGES)(self.random, raw, place, donors)
        raw += bytes(max(0, 5 - len(raw)))
        if self.random.random() < 0.8:
            raw[-1] = 0
        raw[:4] = pack("<i", len(raw))
        return bytes(raw)


def flip(rng, raw, place, _):
    raw[place] ^= 1 << rng.randrange(8)


def retype(rng, raw, place, _):
    raw[place] = rng.choice([*range(20), 127, 255])


def resize(rng, raw, place, _):
    raw[place : place + 4] = pack("<i", rng.choice([0, 1, -1, 2**31 - 1, -(2**31), 4, 5, len(raw) - place]))


def remove(rng, raw, place, _):
    del raw[place : place + rng.randrange(1, 12)]


def insert(rng, raw, place, _):
    raw[place:place] = rng.randbytes(rng.randrange(1, 9))


def graft(rng, raw, place, donors):
    donor = rng.choice(donors)
    raw[place:] = donor[rng.randrange(4, len(donor)) :]


def rename(rng, raw, place, _):
    raw[place] = rng.choice(b"abdixyz._")


DAMAGES = [flip, retype, resize, remove, insert, graft, rename]


WHOLE = bson.encode(
    {
        "_id": ObjectId(b"0123456789ab"),
        "whole": 3.0,
        "number": Int64(5),
        "text": "é",
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC),
        "day": dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
        "real": 1.5,
        "flag": True,
        "money": Decimal128("1.5"),
        "price": 7,
        "big": Decimal128("1.5"),
        "raw": b"abc",
        "any": {
            "list": [
                None,
                Regex("a", "i"),
                Code("f"),
                Code("g", {"x": 1}),
                Timestamp(1, 2),
                MinKey(),
                MaxKey(),
            ],
            "old": Binary(b"xyz", 2),
        },
        "address": {"city": "c", "geo": {"lat": 1.0, "lon": 2.0}, "marks": [1, 2]},
        "items": [{"sku": "s", "price": 1, "parts": [{"x": "y", "d": None}]}],
        "tags": ["a", "b"],
        "anys": [1, "x"],
        "new": {"deep": [1, {"k": "v"}]},
    }
)
