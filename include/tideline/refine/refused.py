"""Keys of refused records: a record that cannot be typed is still there, so its row did not vanish.

Only for datasets whose reads are whole. Reads keys as rows are read, with the decoder of the source's kind.
Does not know why a record was refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from tideline.lake.manifest import MOST_REFUSED_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tideline.catalog.model import AnyDataset, Dataset, HttpDataset
    from tideline.refine.contract import Decoded, Reject

D = TypeVar("D", bound="Dataset")


class RefusedKeys:
    """Gathers the keys of one attempt's rejects, as texts that SQL casts to the key's types.

    With more than `MOST_REFUSED_KEYS` nothing is known, as where one cannot be read.
    """

    def __init__(self, dataset: AnyDataset) -> None:
        self._dataset = dataset
        self._keys: list[list[str]] | None = [] if dataset.shows_absence else None
        self._decode: Callable[[bytes], Decoded] | None = None

    def add(self, rejects: Sequence[Reject]) -> None:
        """Take the keys of these; one that cannot be read makes all that is known nothing."""
        for reject in rejects:
            if self._keys is None:
                return
            key = self._key(reject.raw)
            self._keys = [*self._keys, key] if key and len(self._keys) < MOST_REFUSED_KEYS else None

    def details(self) -> dict[str, Any]:
        """What the processed manifest says of them; nothing where reads are not whole."""
        return {"refused_keys": self._keys} if self._dataset.shows_absence else {}

    def _key(self, raw: bytes) -> list[str] | None:
        self._decode = self._decode or key_decoder(self._dataset)
        batch = self._decode(raw).batch
        if batch.num_rows != 1:
            return None
        columns = (batch.column(name) for name in self._dataset.key)
        return [pc.cast(column, pa.string())[0].as_py() for column in columns]


def key_dataset(dataset: D, change_column: str | None = None) -> D:
    """The dataset with no columns but its key and, where one is given, the change column."""
    names = dict.fromkeys((*dataset.key, *([change_column] if change_column else ())))
    narrow = {
        "columns": tuple(dataset.column(name) for name in names),
        "change_column": change_column,
        "partition": None,
        "unknown_columns": "evolve",
    }
    return dataset.model_copy(update=narrow)


def body_key_decoder(dataset: HttpDataset) -> Callable[[bytes], Iterator[pa.RecordBatch]]:
    """A decoder of the keys of all items of a body; items whose key cannot be read are left out."""
    from io import BytesIO

    from tideline.lake.manifest import Part
    from tideline.refine.json import decode_json

    narrow = key_dataset(dataset)

    def decode(body: bytes) -> Iterator[pa.RecordBatch]:
        part = Part(f"the endpoint {dataset.path}", len(body), "")
        return (decoded.batch for decoded in decode_json(narrow, part, BytesIO(body)))

    return decode


def key_decoder(dataset: AnyDataset) -> Callable[[bytes], Decoded]:
    """A decoder of one record's key, whatever else is in the record."""
    narrow = key_dataset(dataset)
    if narrow.kind == "mongodb":
        from tideline.refine.bson import BsonDecoder

        return BsonDecoder(narrow).decode
    from tideline.refine.json import JsonDecoder
    from tideline.refine.json_text import NotJsonError, items_of

    decoder = JsonDecoder(narrow)  # type: ignore[arg-type]

    def decode(raw: bytes) -> Decoded:
        text = f"[{raw.decode('utf-8', 'surrogateescape')}]"
        try:
            return decoder.decode(text, list(items_of(text, ())), 0)
        except NotJsonError:
            return decoder.decode("", [], 0)

    return decode
