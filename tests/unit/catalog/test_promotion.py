"""Promotion: what the edit looks like, that nothing else changes, and what it refuses."""

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from tideline.catalog.loader import load_catalog
from tideline.catalog.promotion import column_name, promote, suggested_type
from tideline.errors import CatalogError
from tideline.refine.json import JsonDecoder
from tideline.refine.json_text import items_of

SHOP = Path(__file__).parents[3] / "include" / "catalog"
HEAD = "source: shop\nkind: mongodb\nconnection: tideline_mongodb\ndatabase: shop\ndatasets:\n"
ORDERS = """\
  orders:
    key: [id]
    columns:
      id: int64   # the number
      # what it costs
      amount: "numeric(12, 2)"  # never a float
      shipping:
        type: record
        columns:
          city: string

      items:
        type: record
        repeated: true
        columns: {sku: string, "price": "numeric(12, 2)"}
    # after the columns
    unknown_columns: evolve

  # the next one
  charges: {key: [id], columns: {id: int64, note: {type: string, description: "a, b"},}}
"""


@pytest.fixture
def catalog(tmp_path):
    def make(text=HEAD + ORDERS):
        (tmp_path / "shop.yaml").write_bytes(text.encode())
        return tmp_path

    return make


def added(promotion):
    """The lines that the diff adds; it must take none away but those it adds to."""
    lines = promotion.diff.splitlines()[2:]
    return [line[1:] for line in lines if line.startswith("+")], [
        line[1:] for line in lines if line.startswith("-")
    ]


@pytest.mark.parametrize(
    ("dataset", "field", "kind", "plus", "minus"),
    [
        pytest.param("orders", "tier", "string", ["      tier: string"], [], id="after-blocks"),
        pytest.param("orders", "loyaltyTier", "numeric(9, 2)",
                     ['      loyalty_tier: {field: loyaltyTier, type: "numeric(9, 2)"}'], [], id="renamed"),
        pytest.param("orders", "total", "numeric(9, 2)", ["      total: numeric(9, 2)"], [], id="digits"),
        pytest.param("orders", "e-mail: x", "string", ['      e_mail_x: {field: "e-mail: x", type: string}'], [],
                     id="hostile-name"),
        pytest.param("orders", "shipping.insured", "bool", ["          insured: bool"], [], id="in-a-record"),
        pytest.param("orders", "items[].by", "numeric(9, 2)",
                     ['        columns: {sku: string, "price": "numeric(12, 2)", by: "numeric(9, 2)"}'],
                     ['        columns: {sku: string, "price": "numeric(12, 2)"}'], id="in-braces"),
        pytest.param("charges", "tier", "string",
                     ['  charges: {key: [id], columns: {id: int64, note: {type: string, description: "a, b"}, tier: string,}}'],
                     ['  charges: {key: [id], columns: {id: int64, note: {type: string, description: "a, b"},}}'],
                     id="after-a-comma"),
        pytest.param("orders", "amount", "bignumeric", ['      amount: "bignumeric"  # never a float'],
                     ['      amount: "numeric(12, 2)"  # never a float'], id="another-type"),
        pytest.param("charges", "note", "json",
                     ['  charges: {key: [id], columns: {id: int64, note: {type: json, description: "a, b"},}}'],
                     ['  charges: {key: [id], columns: {id: int64, note: {type: string, description: "a, b"},}}'],
                     id="another-type-of-a-mapping"),
    ],
)  # fmt: skip
def test_the_diff_is_the_one_line(catalog, dataset, field, kind, plus, minus):
    promotion = promote(catalog(), f"shop.{dataset}", field, kind)
    assert added(promotion) == (plus, minus)
    assert promotion.column.field == field.rpartition(".")[2]
    promotion.write()
    after = load_catalog(promotion.path.parent)
    assert promotion.column in [
        column for d in after.datasets for top in d.columns for column in (top, *top.columns)
    ]


def test_a_block_goes_on_where_it_ended(catalog):
    lines = promote(catalog(), "shop.orders", "tier", "string").after.splitlines()
    at = lines.index("      tier: string")
    assert lines[at - 1].startswith("        columns: {sku")
    assert lines[at + 1] == "    # after the columns"


@pytest.mark.parametrize("end", ["", "\n", "\n\n# the end\n"], ids=["no-newline", "newline", "comment"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
def test_every_byte_around_stays(catalog, end, newline, mark):
    text = (HEAD + "  orders:\n    key: [id]\n    columns:\n      id: int64  # last").replace("\n", newline)
    before = mark + text + end.replace("\n", newline)
    promotion = promote(catalog(before), "shop.orders", "tier", "string")
    assert promotion.before == before
    assert promotion.after == f"{mark}{text}{newline}      tier: string{end.replace(chr(10), newline)}"
    assert promotion.diff.count("\n+") == 2 + (end == "")


def test_a_folded_description_as_the_last_thing(catalog):
    text = (
        HEAD
        + "  orders:\n    key: [id]\n    columns:\n      id:\n        type: int64\n        description: >\n          long\n          text\n\n    unknown_columns: evolve\n"
    )
    after = promote(catalog(text), "shop.orders", "tier", "string").after
    assert "          text\n      tier: string\n\n    unknown_columns" in after


def test_every_dataset_of_the_shop_can_take_a_field(tmp_path):
    for path in SHOP.glob("*.yaml"):
        shutil.copy(path, tmp_path)
    before = load_catalog(tmp_path)
    for dataset in before.datasets:
        promote(tmp_path, dataset.dataset_id, "loyaltyTier", "string").write()
    promote(tmp_path, "shop_mongodb.orders", "status_history[].by", "string").write()
    promote(tmp_path, "shop_mongodb.customers", "marketing.since", "timestamp").write()
    after = load_catalog(tmp_path)
    assert [d.columns[-1].name for d in after.datasets] == ["loyalty_tier"] * len(before.datasets)
    assert [len(d.columns) - 1 for d in after.datasets] == [len(d.columns) for d in before.datasets]


@pytest.mark.parametrize(
    ("dataset", "field", "kind", "message"),
    [
        pytest.param("nothing", "tier", "string", "there is no dataset", id="dataset"),
        pytest.param("orders", "amount", "numeric(12, 2)", "declared already", id="declared"),
        pytest.param("orders", "tier", "varchar", "would not load: .*shop.yaml.*tier", id="type"),
        pytest.param("orders", "Amount", "string", "'Amount' is taken by the column of 'amount'.* such as `amount_2: "
                     "{field: 'Amount', type: 'string'}`", id="name-is-taken"),
        pytest.param("orders", "items[].SKU", "string", "such as `sku_2: {field: 'SKU'", id="taken-in-a-record"),
        pytest.param("orders", "tier", "string, nullable: false", "would not load", id="more-than-a-type"),
    ],
)  # fmt: skip
def test_refused(catalog, dataset, field, kind, message):
    folder = catalog()
    before = (folder / "shop.yaml").read_bytes()
    with pytest.raises(CatalogError, match=message) as refused:
        promote(folder, f"shop.{dataset}", field, kind)
    assert "tideline-promote" not in str(refused.value)
    assert (folder / "shop.yaml").read_bytes() == before


def test_shared_columns_are_left_to_a_person(catalog):
    shared = (
        "  orders: {key: [id], columns: &columns {id: int64}}\n  charges: {key: [id], columns: *columns}\n"
    )
    with pytest.raises(CatalogError, match="by hand"):
        promote(catalog(HEAD + shared), "shop.charges", "tier", "string")
    merged = "  orders: &orders\n    key: [id]\n    columns: {id: int64}\n  charges:\n    <<: *orders\n"
    with pytest.raises(CatalogError, match="by hand"):
        promote(catalog(HEAD + merged), "shop.charges", "tier", "string")


def test_a_file_that_was_changed_meanwhile_is_kept(catalog):
    promotion = promote(catalog(), "shop.orders", "tier", "string")
    promotion.path.write_text(promotion.before + "# mine\n")
    with pytest.raises(CatalogError, match="changed meanwhile"):
        promotion.write()
    assert promotion.path.read_text().endswith("# mine\n")
    assert [path.name for path in promotion.path.parent.iterdir()] == ["shop.yaml"]


def test_a_file_that_cannot_be_written_says_so(catalog):
    promotion = promote(catalog(), "shop.orders", "tier", "string")
    promotion.path.unlink()
    with pytest.raises(CatalogError, match="cannot be written"):
        promotion.write()


@pytest.mark.parametrize(
    ("field", "name"),
    [("loyaltyTier", "loyalty_tier"), ("HTTPCode", "httpcode"), ("e-mail", "e_mail"), ("2fa", "field_2fa"), ("é", "field"),
     ("_extra", "extra")],
)  # fmt: skip
def test_names_of_columns(field, name):
    assert column_name(field) == name


def test_suggested_types_take_what_they_were_suggested_for():
    shop = load_catalog(SHOP)
    orders, products = shop.dataset("shop_mongodb.orders"), shop.dataset("shop_s3.products")
    assert [suggested_type(orders, kind) for kind in ("double", "decimal128", "date", "array", "null", "regex")] == [
        "float64", "bignumeric", "timestamp", "json", None, None,
    ]  # fmt: skip
    assert suggested_type(products, "12") == "string"


@pytest.mark.parametrize("text", ["19.99", "52.520006599999995", "1e-12", "123456789012345678901234567890"])
def test_the_type_for_a_number_of_json_takes_it(catalog, text):
    path = catalog(
        "source: api\nkind: rest_api\nconnection: api\ndatasets:\n  p: {key: [id], columns: {id: int64}}\n"
    )
    suggested = suggested_type(load_catalog(path).dataset("api.p"), "number")
    promote(path, "api.p", "lat", suggested).write()
    body = f'[{{"id": 1, "lat": {text}}}]'

    decoded = JsonDecoder(load_catalog(path).dataset("api.p")).decode(body, items_of(body, ()), 0)

    assert decoded.rejects == []
    assert decoded.batch.column("lat")[0].as_py() == Decimal(text)
