"""Every mistake is answered with file, line, key, what was found and what to write."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tideline.catalog.loader import fingerprint, load_catalog
from tideline.catalog.model import Catalog, CsvDataset, HttpDataset, MongoDataset
from tideline.errors import CatalogError
from tideline.settings import Settings

MONGO = """\
source: shop
kind: mongodb
connection: tideline_mongodb
database: shop
datasets:
  orders:
    key: [id]
    change_column: updated_at
    lookback: 1h
    columns:
      id: {field: _id, type: int64}
      amount: numeric(12, 2)
      updated_at: timestamp
"""
CSV = MONGO.replace("mongodb", "s3_csv").replace("database: shop", "bucket: drops")
HTTP = """\
source: api
kind: rest_api
connection: api
datasets:
  users:
    key: [id]
    columns:
      id: int64
"""
MISTAKES = Path(__file__).parents[2] / "cases" / "catalog" / "mistakes.txt"
Refusal = Callable[..., str]
LOOKBACK, AMOUNT, KEY = "    lookback: 1h", "amount: numeric(12, 2)", "    key: [id]"


def test_the_shipped_catalog_is_read_in_the_order_of_files() -> None:
    catalog = load_catalog(Settings().catalog_dir)
    assert [source.name for source in catalog.sources] == ["jsonplaceholder", "shop_mongodb", "shop_s3"]
    assert [dataset.dataset_id for dataset in catalog.datasets][:2] == [
        "jsonplaceholder.users",
        "jsonplaceholder.posts",
    ]
    assert len(catalog.datasets) == 11
    orders = catalog.dataset("shop_mongodb.orders")
    assert isinstance(orders, MongoDataset)
    assert (orders.database, orders.collection, orders.key) == ("shop", "orders", ("id",))
    assert orders.column("amount").decimal == (12, 2)
    assert orders.column("shipping").columns[0].name == "carrier"
    assert catalog.source_of(orders).connection == "tideline_mongodb"


@pytest.mark.parametrize("text", [MONGO, CSV, HTTP], ids=["mongodb", "s3_csv", "rest_api"])
def test_the_templates_of_these_tests_are_right(text: str, tmp_path: Path, either_parser: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    catalog = load_catalog(tmp_path)
    assert isinstance(catalog, Catalog)
    assert pickle.loads(pickle.dumps(catalog)) == catalog


def test_what_is_not_given_follows_from_the_dataset_name(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MONGO)
    (tmp_path / "b.yml").write_text(CSV.replace("source: shop", "source: drops"))
    (tmp_path / "c.YAML").write_text(HTTP)
    mongo, csv, http = load_catalog(tmp_path).datasets
    assert isinstance(mongo, MongoDataset)
    assert isinstance(csv, CsvDataset)
    assert isinstance(http, HttpDataset)
    assert (mongo.collection, csv.prefix, http.path) == ("orders", "orders/", "/users")
    assert (mongo.database, csv.bucket) == ("shop", "drops")


def test_values_carry_no_trace_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MONGO)
    (dataset,) = load_catalog(tmp_path).datasets
    assert {
        type(value) for value in (dataset.name, dataset.source, dataset.key[0], dataset.columns[0].field)
    } == {str}


@pytest.mark.parametrize("word", ["no", "on", "yes", "null", "y", "e1", "_1"])
def test_words_that_yaml_reads_otherwise_are_names_like_others(word: str, tmp_path: Path) -> None:
    text = MONGO.replace(AMOUNT, f"{word}: string").replace("orders:", "no:").replace(": shop", ": on")
    (tmp_path / "a.yaml").write_text(text)
    (dataset,) = load_catalog(tmp_path).datasets
    assert isinstance(dataset, MongoDataset)
    assert (dataset.columns[1].name, dataset.name, dataset.database) == (word, "no", "on")


@pytest.mark.parametrize(("word", "flag"), [("no", False), ("Off", False), ("TRUE", True), ("yes", True)])
def test_flags_are_read_as_yaml_1_1_does(word: str, flag: bool, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MONGO.replace(AMOUNT, f"amount: {{type: string, nullable: {word}}}"))
    (dataset,) = load_catalog(tmp_path).datasets
    assert dataset.column("amount").nullable is flag


def test_query_parameters_stay_as_they_are_written(tmp_path: Path) -> None:
    parameters = "    parameters: {page: 010, active: yes, since: 2026-01-31, ratio: 1.10}\n"
    (tmp_path / "a.yaml").write_text(HTTP.replace(KEY, parameters + KEY))
    (dataset,) = load_catalog(tmp_path).datasets
    assert isinstance(dataset, HttpDataset)
    assert dataset.parameters == {"page": "010", "active": "yes", "since": "2026-01-31", "ratio": "1.10"}


def test_anchors_and_merges_save_repetition(tmp_path: Path) -> None:
    more = (
        "  refunds:\n    key: [id]\n    columns:\n      order_id: int64\n      <<: *all\n      id: string\n"
    )
    (tmp_path / "a.yaml").write_text(MONGO.replace("    columns:", "    columns: &all") + more)
    orders, refunds = load_catalog(tmp_path).datasets
    assert [column.name for column in refunds.columns] == ["order_id", "id", "amount", "updated_at"]
    assert (orders.column("id").type, refunds.column("id").type) == ("int64", "string")


def _mistakes() -> Iterator[Any]:
    """kind, what stands in the template, what is written instead, the answer's lines."""
    for case in MISTAKES.read_text().split("### ")[1:]:
        title, *lines = case.strip().split("\n")
        parts = {sign: [line[2:] for line in lines if line[0] == sign] for sign in "-+="}
        there, instead = "\n".join(parts["-"]), "\n".join(parts["+"])
        kind = title.partition(":")[0]
        yield pytest.param(kind, there if instead else f"{there}\n", instead, parts["="], id=title)


@pytest.mark.parametrize(("kind", "there", "instead", "answer"), [*_mistakes()])
def test_a_mistake_is_answered(
    kind: str, there: str, instead: str, answer: list[str], refusal: Refusal
) -> None:
    template = {"mongodb": MONGO, "s3_csv": CSV, "rest_api": HTTP}[kind]
    assert there in template
    said = refusal(template.replace(there, instead, 1)).splitlines()
    assert said[-len(answer) :] == [f"file0.yaml:{line}" for line in answer]
    assert len(said) == (1 if len(answer) == 1 else len(answer) + 1)


def test_the_cases_are_read() -> None:
    assert len([*_mistakes()]) > 70


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            MONGO.replace("amount", "x" * 301),
            'x…"; write letters, digits and _ only, beginning with a letter or _',
        ),
        (
            MONGO.replace(AMOUNT, f"a: {{type: json, description: {'y' * 1025}}}"),
            "write at most 1024 characters",
        ),
        (
            MONGO[: MONGO.index("  orders")],
            "file0.yaml:5: datasets: found nothing; write a mapping, for example",
        ),
        (f"{HTTP}---\n{HTTP}", "file0.yaml:9: found a second document; give each source a file of its own"),
        (
            "# all of it\n",
            "file0.yaml:1: found nothing; write a mapping with the keys source, kind, connection and",
        ),
        (
            "",
            "file0.yaml:1: found nothing; write a mapping with the keys source, kind, connection and",
        ),
        (
            "- source: x\n",
            "file0.yaml:1: found a list of 1; write a mapping with the keys source, kind, conn",
        ),
        (
            "shop",
            "file0.yaml:1: found shop; write a mapping with the keys source, kind, connection and datasets",
        ),
        (
            HTTP.replace("int64", "[" * 100_000),
            "datasets.users.columns: nested deeper than 64 levels; close what is",
        ),
    ],
    ids=["name", "description", "no datasets", "documents", "comment", "empty", "list", "text", "nesting"],
)
def test_a_file_that_is_wrong_as_a_whole(text: str, answer: str, refusal: Refusal) -> None:
    assert answer in refusal(text)


def test_all_problems_of_all_files_are_in_one_message_in_the_order_of_lines(refusal: Refusal) -> None:
    said = refusal(
        MONGO.replace("int64", "integer").replace("key:", "kye:").replace("connection", "conn_id"),
        HTTP.replace("path", "x").replace("int64", "number"),
    )
    assert [line.split(": ")[:2] for line in said.splitlines()[1:]] == [
        ["file0.yaml:3", "conn_id"],
        ["file0.yaml:7", "datasets.orders.kye"],
        ["file0.yaml:11", "datasets.orders.columns.id.type"],
        ["file1.yaml:8", "datasets.users.columns.id.type"],
    ]
    assert said.splitlines()[0] == "4 problems:"


@pytest.mark.parametrize(("problems", "lines", "last"), [(70, 52, "… and 20 more"), (51, 52, "… and 1 more")])
def test_a_long_list_of_problems_is_cut(problems: int, lines: int, last: str, refusal: Refusal) -> None:
    columns = "".join(f"      c{number}: varchar\n" for number in range(problems))
    said = refusal(MONGO + columns).splitlines()
    assert (said[0], said[-1], len(said)) == (f"{problems} problems:", last, lines)


def test_a_list_that_is_just_short_enough_is_whole(refusal: Refusal) -> None:
    columns = "".join(f"      c{number}: varchar\n" for number in range(50))
    said = refusal(MONGO + columns).splitlines()
    assert len(said) == 51
    assert "datasets.orders.columns.c49.type: found varchar" in said[-1]


WORDS = [
    "",
    "~",
    "[]",
    "{}",
    "[{}]",
    "-1",
    "no",
    "[a]",
    "{a: b}",
    "*x",
    "&x",
    "<<",
    "!!int 1",
    "'",
    '"',
    "|",
    "- x",
    "? ",
]
WORDS += [
    ":",
    "#",
    "\u00e9",
    "\x00",
    "9" * 400,
    "id",
    "key",
    "columns",
    "type",
    "name",
    "rest_api",
    "@",
    "{{ x }}",
    "paging",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_mistyped_is_loaded_or_refused_by_line(data: st.DataObject, tmp_path: Path) -> None:
    lines = data.draw(st.sampled_from([MONGO, CSV, HTTP])).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.integers(0, len(lines) - 1))
        key, _, value = lines[number].partition(": ")
        word = data.draw(st.sampled_from(WORDS))
        changes = [
            f"{key}: {word}",
            f"{word}: {value}",
            f"      {lines[number]}",
            lines[number].lstrip(),
            "",
            key + word,
        ]
        lines[number] = data.draw(st.sampled_from(changes))
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    try:
        load_catalog(tmp_path)
        said = []
    except CatalogError as error:
        said = [line for line in str(error).splitlines() if not line.endswith(" problems:")] or ["nothing"]
    assert all(re.match(rf"{re.escape(str(tmp_path))}/a\.yaml:[0-9]+: .", line) for line in said)


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (
            b"source: \xe9t\xe9\n",
            "file0.yaml:1: found the byte 0xE9, which is not UTF-8; save the file as UTF-8",
        ),
        (
            MONGO.encode("utf-16"),
            "file0.yaml:1: found the byte 0xFF, which is not UTF-8; save the file as UTF-8",
        ),
        (b"a: b\nc: \x01\n", "file0.yaml:2: found the control character U+0001; remove it"),
        (b"\x00", "file0.yaml:1: found the control character U+0000; remove it"),
        (b"#" * (8 << 20) + b"\n", "file0.yaml:1: more than 8388608 bytes; a catalog file is no data file"),
    ],
    ids=["latin-1", "utf-16", "control character", "nul", "huge"],
)
def test_bytes_that_are_no_text(body: bytes, answer: str, refusal: Refusal) -> None:
    assert refusal(body).startswith(answer)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + MONGO.replace("\n", "\r\n").encode())
    assert len(load_catalog(tmp_path).datasets) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"cannot be read: No such file.*absent.*set TIDELINE_CATALOG_DIR"):
        load_catalog(tmp_path / "absent")


def test_a_file_instead_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(MONGO)
    with pytest.raises(CatalogError, match=r"cannot be read: Not a directory"):
        load_catalog(tmp_path / "a.yaml")


def test_a_folder_without_catalog_files(tmp_path: Path) -> None:
    (tmp_path / "catalog.schema.json").write_text("{}")
    (tmp_path / ".#shop.yaml").write_text(MONGO)
    with pytest.raises(CatalogError, match=r"holds no \*\.yaml or \*\.yml.*TIDELINE_CATALOG_DIR"):
        load_catalog(tmp_path)


def test_a_folder_instead_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").mkdir()
    with pytest.raises(
        CatalogError, match=r"a\.yaml:1: cannot be read: Is a directory; make it a readable file"
    ):
        load_catalog(tmp_path)


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to(tmp_path / "gone")
    with pytest.raises(CatalogError, match=r"a\.yaml:1: cannot be read: No such file"):
        load_catalog(tmp_path)


def test_two_files_of_one_source(refusal: Refusal) -> None:
    said = refusal(HTTP, HTTP.replace("source: api", "# again\nsource: api"))
    assert said.startswith("file1.yaml:2: source: another source is called api too; rename one")


def test_two_datasets_of_one_table_name(refusal: Refusal) -> None:
    one = HTTP.replace("source: api", "source: a").replace("users:", "b__c:")
    two = HTTP.replace("source: api", "source: a__b").replace("users:", "c:")
    said = refusal(one, two)
    assert said.startswith(
        "file1.yaml:5: datasets.c: a.b__c and a__b.c would both be a__b__c in the warehouse"
    )


def test_two_datasets_that_take_the_same_objects(refusal: Refusal) -> None:
    more = "  items:\n    prefix: orders/items/\n    key: [id]\n    columns: {id: int64}\n"
    said = refusal(CSV + more)
    assert said.startswith(
        'file0.yaml:15: datasets.items.prefix: "orders/items/" and the "orders/" of shop.orders take'
    )


def test_a_line_is_given_for_what_is_merged_in(refusal: Refusal) -> None:
    text = MONGO.replace("    columns:", "    columns: &all").replace("numeric(12, 2)", "number")
    text += "  more:\n    key: [id]\n    columns: {<<: *all}\n"
    assert refusal(text).splitlines()[1:] == [
        f"file0.yaml:12: datasets.{name}.columns.amount.type: found number; write one of string, int64, "
        "float64, numeric(p, s), bignumeric(p, s), bool, date, timestamp, bytes, json, "
        "record (did you mean numeric?)"
        for name in ("orders", "more")
    ]


def test_the_import_is_light() -> None:
    code = "import sys, tideline.catalog.loader, tideline.catalog.schema; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"airflow", "pyarrow", "boto3", "pymongo", "jsonschema", "pandas", "google.cloud.bigquery"}
    assert "tideline.catalog.loader" in done.stdout.split()
    assert not heavy & set(done.stdout.split())


def _dataset(text: str, folder: Path) -> Any:
    (folder / "a.yaml").write_text(text)
    return load_catalog(folder).datasets[0]


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("1h", "60m"),
        (LOOKBACK, f"{LOOKBACK}\n    description: What people bought."),
        ("type: int64", "type: int64, description: Number., nullable: false"),
        (AMOUNT, "amount: {type: 'NUMERIC( 12,2 )', field: amount, nullable: true}"),
        (LOOKBACK, f"{LOOKBACK}\n    quarantine_threshold: 0.05\n    collection: orders"),
        ("kind: mongodb\nconnection: tideline_mongodb", "connection: other\nkind: mongodb"),
    ],
    ids=["duration", "description", "key column", "type", "defaults", "connection"],
)
def test_the_same_declaration_has_the_same_fingerprint(there: str, instead: str, tmp_path: Path) -> None:
    assert there in MONGO
    before = fingerprint(_dataset(MONGO, tmp_path))
    assert fingerprint(_dataset(MONGO.replace(there, instead), tmp_path)) == before
    assert len(before) == 16
    assert int(before, 16) >= 0


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("1h", "61m"),
        ("numeric(12, 2)", "numeric(12, 3)"),
        ("field: _id, ", ""),
        (AMOUNT, "description: numeric(12, 2)"),
        (f"{AMOUNT}\n      updated_at: timestamp", f"updated_at: timestamp\n      {AMOUNT}"),
        (AMOUNT, "amount: {type: record, columns: {a: string}}"),
        (AMOUNT, "amount: {type: 'numeric(12, 2)', nullable: false}"),
        ("source: shop", "source: other"),
        ("database: shop", "database: other"),
        (LOOKBACK, f"{LOOKBACK}\n    collection: other"),
        (LOOKBACK, f"{LOOKBACK}\n    partition: {{column: updated_at}}"),
        (LOOKBACK, f"{LOOKBACK}\n    quarantine_threshold: 0.1"),
    ],
)
def test_another_declaration_has_another_fingerprint(there: str, instead: str, tmp_path: Path) -> None:
    assert there in MONGO
    before = fingerprint(_dataset(MONGO, tmp_path))
    assert fingerprint(_dataset(MONGO.replace(there, instead), tmp_path)) != before


def test_a_parameter_called_description_counts(tmp_path: Path) -> None:
    one, two = (HTTP.replace(KEY, f"    parameters: {{description: {word}}}\n{KEY}") for word in ("a", "b"))
    assert fingerprint(_dataset(one, tmp_path)) != fingerprint(_dataset(two, tmp_path))


def test_fingerprints_are_pinned(tmp_path: Path) -> None:
    """Manifests hold them: a change of the algorithm makes every dataset look changed once."""
    assert [fingerprint(_dataset(text, tmp_path)) for text in (MONGO, CSV, HTTP)] == [
        "e7de26e8cdfab15b",
        "51d28dd98c754231",
        "da75f43713c54da6",
    ]
    assert len({fingerprint(dataset) for dataset in load_catalog(Settings().catalog_dir).datasets}) == 11


def test_the_shipped_files_are_yaml_to_others_too() -> None:
    for path in sorted(Settings().catalog_dir.glob("*.yaml")):
        assert yaml.safe_load(path.read_text())["source"] == path.stem
