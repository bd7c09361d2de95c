"""What must be true after EVERY fault, of one dataset of one deployment. The only place where that is spelled.

How to use it:

    truth = Truth({1: {"id": 1, "note": "new"}}, injected=0)     # newest row per key, as the source has it
    before = look(deployment, "mongo.things")
    ...                                                          # the fault; the task dies or fails
    check_unsettled(faults, before, look(deployment, "mongo.things"), truth)
    ...                                                          # what Airflow would do: run the task again
    after = look(deployment, "mongo.things")
    check_settled(faults, before, after, truth)
    ...                                                          # the same windows again
    check_unmoved(faults, after, look(deployment, "mongo.things"))

| invariant | where |
|---|---|
| lost 0: a row that was there is there, a committed window's rows are all there | unsettled, settled |
| duplicate keys 0 | all |
| regressed 0: no row is older than it was, none older than the source's newest once settled | all |
| raw, processed and quarantined objects are byte-identical; every committed folder is whole | all |
| high-water mark never falls, and never passes data that has not been read | all |
| quarantined = injected, and refined = the sum of what became of the rows, in every load | settled |
| a re-run changes nothing | unmoved |

Knows tables, manifests and the ledger, through the product's own readers only where those are not what is
being tested: rows and objects are read with plain queries and listings.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tideline.warehouse import names
from tideline.warehouse.names import raw_table
from tideline.window import Window, high_water_mark

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from tally import Tally

    from tideline.pipeline import Deployment

Key = Any
OUTCOMES = ("inserted", "updated", "unchanged", "revived", "stale", "duplicates")
_SEEN = frozenset({"_window_id", "_extracted_at", "_raw_uri", "_raw_position", "_superseded_at"})
"""What moves on when a row is read again as it was; a whole read of a snapshot also moves the floor."""


@dataclass(frozen=True)
class Truth:
    """What the source says: the newest row of each key by the catalog's column names.

    `stamps`: when each key's row last changed, where windows select by that: what lies below the high-water
    mark must be in the warehouse. `injected`: how many bad records the source holds, beside the rows.
    """

    rows: Mapping[Key, Mapping[str, Any]]
    stamps: Mapping[Key, datetime] = field(default_factory=dict)
    injected: int = 0


@dataclass(frozen=True)
class Sight:
    """Everything that can be seen of one dataset at one moment."""

    dataset_id: str
    rows: tuple[dict[str, Any], ...]
    key: tuple[str, ...]
    change_column: str | None
    objects: Mapping[str, str]
    """URI → the server's hash of the content, of all three stages."""
    loads: tuple[dict[str, Any], ...]
    """Rows of the ledger."""
    broken: tuple[str, ...]
    """What is wrong with committed folders."""
    quarantined: int
    """Distinct bad records in the quarantine folders of committed loads."""
    evidence: int
    """The same in all committed quarantine folders, whether the ledger still knows their loads or not."""

    @property
    def live(self) -> dict[Key, dict[str, Any]]:
        """Key → row, tombstones left out."""
        return {self.key_of(row): row for row in self.rows if row["_deleted_at"] is None}

    @property
    def mark(self) -> datetime | None:
        """The high-water mark, from the windows that the ledger has."""
        chain = (row for row in self.loads if row["mode"] in ("scheduled", "exact"))
        return high_water_mark(Window(row["window_start"], row["window_end"]) for row in chain)

    def key_of(self, row: Mapping[str, Any]) -> Key:
        """A row's key; the value itself where it is one column."""
        values = tuple(row[name] for name in self.key)
        return values[0] if len(values) == 1 else values


def look(deployment: Deployment, dataset_id: str) -> Sight:
    """See all that there is of a dataset; tables that were never made are empty."""
    dataset = deployment.catalog.dataset(dataset_id)
    warehouse = deployment.open_warehouse()
    ledger = names.ops_table(names.LEDGER, warehouse.settings)
    table = raw_table(dataset, warehouse.settings)
    objects, broken, quarantined = _lake(deployment, dataset.source, dataset.name)
    loads = tuple(
        load for load in _rows(warehouse, ledger)
        if (load["source"], load["dataset"]) == (dataset.source, dataset.name)
    )  # fmt: skip
    committed = {load["quarantine_manifest_uri"] for load in loads}
    return Sight(
        dataset_id=dataset_id,
        rows=_rows(warehouse, table),
        key=dataset.key,
        change_column=dataset.change_column,
        objects=objects,
        loads=loads,
        broken=broken,
        quarantined=len({bad for uri in committed for bad in quarantined.get(uri, ())}),
        evidence=len({bad for found in quarantined.values() for bad in found}),
    )


def check_unsettled(
    tally: Tally, before: Sight, after: Sight, truth: Truth, seen: Truth | None = None
) -> None:
    """Right after the fault, before anything has been done about it.

    `seen` is the truth of the last time that all was settled: what changed since then below the mark that there
    was is late, and the windows that passed it need not have it.
    """
    lost = [key for key in before.live if key in truth.rows and key not in after.live]
    late = set() if seen is None else _late(before.mark, truth, seen)
    unread = set(_below(after.mark, truth)) - late
    lost += [key for key in unread if not _holds(after, key, truth.rows[key])]
    _judge(tally, after, lost=lost, regressed=_older(before, after))
    _check_lake(before, after)
    _check_mark(before, after)


def check_settled(
    tally: Tally, before: Sight, after: Sight, truth: Truth, *, whole_ledger: bool = True
) -> None:
    """After the tasks ran to their ends: the warehouse is the source.

    Without a `whole_ledger` (it was the fault to lose it) the evidence counts that its loads left behind.
    """
    live = after.live
    lost = [key for key in truth.rows if key not in live]
    differing = [key for key, row in truth.rows.items() if key in live and not _holds(after, key, row)]
    _judge(tally, after, lost=lost, regressed=[*_older(before, after), *differing])
    extra = sorted(set(live) - set(truth.rows), key=repr)
    assert not extra, f"{after.dataset_id}: rows that the source does not have: {extra[:10]}"
    _check_lake(before, after)
    _check_mark(before, after)
    _check_loads(after)
    found = after.quarantined if whole_ledger else after.evidence
    tally.quarantined(found=found, injected=truth.injected)


def check_unmoved(tally: Tally, before: Sight, after: Sight) -> None:
    """After the same windows ran again: nothing but "last seen" is different."""
    was, now = ({s.key_of(r): _content(r) for r in s.rows} for s in (before, after))
    changed = [key for key in was.keys() | now.keys() if was.get(key) != now.get(key)]
    _judge(tally, after, lost=[key for key in was if key not in now], regressed=_older(before, after))
    assert not changed, f"{after.dataset_id}: a re-run changed {changed[:10]}"
    _check_lake(before, after)
    _check_mark(before, after)
    _check_loads(after)


def version(row: Mapping[str, Any], change_column: str | None) -> tuple[Any, ...]:
    """What orders two versions of a row, spelled here once more: stamp (never later than read), read, place."""
    seen = row["_extracted_at"]
    stamp = row[change_column] if change_column else seen
    at = min(stamp, seen).timestamp() if stamp and seen else float("-inf")
    return at, seen.timestamp() if seen else float("-inf"), row["_raw_uri"] or "", row["_raw_position"] or 0


def _rows(warehouse: Any, name: names.TableName) -> tuple[dict[str, Any], ...]:
    """By listing the table: a query costs the emulator four times as much, and there are thousands of looks."""
    table = warehouse.tables.get(name)
    found = () if table is None else warehouse.client.list_rows(table)
    return tuple(dict(row.items()) for row in found)


def _lake(
    deployment: Deployment, source: str, dataset: str
) -> tuple[dict[str, str], tuple[str, ...], dict[str, set[Any]]]:
    """Hashes of all objects, what is wrong with committed folders, and the bad records of each evidence."""
    hashes: dict[str, str] = {}
    broken: list[str] = []
    evidence: dict[str, set[Any]] = {}
    for stage in ("raw", "processed", "quarantine"):
        store = getattr(deployment, stage)
        bodies = _bodies(store, f"{source}/{dataset}/")
        hashes |= {uri: hashlib.sha256(body).hexdigest() for uri, body in bodies.items()}
        for uri, body in bodies.items():
            if not uri.endswith("/_manifest.json"):
                continue
            parts = json.loads(body)["parts"]
            wrong = [
                p["uri"]
                for p in parts
                if (hashes.get(p["uri"]), _size(bodies, p)) != (p["sha256"], p["bytes"])
            ]
            broken += [f"{uri} names {part}, which is not what it says" for part in wrong]
            if stage == "quarantine" and not wrong:
                evidence[uri] = _refused(bodies[p["uri"]] for p in parts)
    return hashes, tuple(broken), evidence


_read: dict[tuple[str, str], bytes] = {}
"""(URI, the server's tag) → content: what did not change is not read again."""


def _bodies(store: Any, prefix: str) -> dict[str, bytes]:
    """URI → content of every object. On S3 the listing's ETags say what has to be read."""
    client = getattr(store, "_client", None)
    if not hasattr(client, "list_objects_v2"):
        return {store.uri_of(key): store.read(key) for key in store.list(prefix)}
    bucket, _, root = store.root.removeprefix("s3://").partition("/")
    found = {}
    for page in client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=f"{root}/{prefix}".lstrip("/")
    ):
        for entry in page.get("Contents", ()):
            uri, tag = f"s3://{bucket}/{entry['Key']}", f"{entry['ETag']} {entry['Size']}"
            if (uri, tag) not in _read:
                _read[uri, tag] = client.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            found[uri] = _read[uri, tag]
    return found


def _size(bodies: dict[str, bytes], part: dict[str, Any]) -> int:
    return len(bodies.get(part["uri"], b""))


def _refused(parts: Iterable[bytes]) -> set[Any]:
    """What was refused, by its bytes: the same record refused in two runs is one bad record."""
    import io

    import pyarrow.parquet as pq

    found: set[Any] = set()
    for body in parts:
        table = pq.read_table(io.BytesIO(body), columns=["raw", "reason"]).to_pylist()
        found |= {(row["raw"], row["reason"]) for row in table}
    return found


def _judge(tally: Tally, after: Sight, *, lost: list[Key], regressed: list[Key]) -> None:
    counted = Counter(after.key_of(row) for row in after.rows)
    doubles = [key for key, n in counted.items() if n > 1]
    tally.violated(lost=len(set(lost)), duplicated=len(doubles), regressed=len(set(regressed)))
    assert not lost, f"{after.dataset_id}: lost {lost[:10]}"
    assert not doubles, f"{after.dataset_id}: more than one row of {doubles[:10]}"
    assert not regressed, f"{after.dataset_id}: older than before, or than the source: {regressed[:10]}"


def _older(before: Sight, after: Sight) -> list[Key]:
    now = {after.key_of(row): row for row in after.rows}
    was = {before.key_of(row): row for row in before.rows}
    stamp = after.change_column
    return [key for key in was.keys() & now.keys() if version(now[key], stamp) < version(was[key], stamp)]


def _below(mark: datetime | None, truth: Truth) -> list[Key]:
    return [] if mark is None else [key for key, stamp in truth.stamps.items() if stamp < mark]


def _late(mark: datetime | None, truth: Truth, seen: Truth) -> set[Key]:
    return {key for key in _below(mark, truth) if truth.rows[key] != seen.rows.get(key)}


def _holds(sight: Sight, key: Key, row: Mapping[str, Any]) -> bool:
    found = sight.live.get(key)
    return found is not None and all(found.get(name) == value for name, value in row.items())


def _content(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _SEEN}


def _check_lake(before: Sight, after: Sight) -> None:
    changed = [uri for uri, digest in before.objects.items() if after.objects.get(uri) != digest]
    assert not changed, f"objects of the lake were changed or removed: {changed[:5]}"
    assert not after.broken, after.broken[:5]


def _check_mark(before: Sight, after: Sight) -> None:
    if before.mark is not None:
        assert after.mark is not None, "the high-water mark is gone"
        assert after.mark >= before.mark, f"the high-water mark fell from {before.mark} to {after.mark}"


def _check_loads(sight: Sight) -> None:
    ids = Counter(load["load_id"] for load in sight.loads)
    assert max(ids.values(), default=1) == 1, f"loads that are in the ledger twice: {ids.most_common(3)}"
    for load in sight.loads:
        if load["mode"] not in ("scheduled", "exact", "replay"):
            continue
        assert load["landed"] == load["refined"] + load["quarantined"], load
        assert load["refined"] == sum(load[name] for name in OUTCOMES), load
