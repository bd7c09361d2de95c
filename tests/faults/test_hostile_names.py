"""Sixty hostile names at every sink: kept as they are, normalised or refused; no two become one, nothing runs."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import bson
import pytest
from arena import SOURCE_BUCKET, mongo_client, s3_client
from invariants import Truth, check_settled, look
from memory_lake import Lake
from steps import run
from survival import harvest

from tideline.catalog.loader import load_catalog
from tideline.catalog.model import CsvDataset, HttpDataset, MongoDataset
from tideline.errors import CatalogError, SettingsError, TidelineError
from tideline.lake.store import open_store
from tideline.land.http import HttpSession
from tideline.refine.refine import refine
from tideline.settings import Settings, from_environment
from tideline.warehouse import names

HOSTILE = [
    '"; DROP TABLE things; --', "'; DROP TABLE things; --", "`; DROP TABLE things; --", "\\`; SELECT 1; --",
    "a`b", "a\\", "'", '"', "`", "--", "/* a */", ";", "#", "a b", " a", "a ", " ", "\t", "a\nb", "a\r\nb",
    "..", "../../etc/passwd", "a/../b", "./a", "a//b", "C:\\a", "~", "$HOME", "$(id)", "`id`", "| id", "& id",
    "${jndi:ldap://x}", "{{ var('x') }}", "{% set x = 1 %}", "{# x #}", "%s", "%00", "%2e%2e%2f", "{0}",
    "<script>alert(1)</script>", "=1+1", "@x", "select", "SELECT", "null", "true", "_PARTITIONTIME", "_table_x",
    "_extra", "_raw_uri", "a.b", "a[0]", "$where", "na\u00efve", "nai\u0308ve", "\u0130", "\u202etxt", "a\u200bb",
    "\U0001f600", "x" * 300, "x" * 1000, "0", "1a", "-a", "A", "a", "*", "?a=b&c=d", "\ufeffa",
]  # fmt: skip
NUL = "a\0b"


def test_there_are_sixty_of_them_and_no_two_are_the_same():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 60


# --- catalog names: tables, datasets of BigQuery, folders, task ids, dbt sources --------------------------


def catalog_with(tmp_path, *, source="shop", dataset="things", column="note", field="note"):
    document = {
        "source": source, "kind": "mongodb", "connection": "c", "database": "d",
        "datasets": {dataset: {"key": ["id"], "collection": "things", "columns": {
            "id": "int64", column: {"type": "string", "field": field},
        }}},
    }  # fmt: skip
    path = tmp_path / "catalog.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    return load_catalog(tmp_path)


@pytest.mark.parametrize("where", ["source", "dataset"])
def test_catalog_names_are_plain_or_refused(faults, tmp_path, where):
    """So whatever is made of them is plain as well: tables, folders of the lake, task ids, dbt sources, labels."""
    accepted, refused = [], []
    for name in [*HOSTILE, NUL]:
        try:
            catalog = catalog_with(tmp_path, **{where: name})
        except CatalogError:
            refused.append(name)
        else:
            (dataset,) = catalog.datasets
            table = str(names.raw_table(dataset, Settings(project="p")))
            assert re.fullmatch(r"p\.raw_[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", table)
            accepted.append(table)
        faults.tried()
    assert len(set(accepted)) == len(accepted)
    assert len(accepted) < 8
    assert len(accepted) + len(refused) == len(HOSTILE) + 1


def test_column_names_are_legal_in_bigquery_or_refused(faults, tmp_path):
    accepted, refused = [], []
    for name in [*HOSTILE, NUL]:
        try:
            catalog = catalog_with(tmp_path, column=name)
        except CatalogError:
            refused.append(name)
        else:
            (column,) = [c.name for c in catalog.datasets[0].columns if c.name != "id"]
            assert column == name
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,299}", column)
            accepted.append(column)
        faults.tried()
    assert {"_extra", "_raw_uri", "_PARTITIONTIME", "_table_x", "a`b"} <= set(refused)
    assert "select" in accepted


def test_two_columns_that_bigquery_takes_for_one_are_refused(faults, tmp_path):
    for one, other in (("a", "A"), ("select", "SELECT"), ("id", "ID")):
        document = {
            "source": "shop", "kind": "mongodb", "connection": "c", "database": "d",
            "datasets": {"things": {"key": [one], "columns": {one: "int64", other: "string"}}},
        }  # fmt: skip
        (tmp_path / "catalog.yaml").write_text(json.dumps(document))
        with pytest.raises(CatalogError):
            load_catalog(tmp_path)
        faults.tried()


# --- names of fields at the source ------------------------------------------------------------------------


def columns():
    return [
        {"name": "id", "type": "int64", "field": "the id"},
        *({"name": f"c{n}", "type": "string", "field": name} for n, name in enumerate(HOSTILE)),
    ]


MEMBERS = {"the id": 1, **{name: f"value {n}" for n, name in enumerate(HOSTILE)}}
MONGO = {"source": "shop", "name": "things", "database": "d", "collection": "things", "key": ("id",)}


def refined(dataset, body):
    lake = Lake()
    refine(dataset, lake.landed(dataset, body), **lake.stores, run_id="fault")
    assert lake.rows("quarantine") == []
    (row,) = lake.rows()
    return row


@pytest.mark.parametrize("kind", ["bson", "json", "csv"])
@pytest.mark.parametrize("declared", [True, False], ids=["declared", "undeclared"])
def test_fields_of_any_name_are_told_apart(faults, kind, declared):
    """Each declared one is its own column, each undeclared one its own member of `_extra`."""
    given = columns() if declared else columns()[:1]
    fields = [name for name in MEMBERS if kind != "csv" or name.strip()]  # a CSV column of blanks is refused
    given = [column for column in given if column["field"] in fields]
    members = {name: MEMBERS[name] for name in fields}
    if kind == "bson":
        row = refined(MongoDataset(columns=given, **MONGO), bson.encode(members))
    elif kind == "json":
        dataset = HttpDataset(source="shop", name="things", path="/things", key=("id",), columns=given)
        row = refined(dataset, json.dumps([members]).encode())
    else:
        dataset = CsvDataset(
            source="shop", name="things", bucket="drops", prefix="p/", key=("id",), columns=given
        )
        quoted = [
            '"' + str(cell).replace('"', '""') + '"' for pair in (members, members.values()) for cell in pair
        ]
        half = len(members)
        row = refined(dataset, f"{','.join(quoted[:half])}\n{','.join(quoted[half:])}\n".encode())
    if declared:
        found = {column["field"]: row[column["name"]] for column in given}
        assert found == members
    else:
        assert json.loads(row["_extra"]) == {
            name: value for name, value in members.items() if name != "the id"
        }
    faults.tried(len(fields))


# --- names of collections, objects, keys of the lake, URLs ------------------------------------------------


@pytest.mark.parametrize("what", ["collection", "database"])
def test_collections_and_databases_of_any_name_are_read_or_told(faults, arena, what):
    """Never another one than the one that is named."""
    from dataclasses import replace

    from tideline.catalog.model import Catalog

    lane = arena.lane()
    lane.change("mongodb", 1)
    mongo_client(lane.servers.mongo)[lane.name]["bystander"].insert_one({"_id": 1, "id": 1})
    with lane.deployment() as deployment:
        original = deployment.catalog
        (dataset,) = [d for d in original.datasets if d.kind == "mongodb"]
        for name in [*HOSTILE, NUL, "system.users", "$cmd"]:
            other = dataset.model_copy(update={what: name})
            sources = tuple(
                s if s.kind != "mongodb" else s.model_copy(update={"datasets": (other,)})
                for s in original.sources
            )
            with pytest.raises(TidelineError):
                harvest(replace(deployment, catalog=Catalog(sources=sources)), lane.request("mongodb"))
            faults.tried()
        assert list(deployment.raw.list("")) == []


def test_objects_of_any_name_land_once_each(faults, arena):
    lane = arena.lane()
    client = s3_client(lane.servers.s3)
    put = {}
    for number, name in enumerate(HOSTILE):
        key = f"{lane.name}/{name}.csv"
        body = f"id,note,amount,updated_at\n{number},{number},1,2026-03-01T10:00:00Z\n".encode()
        try:
            client.put_object(Bucket=SOURCE_BUCKET, Key=key, Body=body)
        except Exception:  # noqa: BLE001 - a name that the server itself does not take
            continue
        put[key] = number
    listed = {
        e["Key"] for e in client.list_objects_v2(Bucket=SOURCE_BUCKET, Prefix=f"{lane.name}/")["Contents"]
    }
    with lane.deployment() as deployment:
        crop = harvest(deployment, lane.request("s3_csv"))
        (manifest,) = [key for key in deployment.raw.list("") if key.endswith("_manifest.json")]
        parts = json.loads(deployment.raw.read(manifest))["parts"]
    assert sorted(part["origin"]["key"] for part in parts) == sorted(listed)
    assert {row["id"] for row in crop.rows} >= {number for key, number in put.items() if key in listed}
    assert len({part["uri"] for part in parts}) == len(parts)
    assert len(listed) >= 55
    faults.tried(len(listed))


def test_keys_of_the_lake_are_kept_apart(faults, arena):
    """No key of ours is hostile; the store does not rely on that."""
    lane = arena.lane()
    with lane.deployment() as deployment:
        kept = {}
        for number, name in enumerate(HOSTILE):
            key = f"k/{name}"
            if len(key.encode()) > 1024 or any(
                piece in ("", ".", "..") or "\n" in piece for piece in key.split("/")
            ):
                continue
            deployment.raw.put(key, b"%d" % number)
            kept[key] = b"%d" % number
            faults.tried()
        assert {key: deployment.raw.read(key) for key in kept} == kept
        assert sorted(deployment.raw.list("k/")) == sorted(kept)


def test_places_of_the_lake_are_plain_or_refused(faults):
    refused = 0
    for name in [*HOSTILE, NUL]:
        for uri in (f"s3://{name}", f"gs://bucket/{name}", name):
            try:
                settings = from_environment({"TIDELINE_RAW_URI": uri})
            except SettingsError:
                refused += 1
            else:
                store = open_store(settings.raw_uri, s3_client=object, gcs_client=object)
                assert store.key_of(store.uri_of("k")) == "k"
        faults.tried()
    assert refused > 60


def test_query_parameters_of_any_text_arrive_as_they_are(faults):
    session = HttpSession("http://api.test/base", proxies={})
    for name in [*HOSTILE, NUL]:
        url = urlsplit(session.url_of("/things", {name: name}))
        assert (url.netloc, url.path) == ("api.test", "/base/things")
        assert parse_qs(url.query, keep_blank_values=True) == {name: [name]}
        faults.tried()
    session.close()


# --- SQL ---------------------------------------------------------------------------------------------------


def test_texts_of_any_kind_are_literals_and_nothing_else(faults, arena):
    lane = arena.lane()
    with lane.deployment() as deployment:
        warehouse = deployment.open_warehouse()
        # the emulator replaces it inside texts too
        texts = [NUL, "\0", *(name for name in HOSTILE if "PARTITION" not in name)]
        listed = ", ".join(names.literal(name) for name in texts)
        (row,) = warehouse.rows(f"SELECT [{listed}] AS found", kind="test")
        assert list(row["found"]) == texts
    faults.tried(len(texts))


def test_job_ids_and_labels_of_any_text_are_legal_and_told_apart(faults):
    settings = Settings(project="p")
    ids = {names.job_id("merge", name, 1, settings) for name in [*HOSTILE, NUL]}
    assert len(ids) == len(HOSTILE) + 1
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,1024}", job_id) for job_id in ids)
    for name in [*HOSTILE, NUL]:
        label = names.labels(settings, {"window": name})["window"]
        assert re.fullmatch(r"[a-z0-9_-]{0,63}", label)
        faults.tried()


@pytest.mark.parametrize("kind", ["mongodb", "rest_api"])
def test_values_of_any_text_go_through_a_whole_run_as_they_are(faults, arena, kind):
    """As notes of rows and as the run's own name: bound, never put into a statement."""
    lane = arena.lane()
    truth = {}
    for number, name in enumerate(HOSTILE, 1):
        lane.change(kind, number)
        lane.sources[kind].rows[number]["note"] = name
        truth[number] = {"id": number, "note": name}
    lane._write(kind, tuple(truth), lane.sources[kind].rows)
    request = lane.request(kind)
    object.__setattr__(request, "run_id", "x'; DROP TABLE things; --`\\")
    with lane.deployment() as deployment:
        before = look(deployment, lane.dataset_id(kind))
        run(deployment, request)
        after = look(deployment, lane.dataset_id(kind))
        check_settled(faults, before, after, Truth(truth))
        assert [load["run_id"] for load in after.loads] == [request.run_id]
    faults.tried(len(HOSTILE))
