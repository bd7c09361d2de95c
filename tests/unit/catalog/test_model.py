"""Datasets, sources and the catalog: what goes together, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tideline.catalog.column import MisdeclaredError
from tideline.catalog.model import Catalog, CsvDataset, HttpDataset, MongoDataset, Source
from tideline.errors import CatalogError

COLUMNS: dict[str, str] = {
    "id": "int64",
    "code": "string",
    "day": "date",
    "at": "timestamp",
    "share": "float64",
    "blob": "bytes",
    "anything": "json",
}


def columns(**more: Any) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [{"name": name, "type": type_} for name, type_ in COLUMNS.items()]
    return plain + [{"name": name, **keys} for name, keys in more.items()]


def mongo(**keys: Any) -> MongoDataset:
    given = {
        "name": "orders",
        "source": "shop",
        "database": "d",
        "collection": "c",
        "key": ("id",),
        "columns": columns(),
    }
    return MongoDataset.model_validate({**given, **keys})


def csv(**keys: Any) -> CsvDataset:
    given = {
        "name": "items",
        "source": "drops",
        "bucket": "bucket",
        "prefix": "items/",
        "key": ["id"],
        "columns": columns(),
    }
    return CsvDataset.model_validate({**given, **keys})


def http(**keys: Any) -> HttpDataset:
    given = {"name": "users", "source": "api", "path": "/users", "key": ["id"], "columns": columns()}
    return HttpDataset.model_validate({**given, **keys})


def findings(make: Any, **keys: Any) -> list[tuple[str, str]]:
    """Place and text of what the models' own checks find."""
    with pytest.raises(ValidationError) as caught:
        make(**keys)
    found = []
    for item in caught.value.errors():
        error = item["ctx"]["error"]
        assert isinstance(error, MisdeclaredError)
        found += [(".".join(map(str, (*item["loc"], *path))), text) for path, text in error.findings]
    return found


TAGS = {"type": "string", "repeated": True}
SHIPPING = {"type": "record", "columns": [{"name": "city", "type": "string"}]}


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        (
            {"key": ["idd"]},
            "key.0",
            "'idd' is not among the columns (did you mean id?); columns: id, code, day",
        ),
        (
            {"key": ["share"]},
            "key.0",
            "share is float64; name a single string, int64, numeric, bignumeric, bool",
        ),
        ({"key": ["anything"]}, "key.0", "anything is json; name a single"),
        ({"key": ["id", "id"]}, "key.1", "id is named twice; remove one"),
        ({"key": ["tags"], "columns": columns(tags=TAGS)}, "key.0", "tags is repeated string; name a single"),
        ({"key": ["s"], "columns": columns(s=SHIPPING)}, "key.0", "s is record; name a single"),
        ({"cluster_by": ["code", "blob"]}, "cluster_by.1", "blob is bytes; name a single"),
        ({"cluster_by": ["nope"]}, "cluster_by.0", "'nope' is not among the columns"),
        ({"change_column": "day"}, "change_column", "day is date; name a single timestamp, or none"),
        ({"change_column": "att"}, "change_column", "'att' is not among the columns (did you mean at?)"),
        (
            {"change_column": "t", "columns": columns(t={"type": "timestamp", "repeated": True})},
            "change_column",
            "t is repeated timestamp",
        ),
        (
            {"lookback": "1h"},
            "lookback",
            "needs a change_column to look back on: name one, or remove lookback",
        ),
        ({"partition": {"column": "x"}}, "partition.column", "'x' is not among the columns"),
        ({"partition": {"column": "id"}}, "partition.column", "id is int64; name a single date or timestamp"),
        (
            {"partition": {"column": "d"}, "columns": columns(d={"type": "date", "repeated": True})},
            "partition.column",
            "d is repeated date",
        ),
        (
            {"partition": {"column": "day", "granularity": "hour"}},
            "partition.granularity",
            "found hour, and day is a date; write day, month or year",
        ),
        (
            {"columns": columns(ID={"type": "date"})},
            "columns.7",
            "id is declared already, and BigQuery ignores",
        ),
        (
            {"columns": columns(x={"type": "date", "field": "id"})},
            "columns.7",
            "reads the field 'id' as id does",
        ),
        (
            {"columns": columns(_extra={"type": "json", "field": "e"})},
            "columns.7",
            "another name and add `field: e`",
        ),
    ],
)
def test_roles_that_a_column_cannot_play(keys: dict[str, Any], place: str, text: str) -> None:
    ((found_place, found),) = findings(mongo, **keys)
    assert found_place == place
    assert text in found


@pytest.mark.parametrize("field", ["meta.updated", "$updated", "up\0dated"])
def test_a_collection_is_asked_for_changes_by_a_plain_name(field: str) -> None:
    stamps = columns(changed={"type": "timestamp", "field": field})
    ((place, text),) = findings(mongo, columns=stamps, change_column="changed")
    assert place == "columns.7.field"
    assert field in text
    assert "name a plain field of the document itself" in text
    assert mongo(columns=stamps).change_column != "changed"
    assert csv(columns=stamps, change_column="changed").change_column == "changed"


def test_all_findings_of_a_dataset_come_together() -> None:
    found = findings(mongo, key=["x"], change_column="y", partition={"column": "z"}, cluster_by=["w"])
    assert [place for place, _ in found] == ["key.0", "cluster_by.0", "change_column", "partition.column"]


def test_key_columns_are_never_null() -> None:
    dataset = mongo(key=("code", "id"))
    assert [column.name for column in dataset.columns if not column.nullable] == ["id", "code"]
    ((place, text),) = findings(mongo, columns=columns(k={"type": "date", "nullable": True}), key=["k"])
    assert (place, text) == (
        "columns.7.nullable",
        "found true on a key column, which is never NULL; remove it",
    )


def test_a_partition_by_the_hour_wants_a_timestamp() -> None:
    dataset = mongo(partition={"column": "at", "granularity": "hour", "immutable": True})
    assert dataset.partition is not None
    assert (dataset.partition.granularity, dataset.partition.immutable) == ("hour", True)


def test_what_the_table_is_clustered_by() -> None:
    assert (mongo().clustering, mongo(cluster_by=["code"]).clustering) == (("id",), ("code",))


def test_a_column_that_is_not_there() -> None:
    assert mongo().column("at").type == "timestamp"
    with pytest.raises(KeyError, match="nope"):
        mongo().column("nope")


def test_records_may_be_nested_as_deep_as_bigquery_takes_them() -> None:
    nested: dict[str, Any] = {"type": "string"}
    for level in range(15):
        nested = {"type": "record", "columns": [{"name": f"level{level}", **nested}]}
    assert mongo(columns=columns(deep=nested)).column("deep").depth == 15
    deeper = {"type": "record", "columns": [{"name": "top", **nested}]}
    ((place, text),) = findings(mongo, columns=columns(deep=deeper))
    assert (place, text) == ("columns.7", "16 levels of records, BigQuery takes 15; declare one json")


def test_a_table_takes_ten_thousand_columns_with_tidelines_own() -> None:
    wide = [{"name": "id", "type": "int64"}] + [
        {"name": f"c{number}", "type": "date"} for number in range(9_991)
    ]
    assert len(mongo(columns=wide[:-1]).columns) == 9_991
    ((place, text),) = findings(mongo, columns=wide)
    assert (place, text) == ("columns", "9992 columns, nested ones included; a table takes 9991")


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        (
            {"columns": columns(tags=TAGS)},
            "columns.7",
            "found repeated, and a CSV field holds one value; write json",
        ),
        (
            {"columns": columns(s=SHIPPING)},
            "columns.7",
            "found record, and a CSV field holds one value; write json",
        ),
        ({"prefix": "s3://bucket/items/"}, "prefix", "write what follows the bucket, such as products/"),
        (
            {"prefix": "items"},
            "prefix",
            "would also take items_old/…; write items/ for the folder, or a prefix that",
        ),
        (
            {"dialect": {"quote": ","}},
            "dialect.quote",
            "found ',', the delimiter too; write another character",
        ),
    ],
)
def test_what_a_csv_family_cannot_be(keys: dict[str, Any], place: str, text: str) -> None:
    ((found_place, found),) = findings(csv, **keys)
    assert found_place == place
    assert text in found


@pytest.mark.parametrize("prefix", ["", "items/", "exports/items_", "dt=", "planes.csv", "a/planes.csv.gz"])
def test_prefixes_that_are_fine(prefix: str) -> None:
    assert csv(prefix=prefix).prefix == prefix


def test_a_whole_key_may_be_a_prefix_only_with_its_own_suffix() -> None:
    assert csv(prefix="a.tsv", suffixes=["", ".tsv"]).prefix == "a.tsv"
    ((place, _),) = findings(csv, prefix="a.tsv", suffixes=["", ".csv"])
    assert place == "prefix"


@pytest.mark.parametrize(
    ("keys", "place"),
    [
        ({"parameters": {"_limit": "5"}, "paging": {}}, "parameters._limit"),
        ({"parameters": {"p": "5"}, "paging": {"page_parameter": "p"}}, "parameters.p"),
        ({"paging": {"page_parameter": "p", "size_parameter": "p"}}, "paging.size_parameter"),
    ],
)
def test_parameters_that_paging_sets(keys: dict[str, Any], place: str) -> None:
    assert [found for found, _ in findings(http, **keys)] == [place]


def test_parameters_are_free_without_paging() -> None:
    assert http(parameters={"_page": "2"}).parameters == {"_page": "2"}


def source(*datasets: Any, **keys: Any) -> Source:
    first = datasets[0]
    given = {"name": first.source, "kind": first.kind, "connection": "c", "datasets": datasets}
    return Source.model_validate({**given, **keys})


def catalog(*sources: Source) -> Catalog:
    return Catalog(sources=sources)


@pytest.mark.parametrize(
    ("sources", "place", "text"),
    [
        ([source(mongo()), source(mongo(name="other"))], "sources.1", "another source is called shop too"),
        ([source(mongo(source="plan"))], "sources.0", "; write another name, such as plan_system"),
        ([source(mongo(), mongo())], "sources.0.datasets.0", "orders is declared twice; rename one"),
        ([source(mongo(), name="x")], "sources.0.datasets.0", "is of shop (mongodb), not of x (mongodb)"),
        (
            [source(mongo(), kind="s3_csv")],
            "sources.0.datasets.0",
            "is of shop (mongodb), not of shop (s3_csv)",
        ),
        (
            [source(http(source="a", name="b__c")), source(http(source="a__b", name="c"))],
            "sources.1.datasets.0",
            "a.b__c and a__b.c would both be a__b__c in the warehouse",
        ),
        (
            [source(csv(), csv(name="more", prefix="items/x/"))],
            "sources.0.datasets.1.prefix",
            "take the same obj",
        ),
        (
            [source(csv(prefix="items/x/"), csv(name="more"))],
            "sources.0.datasets.1.prefix",
            "take the same obj",
        ),
        (
            [source(csv()), source(csv(source="other"))],
            "sources.1.datasets.0.prefix",
            "of drops.items take the same",
        ),
        (
            [source(csv(), csv(name="all", prefix=""))],
            "sources.0.datasets.1.prefix",
            "take the same objects of buck",
        ),
    ],
)
def test_what_does_not_go_together_in_a_catalog(sources: list[Source], place: str, text: str) -> None:
    found = findings(catalog_of, sources=sources)
    assert found[0][0] == place
    assert text in found[0][1]


def catalog_of(sources: list[Source]) -> Catalog:
    return catalog(*sources)


@pytest.mark.parametrize(
    ("one", "two"),
    [(".gz", ".csv.gz"), (".csv.gz", ".gz"), ("", ".csv"), (".csv", ".csv"), (".csv", ".CSV")],
)
def test_suffixes_that_meet_do_not_tell_datasets_apart(one: str, two: str) -> None:
    sources = [source(csv(suffixes=[".x", one]), csv(name="more", suffixes=[two, ".y"]))]
    assert [place for place, _ in findings(catalog_of, sources=sources)] == ["sources.0.datasets.1.prefix"]


@pytest.mark.parametrize(
    "sources",
    [
        [source(csv(), csv(name="more", prefix="items_old/"))],
        [source(csv(), csv(name="more", suffixes=[".tsv"]))],
        [source(csv(), csv(name="more", bucket="other"))],
        [source(csv()), source(csv(source="other"), connection="another_server")],
        [source(csv()), source(http()), source(mongo())],
    ],
    ids=["prefix", "suffix", "bucket", "connection", "kinds"],
)
def test_neighbours_that_are_fine(sources: list[Source]) -> None:
    assert len(catalog(*sources).datasets) == sum(len(each.datasets) for each in sources)


def test_datasets_are_found_by_id() -> None:
    both = catalog(source(mongo()), source(csv()))
    assert both.dataset("drops.items") is both.datasets[1]
    assert both.source_of(both.datasets[1]) is both.sources[1]
    with pytest.raises(
        CatalogError, match=r"no dataset 'shop\.order' \(did you mean shop\.orders\?\).*choose one of shop"
    ):
        both.dataset("shop.order")
    with pytest.raises(CatalogError, match="there is no source 'api'"):
        both.source_of(http())


def test_declarations_are_frozen() -> None:
    for declaration in (mongo(), catalog(source(mongo())), csv().dialect):
        with pytest.raises(ValidationError, match="frozen"):
            declaration.name = "x"
