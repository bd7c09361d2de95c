"""Windows that overlap, repeat and come in any order end as one full load, and so does every order of versions.

Hundreds of histories share one table, each with keys of its own: a history's windows are landed one by one from
a collection that changes in between; what they brought is merged in an order of the history's own, together with
what the other histories have at that step. The expectation is `oracle`'s, from the raw bytes alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from random import Random
from typing import Any

import oracle
import pytest
from arena import T0, mongo_client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from invariants import _bodies, look

from tideline import pipeline
from tideline.catalog.loader import fingerprint
from tideline.lake import manifest as manifests
from tideline.lake.keys import new_attempt_id
from tideline.land import mongodb
from tideline.land.request import LandRequest
from tideline.window import Window

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HISTORIES = 200
READS = 6
KEYS = 4
CLOCK = T0 + timedelta(hours=12)
"""When the first read is made; each later one an hour after the one before."""


@dataclass
class History:
    """What happens to the keys of one source, which windows are read, and in which order they are merged."""

    number: int
    states: list[dict[int, dict[str, Any]]]
    """Documents by `_id` at each read."""
    windows: list[Window]
    order: list[int]
    parts: list[tuple[manifests.Part, ...]] = field(default_factory=list)


def clock(read: int) -> datetime:
    return CLOCK + timedelta(hours=read)


def random_history(number: int, dice: Random) -> History:
    """Three windows anywhere while the source changes; then all of the axis, cut anywhere, in any order."""
    documents: dict[int, dict[str, Any]] = {}
    states = []
    for read in range(READS):
        if read < READS - 2:
            for key in dice.sample(range(KEYS), dice.randint(1, KEYS)):
                change(documents, number * KEYS + key, read, dice)
        states.append({key: dict(document) for key, document in documents.items()})
    cut = at(dice.randint(1, 20))
    cover = [Window(None, cut), Window(cut - timedelta(minutes=30 * dice.randint(0, 3)), at(60))]
    dice.shuffle(cover)
    windows = [random_window(dice) for _ in range(READS - 2)] + cover
    if dice.random() < 0.5:  # the same window twice
        windows[1] = windows[0]
    return History(number, states, windows, dice.sample(range(READS), READS))


def change(documents: dict[int, dict[str, Any]], key: int, read: int, dice: Random) -> None:
    """A write: its stamp is not before the last one, may be the same, may lie ahead of the clock, or be none."""
    before = documents.get(key, {"updated_at": at(0)})["updated_at"]
    if before is not None:
        latest = max(before, clock(read) - timedelta(minutes=dice.randint(0, 600)))
        ahead = clock(read) + timedelta(days=300) if dice.random() < 0.1 else latest
        before = (
            None if key not in documents and dice.random() < 0.1 else dice.choice([before, latest, ahead])
        )
    documents[key] = {"_id": key, "id": key, "note": f"{read} {dice.randint(0, 2)}", "updated_at": before}


def at(half_hours: int) -> datetime:
    return T0 + timedelta(minutes=30 * half_hours)


def random_window(dice: Random) -> Window:
    start, end = sorted(dice.sample(range(-4, 40), 2))
    return Window(None if dice.random() < 0.1 else at(start), at(end))


def play(lane, histories: list[History]) -> tuple[Any, dict[int, dict[str, Any]]]:
    """Land, refine and merge them all; what is in the table, and what the oracle makes of the raw bytes."""
    with lane.deployment() as deployment:
        for read in range(len(histories[0].states)):
            land_all(lane, deployment, histories, read)
        for step in range(len(histories[0].order)):
            for read in sorted({history.order[step] for history in histories}):
                chosen = [history for history in histories if history.order[step] == read]
                merge_together(deployment, [part for h in chosen for part in h.parts[read]], read)
        dataset = deployment.catalog.dataset("mongodb.things")
        raw = _bodies(deployment.raw, f"{dataset.source}/{dataset.name}/")
        singles = {uri: body for uri, body in raw.items() if b'"run_id": "together"' not in body}
        return look(deployment, "mongodb.things"), oracle.newest(singles)


def land_all(lane, deployment, histories: list[History], read: int) -> None:
    """Each history's window of that read, from a collection of its own."""
    client = deployment.open_source(deployment.catalog.sources[0])
    dataset = deployment.catalog.dataset("mongodb.things")
    writer = mongo_client(lane.servers.mongo)[lane.name]
    for history in histories:
        name = f"h{history.number}"
        for key, document in history.states[read].items():
            writer[name].replace_one({"_id": key}, document, upsert=True)
        request = LandRequest(
            dataset=dataset.model_copy(update={"collection": name}),
            window=history.windows[read],
            mode="exact",
            run_id="single",
            catalog_fingerprint=fingerprint(dataset),
            now=lambda: clock(read),
        )
        manifest, _ = mongodb.land(request, client, deployment.raw)
        history.parts.append(manifest.parts)


def merge_together(deployment, parts: list[manifests.Part], read: int) -> None:
    """One landing that has the parts of many, refined and merged as any other."""
    if not parts:
        return
    dataset = deployment.catalog.dataset("mongodb.things")
    manifest = manifests.Manifest(
        stage="raw", source=dataset.source, dataset=dataset.name, window=Window(at(0), at(60)),
        attempt_id=new_attempt_id(datetime.now(UTC)), run_id="together", extracted_at=clock(read),
        parts=tuple(parts), records=sum(part.records for part in parts), code_version="test",
        catalog_fingerprint=fingerprint(dataset), details={"mode": "exact"},
    )  # fmt: skip
    landed = pipeline.landed_summary(deployment, manifests.commit(deployment.raw, manifest))
    refined = pipeline.refine_dataset(deployment, landed, "together")
    pipeline.merge_dataset(deployment, refined, "together")


def assert_same(sight, expected: dict[int, dict[str, Any]]) -> None:
    assert len(sight.rows) == len(sight.live), "a key is there twice"
    found = {key: (row["note"], row["updated_at"]) for key, row in sight.live.items()}
    wanted = {key: (document["note"], document["updated_at"]) for key, document in expected.items()}
    differing = {key: (found.get(key), wanted.get(key)) for key in found.keys() | wanted.keys()
                 if found.get(key) != wanted.get(key)}  # fmt: skip
    assert not differing, dict(list(differing.items())[:5])


@settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
    database=None,
)
@given(seed=st.integers(0, 2**32))
def test_windows_in_any_order_are_one_full_load(arena, faults, seed):
    histories = [random_history(number, Random(f"{seed} {number}")) for number in range(HISTORIES)]
    sight, expected = play(arena.lane(part_bytes=1 << 20), histories)
    now = {key: document for history in histories for key, document in history.states[-1].items()}
    assert {key: d["note"] for key, d in expected.items()} == {key: d["note"] for key, d in now.items()}
    assert_same(sight, expected)
    faults.tried(HISTORIES)


def test_every_order_of_five_versions_ends_in_the_newest(arena, faults):
    """None, old, new, the same stamp read later, ahead of the clock: 120 orders, a key each."""
    stamps = [None, at(1), at(5), at(5), at(9999)]
    histories = []
    for number, order in enumerate(permutations(range(5))):
        states = [
            {number: {"_id": number, "id": number, "note": f"version {read}", "updated_at": stamp}}
            for read, stamp in enumerate(stamps)
        ]
        histories.append(History(number, states, [Window(None, at(60))] * 5, list(order)))
    sight, expected = play(arena.lane(part_bytes=1 << 20), histories)
    assert {document["note"] for document in expected.values()} == {"version 4"}
    assert_same(sight, expected)
    assert len(sight.rows) == 120
    faults.tried(120)


def test_the_oracle_finds_a_wrong_table(arena):
    """It is no mirror of the table: a row that is older than it should be is seen."""
    histories = [random_history(0, Random(7))]
    sight, expected = play(arena.lane(), histories)
    assert_same(sight, expected)
    wrong = replace(sight, rows=tuple({**row, "note": "old"} for row in sight.rows))
    with pytest.raises(AssertionError):
        assert_same(wrong, expected)
