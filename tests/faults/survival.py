"""One fault, from the first try to the settled end: what every transport test does. Knows no particular fault.

    survive(faults, line, lane, "rest_api")               # it succeeds in spite of the planned fault
    survive(faults, line, lane, "rest_api", fails=...)    # it is told, and the run after it succeeds

Up to Parquet, for faults of sources and lake: whole runs take ten times as long and are `settle`'s.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import pyarrow.parquet as pq
from invariants import check_settled, check_unmoved, look
from steps import land, refine, run
from through import ATTEMPTS

from tideline import plan as planning
from tideline.errors import TidelineError
from tideline.lake import manifest as manifests
from tideline.warehouse.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from arena import Lane
    from invariants import Truth
    from proxy import Exchange
    from tally import Tally
    from through import Line

    from tideline.pipeline import Deployment
    from tideline.plan import RunRequest

STAGES = ("raw", "processed", "quarantine")


@dataclass(frozen=True)
class Crop:
    """What came of landing and refining a window: rows in processed Parquet, and how many were refused."""

    rows: tuple[dict[str, Any], ...]
    refused: int


def harvest(deployment: Deployment, request: RunRequest) -> Crop:
    """Land and refine what is asked for, as if nothing had been loaded before."""
    loads = planning.plan(deployment.catalog, request, {})
    rows: list[dict[str, Any]] = []
    refused = 0
    # the ledger knows of nothing; asking it takes longer than all the rest
    with mock.patch.object(Ledger, "landed_objects", side_effect=lambda *_: iter(())):
        landed = land(deployment, [load.to_json() for load in loads], "fault")
    for summary in refine(deployment, landed, "fault"):
        store = deployment.processed
        manifest = manifests.read(store, summary["processed_manifest_uri"])
        for part in manifest.parts:
            rows += pq.read_table(io.BytesIO(store.read(store.key_of(part.uri)))).to_pylist()
        refused += summary["quarantined"]
    return Crop(tuple(rows), refused)


def survive(
    faults: Tally,
    line: Line,
    lane: Lane,
    kind: str,
    *,
    fails: type[TidelineError] | tuple[type[TidelineError], ...] | None = None,
    may_fail: tuple[type[TidelineError], ...] = (),
    hour: int = 0,
    met: int | None = 1,
) -> TidelineError | None:
    """Land and refine into the planned fault, check; heal, do it again, check that all is there once.

    Args:
        faults: Counts it.
        line: The deployment with the proxy.
        lane: Whose sources they are.
        kind: Which dataset.
        fails: What it must end with; None: it must succeed in spite of the fault.
        may_fail: What it may end with instead of success.
        hour: Which window.
        met: How many messages must have met the fault; None: at least one.

    Returns:
        What the first try ended with.
    """
    request, truth = lane.request(kind, hour), lane.truth(kind)
    crop, error = try_harvest(line, request)
    failed = len(line.proxy.failed)
    assert failed == met if met is not None else failed, (error, line.proxy.names)
    assert line.naps.total <= lane.deadline_seconds
    assert error is None or isinstance(error, fails or may_fail), repr(error)
    if fails is not None:
        assert isinstance(error, fails), f"{error!r} in place of {fails}"
    line.proxy.heal()
    left = objects(line) if crop is None else {}
    check_crop(faults, crop or harvest(line.deployment, request), truth)
    after = objects(line)
    changed = [key for key, etag in left.items() if after.get(key) != etag]
    assert not changed, f"objects of the lake were changed: {changed}"
    check_folders(line, after)
    faults.tried()
    return error


def check_crop(faults: Tally, crop: Crop, truth: Truth) -> None:
    """All that the source says is in Parquet, once, as it says."""
    counted = Counter(row["id"] for row in crop.rows)
    lost = [key for key in truth.rows if key not in counted]
    doubles = [key for key, n in counted.items() if n > 1]
    other = [
        row for row in crop.rows
        if any(row[name] != value for name, value in truth.rows.get(row["id"], {"id": None}).items())
    ]  # fmt: skip
    faults.violated(lost=len(lost), duplicated=len(doubles), regressed=len(other))
    assert (lost, doubles, other) == ([], [], [])
    faults.quarantined(found=crop.refused, injected=truth.injected)


def check_folders(line: Line, found: Mapping[tuple[str, str], str]) -> None:
    """Every committed folder is whole, and at least one is there."""
    manifests_found = [place for place in found if place[1].endswith("/_manifest.json")]
    assert manifests_found
    for place in manifests_found:
        for part in json.loads(_body(line, *place))["parts"]:
            bucket, _, key = part["uri"].partition("://")[2].partition("/")
            body = _body(line, bucket, key)
            assert (len(body), hashlib.sha256(body).hexdigest()) == (part["bytes"], part["sha256"]), part[
                "uri"
            ]


def _body(line: Line, bucket: str, key: str) -> bytes:
    body: bytes = line.direct.get_object(Bucket=bucket, Key=key)["Body"].read()
    return body


def objects(line: Line) -> dict[tuple[str, str], str]:
    """Every object of the lane in the three stages, and the server's own hash of it; not through the proxy."""
    found = {}
    for stage in STAGES:
        bucket, _, prefix = getattr(line.deployment, stage).root.partition("://")[2].partition("/")
        for page in line.direct.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
            found |= {(bucket, entry["Key"]): entry["ETag"] for entry in page.get("Contents", ())}
    return found


def attempt(line: Line, request: RunRequest) -> TidelineError | None:
    """A whole run; the error of ours that it ended with. Any other exception is a defect and goes on up."""
    try:
        run(line.deployment, request)
    except TidelineError as error:
        return error
    return None


def settle(
    faults: Tally, line: Line, lane: Lane, kind: str, fault: Callable[[Exchange], None], pattern: str = ""
) -> None:
    """A whole run in which every message fails once has to succeed; and again without faults it changes nothing.

    Args:
        faults: Counts each message that met the fault.
        line: The deployment with the proxy.
        lane: Whose sources they are.
        kind: Which dataset.
        fault: What each message meets that comes for the first time.
        pattern: Which messages.
    """
    dataset = lane.dataset_id(kind)
    before = look(line.deployment, dataset)
    line.proxy.reset()
    line.proxy.fail_each(fault, pattern)
    error = attempt(line, lane.request(kind))
    tried = len(line.proxy.failed)
    line.proxy.heal()
    assert error is None, error
    assert tried > 1
    after = look(line.deployment, dataset)
    check_settled(faults, before, after, lane.truth(kind))
    assert attempt(line, lane.request(kind)) is None
    check_unmoved(faults, after, look(line.deployment, dataset))
    faults.tried(tried)


def try_harvest(line: Line, request: RunRequest) -> tuple[Crop | None, TidelineError | None]:
    try:
        return harvest(line.deployment, request), None
    except TidelineError as error:
        assert len(line.naps.asked) < ATTEMPTS * 2
        return None, error
