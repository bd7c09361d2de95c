"""A collection with keys and stamps against its table: what is gone or differs, and what is done about it."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tideline.land.mongo_majority import check_majority
from tideline.merge.cap import Deletions, check_cap
from tideline.reconcile.compare import RELANDED, VERDICT, VERDICTS, compared
from tideline.reconcile.evidence import EventFile, begin, land_documents
from tideline.reconcile.mongo_keys import AT_ONCE, SOURCE, KeyReader
from tideline.reconcile.refused import Screen
from tideline.reconcile.work import merged_counts
from tideline.summaries import landed_summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tideline.catalog.model import AnyDataset, MongoDataset
    from tideline.pipeline import Summary
    from tideline.reconcile.compare import Comparison
    from tideline.reconcile.mongo_keys import Key
    from tideline.reconcile.work import Reconciliation


def reconcile_keyed(work: Reconciliation, dataset: MongoDataset) -> Summary:
    """Compare keys and stamps, delete what is gone, land again what differs.

    Raises:
        ContractError: More is gone than may be deleted at once; nothing was written.
        SourceUnavailableError: The source does not answer, or shows the past.
    """
    deployment = work.deployment
    reader = KeyReader(deployment.open_source(deployment.catalog.source_of(dataset)), dataset)
    began_at = work.now()
    check_majority(reader.client, dataset, began_at)
    with compared(deployment.open_warehouse(), dataset, reader.scan(), began_at) as (comparison, counts):
        found = {verdict: counts[verdict] for verdict in VERDICTS} | {"unreadable": reader.unreadable}
        with EventFile.open(dataset) as file:
            gone_at = work.now()
            attempt = begin(deployment, dataset, work.run_id, gone_at)
            found["absent"] = _gather(work, comparison, reader, file, counts, gone_at)
            merged = []
            if file.total and not work.dry_run:
                asked = {"began_at": began_at.isoformat(), "live": counts["live"]}
                merged.append(_merge(work, file.commit(attempt, deployment, {"request": asked})))
        relanded, known = [], Counter[str]()
        if any(counts[verdict] for verdict in RELANDED):
            documents = _screened(work, comparison, reader, known)
            relanded = _previewed(documents) if work.dry_run else _land_again(work, reader, documents)
        merged += relanded
    found |= {verdict: counts[verdict] - known[verdict] for verdict in RELANDED}
    found["refused_before"] = known.total()
    return {
        "found": found,
        "relanded": sum(int(each["landed"] or 0) for each in relanded),
        **merged_counts(*merged),
    }


def _gather(
    work: Reconciliation,
    comparison: Comparison,
    reader: KeyReader,
    file: EventFile,
    counts: dict[str, int],
    gone_at: datetime,
) -> int:
    """Gather events of keys that are gone, and of stamps that went backwards; how many are gone for certain.

    Each key that the comparison found absent is asked for again: it may have come, or come back, meanwhile.
    """
    warehouse, dataset, gone = work.deployment.open_warehouse(), comparison.dataset, 0
    examples: list[str] = []
    if counts["absent"] and dataset.deletes == "track":
        for rows in _chunks(comparison.found(warehouse, ["absent"])):
            keys = [_key(row, dataset) for row in rows]
            present = reader.present(keys)
            absent = [key for key in keys if key not in present]
            file.add(absent, "deleted", gone_at)
            gone += len(absent)
            examples += [", ".join(map(str, key)) for key in absent[: Deletions.SHOWN - len(examples)]]
        check_cap(dataset, Deletions(gone, counts["live"], tuple(examples)), work.max_delete_ratio)
    if counts["backwards"]:
        for rows in _chunks(comparison.found(warehouse, ["backwards"])):
            file.add([_key(row, dataset) for row in rows], "superseded", comparison.began_at)
    return gone


def _screened(
    work: Reconciliation, comparison: Comparison, reader: KeyReader, known: Counter[str]
) -> Iterator[bytes]:
    """What differs, read by `_id`, but for what was refused before: `known` counts that by verdict."""
    rows = comparison.found(work.deployment.open_warehouse(), RELANDED)
    for verdict, some in groupby(rows, key=itemgetter(VERDICT)):
        screen = Screen(work.deployment, reader.dataset)
        yield from screen.pass_on(_documents(some, reader))
        known[verdict] = screen.known


def _previewed(documents: Iterator[bytes]) -> list[Summary]:
    for _ in documents:
        pass
    return []


def _land_again(work: Reconciliation, reader: KeyReader, documents: Iterator[bytes]) -> list[Summary]:
    """Land and merge; the merges."""
    deployment = work.deployment
    attempt = begin(deployment, reader.dataset, work.run_id, work.now())
    landed = land_documents(attempt, documents, deployment)
    return [] if landed is None else [_merge(work, landed[1])]


def _documents(rows: Iterator[Any], reader: KeyReader) -> Iterator[bytes]:
    for chunk in _chunks(rows):
        yield from reader.documents([(_key(row, reader.dataset), row[SOURCE]) for row in chunk])


def _merge(work: Reconciliation, raw_manifest_uri: str) -> Summary:
    return work.refine_and_merge(landed_summary(work.deployment, raw_manifest_uri))


def _key(row: Any, dataset: AnyDataset) -> Key:  # noqa: ANN401 - a row of the client
    return tuple(row[name] for name in dataset.key)


def _chunks(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while chunk := list(islice(rows, AT_ONCE)):
        yield chunk
