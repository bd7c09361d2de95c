"""Documents that were refused before are not landed again; all others are."""

from __future__ import annotations

import io
from contextlib import contextmanager
from types import SimpleNamespace

import bson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tideline.catalog.model import MongoDataset
from tideline.errors import IntegrityError
from tideline.reconcile import refused
from tideline.reconcile.mongo_keys import split_documents
from tideline.reconcile.refused import Screen

DATASET = MongoDataset.model_validate(
    {
        "name": "things", "source": "test", "database": "d", "collection": "c", "key": ["id"],
        "columns": [{"name": "id", "field": "_id", "type": "int64"}, {"name": "note", "type": "string"}],
    }
)  # fmt: skip
GOOD, BAD, WORSE = ({"_id": 1, "note": "a"}, {"_id": 2, "note": 5}, {"_id": 3, "note": {}})


@pytest.fixture
def world(monkeypatch):
    """Loads by URI: what each of them refused; and which were looked through."""
    made = SimpleNamespace(loads={}, read=[])

    class Quarantine:
        def key_of(self, uri):
            return uri

        @contextmanager
        def open(self, key, sha256=None):
            made.read.append(key)
            if made.loads[key] is None:
                raise IntegrityError("there is no such object")
            body = io.BytesIO()
            pq.write_table(pa.table({"raw": pa.array(made.loads[key], pa.binary())}), body)
            body.seek(0)
            yield body

    def history(self, source, dataset):
        yield SimpleNamespace(quarantine_manifest_uri=None)
        yield from (SimpleNamespace(quarantine_manifest_uri=uri) for uri in made.loads)

    monkeypatch.setattr(refused.Ledger, "history", history)
    monkeypatch.setattr(refused.Ledger, "__init__", lambda self, warehouse: None)
    monkeypatch.setattr(
        refused.manifests,
        "read",
        lambda _, uri: SimpleNamespace(parts=[SimpleNamespace(uri=uri, sha256=None)]),
    )
    made.deployment = SimpleNamespace(quarantine=Quarantine(), open_warehouse=lambda: None)
    return made


def passed(screen, *documents):
    batches = iter([b"".join(map(bson.encode, documents))])
    return [bson.decode(each) for body in screen.pass_on(batches) for each in split_documents(body)]


def test_what_conforms_is_passed_on_without_a_look_at_quarantine(world):
    world.loads = {"old": [bson.encode(BAD)]}
    screen = Screen(world.deployment, DATASET)
    assert passed(screen, GOOD) == [GOOD]
    assert (world.read, screen.known) == ([], 0)


def test_what_was_refused_before_is_held_back(world):
    world.loads = {"old": [bson.encode(BAD)], "new": [bson.encode({"_id": 9})]}
    screen = Screen(world.deployment, DATASET)
    assert passed(screen, BAD, GOOD, WORSE) == [GOOD, WORSE]
    assert (world.read, screen.known) == (["new", "old"], 1)


def test_the_search_ends_when_everything_is_found(world):
    world.loads = {"old": [], "new": [bson.encode(BAD)]}
    screen = Screen(world.deployment, DATASET)
    assert passed(screen, BAD) == []
    assert (world.read, screen.known) == (["new"], 1)


def test_a_refused_document_that_changed_is_another_one(world):
    world.loads = {"old": [bson.encode(BAD)]}
    assert passed(Screen(world.deployment, DATASET), {**BAD, "more": 1}) == [{**BAD, "more": 1}]


def test_more_than_can_be_held_back_is_landed_again(world, monkeypatch):
    monkeypatch.setattr(refused, "MOST_BYTES", 1)
    world.loads = {"old": [bson.encode(BAD), bson.encode(WORSE)]}
    assert passed(Screen(world.deployment, DATASET), BAD, WORSE) == [WORSE]


def test_evidence_that_is_not_kept_any_more_stops_nothing(world, caplog):
    """What was refused in it is landed again, and so has evidence again."""
    world.loads = {"older": [bson.encode(BAD)], "gone": None, "new": []}
    screen = Screen(world.deployment, DATASET)
    assert passed(screen, BAD, GOOD, WORSE) == [GOOD, WORSE]
    assert (world.read, screen.known) == (["new", "gone", "older"], 1)
    assert "may be landed again" in caplog.text
