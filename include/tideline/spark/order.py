"""What a Spark job is asked to do, as one argument of its command. Knows no Spark, no Airflow."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from pydantic import TypeAdapter

from tideline.catalog.model import AnyDataset
from tideline.errors import SettingsError
from tideline.lake.store import open_store

if TYPE_CHECKING:
    from datetime import timedelta

    from tideline import settings
    from tideline.lake.store import Store


@dataclass(frozen=True, slots=True)
class Stages:
    """The three stages of the lake, opened."""

    raw: Store
    processed: Store
    quarantine: Store


@dataclass(frozen=True, slots=True)
class Order:
    """One landing to be refined, with everything that decides how.

    It carries the declaration itself: a catalog baked into the job's image may be older than the DAG's.
    """

    dataset: AnyDataset
    raw_manifest_uri: str
    run_id: str
    raw_uri: str
    processed_uri: str
    quarantine_uri: str
    decoder: settings.Decoder = "auto"
    object_bytes: int | None = None

    def encode(self) -> str:
        """As one word of a command line."""
        text = json.dumps({**asdict(replace(self, dataset=_NOTHING)), "dataset": _declared(self.dataset)})
        return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()

    @classmethod
    def decode(cls, word: str) -> Order:
        """Undo `encode`.

        Raises:
            SettingsError: It is not one.
        """
        try:
            data = json.loads(zlib.decompress(base64.urlsafe_b64decode(word)))
            return cls(**{**data, "dataset": TypeAdapter(AnyDataset).validate_python(data["dataset"])})
        except (ValueError, TypeError, KeyError, zlib.error, binascii.Error) as error:
            raise SettingsError(
                f"this is not an order for Spark: {error}",
                remedy="run the same version of Tideline in Airflow and in Spark's image",
            ) from error

    def open(self) -> Stages:
        """The stages, with the credentials that this process has from its environment; once a process."""
        return _opened(self.raw_uri, self.processed_uri, self.quarantine_uri)


_NOTHING = cast("AnyDataset", None)


@cache
def _opened(*uris: str) -> Stages:
    return Stages(*map(open_store, uris))


def _declared(dataset: AnyDataset) -> dict[str, Any]:
    """The declaration as its model reads it again: what was not given stays so.

    Without descriptions: those of a wide table are more than a word of a command line may hold, 128 KiB.
    """
    given = dataset.model_dump(exclude_unset=True, exclude={"lookback", "description"})
    columns = [_undescribed(column) for column in given["columns"]]
    return {**given, "kind": dataset.kind, "lookback": _spelled(dataset.lookback), "columns": columns}


def _undescribed(column: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in column.items() if key != "description"}
    return {**kept, "columns": [_undescribed(child) for child in column.get("columns", ())]}


def _spelled(duration: timedelta) -> str:
    return f"{int(duration.total_seconds())}s"
