import contextlib
import gc
import io

import pyarrow as pa
import pytest
import zstandard

from tideline.catalog.model import HttpDataset
from tideline.errors import IntegrityError
from tideline.lake.manifest import Part
from tideline.refine.streams import PartReader

DATASET = HttpDataset(
    name="posts", source="api", path="/", key=("id",), columns=[{"name": "id", "type": "int64"}]
)
CONTENT = bytes(range(256)) * 1000


def read_all(uri, stored, size=1000):
    reader = PartReader(DATASET, Part(uri, len(stored), ""), io.BytesIO(stored))
    pieces = list(iter(lambda: reader.read(size), b""))
    assert all(len(piece) <= size for piece in pieces)
    return b"".join(pieces)


@pytest.mark.parametrize("name", ["part.bson", "part.json", "part.zst.json"])
def test_other_names_are_read_as_they_are(name):
    assert read_all(name, CONTENT) == CONTENT


@pytest.mark.parametrize("name", ["part.bson.zst", "part.json.zst"])
def test_zst_is_decompressed_piece_by_piece(name):
    assert read_all(name, zstandard.compress(CONTENT)) == CONTENT


def test_a_small_part_that_inflates_to_much_is_read_in_bounded_pieces():
    assert len(read_all("part.bson.zst", zstandard.compress(bytes(50_000_000)), size=1 << 20)) == 50_000_000


@pytest.mark.parametrize("stored", [zstandard.compress(CONTENT)[:-3], b"not zstd at all", CONTENT])
def test_damage_names_the_part_and_the_remedy(stored):
    with pytest.raises(IntegrityError, match=r"api\.posts.*part\.bson\.zst.*land the window again"):
        read_all("part.bson.zst", stored)


@pytest.mark.parametrize(
    "stored", [zstandard.compress(CONTENT), b"not zstd at all"], ids=["whole", "damaged"]
)
def test_buffers_of_a_part_go_with_its_reader(stored):
    """A reader that Arrow's stream knew would be freed by nobody: a megabyte for each part."""
    gc.collect()
    before = pa.total_allocated_bytes()
    for _ in range(3):
        with contextlib.suppress(IntegrityError):
            read_all("part.bson.zst", stored)
    gc.collect()
    assert pa.total_allocated_bytes() == before
