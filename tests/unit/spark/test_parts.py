from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.errors import ContractError, IntegrityError
from tideline.lake import manifest as manifests
from tideline.lake.manifest import Part
from tideline.lake.ranges import range_of
from tideline.refine.refine import refine
from tideline.spark import parts

NOW = datetime(2026, 1, 31, 14, 1, tzinfo=UTC)


def refined(order, stages, now=NOW):
    landed = manifests.read(stages.raw, order.raw_manifest_uri)
    found = parts.parts_of(landed, order.raw_manifest_uri, now)
    return [parts.refine_part(order, part, stages) for part in found]


def rows(store, manifest):
    tables = [pq.read_table(io.BytesIO(store.read(store.key_of(part.uri)))) for part in manifest.parts]
    return pa.concat_tables(tables).to_pylist()


def test_together_they_are_what_one_process_makes_of_it(order, stages):
    alone, _ = refine(order.dataset, order.raw_manifest_uri, raw=stages.raw, processed=stages.processed,
                      quarantine=stages.quarantine, run_id="run")  # fmt: skip
    spread, uri = parts.gather(order, refined(order, stages), stages)
    assert rows(stages.processed, spread) == rows(stages.processed, alone)
    evidence = [manifests.read(stages.quarantine, m.details["quarantine_uri"]) for m in (alone, spread)]
    assert rows(stages.quarantine, evidence[1]) == rows(stages.quarantine, evidence[0])
    for name in ("landed", "refined", "quarantined", "reasons", "raw_manifest", "raw_bytes", "drift"):
        assert spread.details[name] == alone.details[name], name
    assert range_of(spread) is None
    assert manifests.read(stages.processed, uri) == spread


def test_a_column_without_a_value_is_named_however_small_the_parts_are(order, stages):
    landed = _landed(order, stages)
    written = [
        stages.raw.put(f"x/{n}.csv", b"id,name\n" + b"".join(b"%d,\n" % i for i in range(rows)))
        for n, rows in enumerate((30, 3, 0))
    ]
    found = tuple(Part(each.uri, each.bytes, each.sha256) for each in written)
    uri = manifests.commit(stages.raw, replace(landed, attempt_id="empty", parts=found))
    nulls = order.dataset.model_copy(
        update={"dialect": order.dataset.dialect.model_copy(update={"strings_can_be_null": True})}
    )
    order = replace(order, dataset=nulls, raw_manifest_uri=uri)
    alone, _ = refine(nulls, uri, raw=stages.raw, processed=stages.processed,
                      quarantine=stages.quarantine, run_id="run")  # fmt: skip
    spread, _ = parts.gather(order, refined(order, stages), stages)
    assert spread.details["empty_columns"] == alone.details["empty_columns"] == ["name"]


def test_each_part_is_a_range_that_cannot_be_taken_for_the_load(order, stages):
    found = [range_of(manifest) for manifest, _ in refined(order, stages)]
    assert [(share.number, share.of) for share in found] == [(0, 3), (1, 3), (2, 3)]
    assert len({share.split_id for share in found}) == 1


def test_ranges_of_two_jobs_are_not_mixed(order, stages):
    first, second = refined(order, stages), refined(order, stages, NOW.replace(minute=2))
    with pytest.raises(IntegrityError, match="not cut together"):
        parts.gather(order, [*first[:2], second[2]], stages)


def test_a_part_that_is_missing_is_noticed(order, stages):
    with pytest.raises(IntegrityError, match="3 ranges"):
        parts.gather(order, refined(order, stages)[:2], stages)
    assert parts.find(stages.processed, _landed(order, stages), order) is None


def test_too_many_refusals_of_all_parts_together(order, stages):
    strict = replace(order, dataset=order.dataset.model_copy(update={"quarantine_threshold": 0.33}))
    with pytest.raises(ContractError, match="2 of 6 records"):
        parts.gather(strict, refined(strict, stages), stages)
    assert [key for key in stages.quarantine.list("") if "-whole-" in key]
    assert parts.find(stages.processed, _landed(order, stages), order) is None


def test_rows_that_were_picked_out_have_no_threshold(order, stages):
    landed = _landed(order, stages)
    picked = replace(landed, attempt_id="picked", details={**landed.details, "partial": True})
    strict = replace(
        order,
        dataset=order.dataset.model_copy(update={"quarantine_threshold": 0.0}),
        raw_manifest_uri=manifests.commit(stages.raw, picked),
    )
    assert parts.gather(strict, refined(strict, stages), stages)[0].records == 4


def test_without_refusals_there_is_no_evidence(order, stages):
    landed = _landed(order, stages)
    clean = replace(landed, attempt_id="clean", parts=landed.parts[1:2])
    uri = manifests.commit(stages.raw, clean)
    whole, _ = parts.gather(
        replace(order, raw_manifest_uri=uri), refined(replace(order, raw_manifest_uri=uri), stages), stages
    )
    assert (whole.records, whole.details["quarantine_uri"]) == (1, None)


def test_the_newest_of_the_landing_is_found_and_no_other(order, stages):
    landed = _landed(order, stages)
    parts.gather(order, refined(order, stages), stages)
    _, newer = parts.gather(order, refined(order, stages, NOW.replace(minute=2)), stages)
    assert parts.find(stages.processed, landed, order) == newer
    wider = order.dataset.model_copy(update={"columns": order.dataset.columns[:1]})
    for other in ({"raw_manifest_uri": "s3://raw/another"}, {"run_id": "another"}, {"dataset": wider}):
        assert parts.find(stages.processed, landed, replace(order, **other)) is None


def _landed(order, stages):
    return manifests.read(stages.raw, order.raw_manifest_uri)
