"""The ranges of a load put together again: one manifest that names all their parts and has their sums.

Writes no data: the parts stay where they are. The name of such a folder follows from the attempts in it, so
that putting the same ranges together twice gives the same manifest. Pure but for `commit`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tideline.lake import manifest as manifests
from tideline.lake.ranges import in_order
from tideline.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tideline.lake.manifest import Manifest
    from tideline.lake.store import Store

Details = dict[str, Any]

_SUMS = (
    "listed", "selected", "landed_before", "ignored", "vanished", "replaced",
    "landed", "refined", "quarantined", "raw_bytes", "bytes", "seconds",
)  # fmt: skip


def commit_whole(
    store: Store, ranges: Sequence[tuple[Manifest, str]], **details: object
) -> tuple[Manifest, str]:
    """Commit the manifest of a load whose ranges are all there, and return it with its URI.

    Args:
        store: The stage that the ranges are in.
        ranges: Their manifests, each with its URI, in any order.
        details: Replace those that follow from the ranges.

    Raises:
        IntegrityError: They are not all ranges of one load.
    """
    ordered = in_order(manifest for manifest, _ in ranges)
    return _commit(store, ordered, ranges, attempt_id_of(ordered), details)


def commit_evidence(
    store: Store, refused: Sequence[tuple[Manifest, str]], processed: Sequence[Manifest]
) -> tuple[Manifest, str]:
    """The same for what was refused, which only some of the ranges have; under the processed whole's name."""
    names = [manifest.attempt_id for manifest in in_order(processed)]
    ordered = sorted((manifest for manifest, _ in refused), key=lambda m: names.index(m.attempt_id))
    return _commit(store, ordered, refused, attempt_id_of(processed), {})


def _commit(
    store: Store,
    ordered: Sequence[Manifest],
    ranges: Sequence[tuple[Manifest, str]],
    attempt_id: str,
    details: Details,
) -> tuple[Manifest, str]:
    uris = {manifest.attempt_id: uri for manifest, uri in ranges}
    records = [manifest.records for manifest in ordered]
    whole = replace(
        ordered[0],
        attempt_id=attempt_id,
        extracted_at=min(manifest.extracted_at for manifest in ordered),
        parts=tuple(part for manifest in ordered for part in manifest.parts),
        records=None if None in records else sum(number or 0 for number in records),
        unchanged=all(manifest.unchanged for manifest in ordered),
        details={**_joined(ordered), "ranges": [uris[m.attempt_id] for m in ordered], **details},
    )
    return whole, manifests.commit(store, whole)


def attempt_id_of(ranges: Sequence[Manifest]) -> str:
    """The name of the folder of these ranges together: after the newest of them in every listing."""
    ids = [manifest.attempt_id for manifest in ranges]
    digest = hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:12]
    return f"{max(ids)}-whole-{digest}"


def _joined(ranges: Sequence[Manifest]) -> Details:
    """The details of one landing, or one refining, that did it all."""
    each = [manifest.details for manifest in ranges]
    first = {key: value for key, value in each[0].items() if key != "range"}
    sums = {key: sum(details.get(key) or 0 for details in each) for key in _SUMS if key in first}
    joined = {**first, **sums}
    for key, join in _JOINS.items():
        if key in first:
            joined[key] = join([details.get(key) for details in each])
    return joined


def _cursor(each: Sequence[Details | None]) -> Details | None:
    known = [cursor for cursor in each if cursor]
    if not known:
        return None
    lows, highs = ([c[key] for c in known if c.get(key) is not None] for key in ("min", "max"))
    sums = {key: sum(cursor.get(key) or 0 for cursor in known) for key in ("null", "future")}
    low = min(lows, key=parse_instant, default=None)
    return {**known[0], "min": low, "max": max(highs, key=parse_instant, default=None), **sums}


def _drift(each: Sequence[Details | None]) -> Details:
    """No more paths than one attempt would count: the ledger's row has them all."""
    joined: Details = {}
    most = manifests.MOST_DRIFT_PATHS
    for drift in each:
        for path, found in (drift or {}).items():
            if path in joined or len(joined) < most:
                named, first = path, found
            else:
                named = manifests.OTHER_PATHS
                first = {**found, "example": f"more than {most} paths", "kind": "new_field"}
            known = joined.get(named, {**first, "count": 0})
            joined[named] = {**known, "count": known["count"] + found["count"]}
    return joined


def _partitions(each: Sequence[list[str | None] | None]) -> list[str | None] | None:
    """The union; None, not known, where one is not known or they are too many."""
    union: set[str | None] = set()
    for starts in each:
        if starts is None:
            return None
        union.update(starts)
    known = sorted(start for start in union if start is not None)
    return None if len(union) > manifests.MOST_PARTITIONS else [*known, *([None] if None in union else [])]


def _source(each: Sequence[Details | None]) -> Details:
    """What the source counted; together only where every range has a count of the same kind."""
    known = [found or {"kind": "none"} for found in each]
    kinds = {found["kind"] for found in known}
    if len(kinds) > 1:
        return {"kind": "none", "count": None}
    counts = [found.get("count") for found in known]
    sums = {key: sum(found[key] for found in known) for key in ("objects", "bytes") if key in known[0]}
    return {"kind": kinds.pop(), "count": None if None in counts else sum(counts), **sums}


def _refused_keys(each: Sequence[list[list[str]] | None]) -> list[list[str]] | None:
    """All of them; None, not known, where one is not known or they are too many for a statement."""
    known = [keys for keys in each if keys is not None]
    joined = [key for keys in known for key in keys]
    return joined if len(known) == len(each) and len(joined) <= manifests.MOST_REFUSED_KEYS else None


def _reasons(each: Sequence[dict[str, int] | None]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for reasons in each:
        total.update(reasons or {})
    return dict(total.most_common())


def _empty_columns(each: Sequence[list[str] | None]) -> list[str]:
    """Those without a value in any range."""
    first, *others = (names or [] for names in each)
    return [name for name in first if all(name in names for names in others)]


_JOINS: dict[str, Callable[[list[Any]], Any]] = {
    "cursor": _cursor,
    "drift": _drift,
    "partitions": _partitions,
    "source": _source,
    "reasons": _reasons,
    "refused_keys": _refused_keys,
    "empty_columns": _empty_columns,
}
"""How what each range says of itself becomes what the load says; other details are those of the first."""
