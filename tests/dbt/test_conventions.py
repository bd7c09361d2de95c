"""What every model keeps to, read from the manifest: names, layers, keys, contracts, descriptions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

DBT_DIR = Path(__file__).resolve().parents[2] / "dbt"
LAYERS = {
    "staging": re.compile(r"stg_[a-z0-9_]+__[a-z0-9_]+"),
    "intermediate": re.compile(r"int_[a-z0-9_]+"),
    "marts": re.compile(r"(dim|fct|rpt)_[a-z0-9_]+"),
}
FACTS = {
    "fct_orders": "order_id",
    "fct_order_items": "order_item_id",
    "fct_charges": "charge_id",
    "fct_order_status_changes": "order_status_change_id",
}
VERSIONS = {
    "dim_customer_versions": "customer_version_id",
    "dim_product_versions": "product_version_id",
}
SUMS = {
    "int_order_status_days": "order_status_day_id",
    "int_charge_days": "charge_day_id",
    "int_product_weeks": "product_week_id",
}
"""Sums by the month of the orders, from which a report is made whole."""
MONTHLY = {**FACTS, **SUMS, "dim_customers": "customer_id"}
"""They write the months that were touched."""
WHOLE = {
    "rpt_daily_sales": "daily_sales_id",
    "rpt_daily_geography": "daily_geography_id",
    "rpt_daily_payments": "daily_payments_id",
    "rpt_order_status_mix": "order_status_mix_id",
    "int_product_groups": "product_id",
}
"""They write all of their rows, those of months that were not touched as they were."""
LEDGER = "stg_tideline__loads"
CLOCK = "rpt_freshness"
"""Says of which time everything else is, and is read first."""
BOOKS = {f"source.tideline.tideline.{name}" for name in ("load_ledger", "build_ledger", "build_places")}
MOST_MODELS = 38
"""The hourly DAG runs each model as a task, and each takes seconds."""


@pytest.fixture
def models(parsed):
    found = {n["name"]: n for n in parsed["nodes"].values() if n["resource_type"] == "model"}
    assert 20 <= len(found) <= MOST_MODELS
    return found


@pytest.fixture
def data_tests(parsed):
    found = [n for n in parsed["nodes"].values() if n["resource_type"] == "test"]
    assert len(found) >= 50
    return found


def layer(node):
    return node["path"].split("/")[0]


def parents(node, parsed):
    for unique_id in node["depends_on"]["nodes"]:
        yield parsed["sources"].get(unique_id) or parsed["nodes"][unique_id]


def test_names_say_the_layer(models):
    for name, node in models.items():
        assert LAYERS[layer(node)].fullmatch(name), node["path"]
        assert node["schema"] == layer(node)


def test_every_dataset_has_one_staging_model(models, catalog):
    staging = {name for name, node in models.items() if layer(node) == "staging"}
    assert staging == {LEDGER, *(f"stg_{d.source}__{d.name}" for d in catalog.datasets)}


def test_staging_reads_one_source_and_nothing_else(models, parsed):
    for name, node in models.items():
        if layer(node) == "staging":
            (parent,) = parents(node, parsed)
            table = "loads" if name == LEDGER else parent["name"]
            assert name == f"stg_{parent['source_name']}__{table}"


def test_staging_leaves_out_what_was_deleted(models):
    for node in models.values():
        if layer(node) == "staging" and node["name"] != LEDGER:
            assert "where _deleted_at is null" in node["raw_code"], node["path"]


def test_only_staging_reads_rows_of_sources(models, parsed):
    """Others ask the ledgers what was touched, and name the raw tables that they ask about."""
    for node in models.values():
        if layer(node) != "staging":
            code = node["raw_code"]
            asked = code.count("'table': source(")
            assert code.count("source(") == asked, node["path"]
            raw = {one for one in node["depends_on"]["nodes"] if one.startswith("source.")} - BOOKS
            assert len(raw) == asked, node["path"]
            kinds = {parent["resource_type"] for parent in parents(node, parsed)}
            assert kinds <= {"model", "seed", "source"}, node["path"]


def rank(node):
    """Staging, then facts and dimensions, the sums of facts, reports."""
    return ("stg", "fct", "int", "rpt").index({"dim": "fct"}.get(node["name"][:3], node["name"][:3]))


def test_models_are_read_upwards(models, parsed):
    for node in models.values():
        for parent in parents(node, parsed):
            if parent["resource_type"] == "model" and parent["name"] != CLOCK:
                assert rank(parent) <= rank(node), node["path"]


def test_intermediate_models_keep_what_a_report_would_search_for(models, parsed):
    for node in models.values():
        if layer(node) == "intermediate":
            children = [c for c in parsed["child_map"][node["unique_id"]] if c.startswith("model.")]
            assert children, node["path"]
            assert node["name"] in {**SUMS, **WHOLE, "int_customer_days": ""}, node["path"]


def test_views_below_tables(models):
    for node in models.values():
        kinds = {"view"} if layer(node) == "staging" else {"table", "incremental"}
        assert node["config"]["materialized"] in kinds, node["path"]


def test_everything_is_described(parsed):
    nodes = [n for n in parsed["nodes"].values() if n["resource_type"] in ("model", "seed")]
    assert [n["path"] for n in nodes if not n["description"]] == []
    bare = [f"{n['name']}.{c['name']}" for n in nodes for c in n["columns"].values() if not c["description"]]
    assert bare == []


def test_the_first_column_is_a_tested_key(parsed, data_tests):
    tested = {
        (t["attached_node"], t["column_name"], t["test_metadata"]["name"])
        for t in data_tests
        if t["column_name"]
    }
    for node in parsed["nodes"].values():
        if node["resource_type"] in ("model", "seed"):
            key = next(iter(node["columns"]))
            assert (node["unique_id"], key, "is_key") in tested, f"{node['name']}.{key}"


def test_marts_are_contracts_that_others_may_read(models):
    for node in models.values():
        if layer(node) != "marts":
            assert node["access"] == "protected", node["path"]
            continue
        assert node["contract"]["enforced"], node["path"]
        assert node["access"] == "public"
        assert all(column["data_type"] for column in node["columns"].values())
        key = next(iter(node["columns"].values()))
        assert {"not_null"} == {constraint["type"] for constraint in key["constraints"]}, node["path"]


def test_every_model_belongs_to_a_group_with_an_owner(models, parsed):
    owners = {group["name"]: group["owner"] for group in parsed["groups"].values()}
    for node in models.values():
        assert owners[node["group"]]["email"], node["path"]


def test_incremental_models_are_merged_by_key(models):
    incremental = {name: n for name, n in models.items() if n["config"]["materialized"] == "incremental"}
    keys = {name: node["config"]["unique_key"] for name, node in incremental.items()}
    assert keys == MONTHLY | WHOLE | VERSIONS
    for name, node in incremental.items():
        config = node["config"]
        assert config["incremental_strategy"] == "merge", name
        assert config["on_schema_change"] == "append_new_columns", name
        assert set(config.get("cluster_by") or ()) <= set(node["columns"]), name


def test_what_writes_months_lies_in_them_and_keeps_the_ledger(models):
    for name in MONTHLY:
        config, code = models[name]["config"], models[name]["raw_code"]
        assert config["partition_by"]["field"] in models[name]["columns"], name
        assert config["partition_by"]["granularity"] == "month", name
        assert config["meta"]["replaces"] == "months", name
        assert "{%- set changes = touched(" in code, name
        assert "\n{{ changes.note }}\n" in code, name
        assert "changes.months" in code, name
    for name in WHOLE:
        assert models[name]["config"]["meta"]["replaces"] == "all", name


def test_every_model_writes_into_the_build_ledger_what_it_touches(models):
    for name, node in models.items():
        hooks = {kind: [hook["sql"] for hook in node["config"][f"{kind}-hook"]] for kind in ("pre", "post")}
        post = ["{{ log_places() }}", "{{ log_built() }}"]  # what is built is placed
        assert hooks == {"pre": ["{{ log_touched() }}"], "post": post}, name


def test_a_fact_that_lies_by_its_orders_says_where_its_rows_are_from(models):
    for name, node in models.items():
        (by,) = re.findall(r"children=\{'dataset': '([^']+)'", node["raw_code"]) or [None]
        placed_by = node["config"]["meta"].get("placed_by")
        assert bool(by) == bool(placed_by), name
        if by:
            assert f"'{by}': {{'table': source(" in node["raw_code"], name
            assert f"'column': '{placed_by}'" in node["raw_code"], name
            assert placed_by in node["columns"], name


def test_models_name_the_builds_that_they_are_made_from(models):
    """What a model reads months of has told it which: none is forgotten."""
    for name in {*MONTHLY, *(name for name in WHOLE if name.startswith("rpt_"))}:
        code = models[name]["raw_code"]
        told = code[code.index("touched(") : code.index("changes.note")]
        assert set(re.findall(r"'(fct_\w+)'", told)) == set(re.findall(r"ref\('(fct_\w+)'\)", code)), name


def test_a_full_refresh_leaves_alone_what_cannot_be_made_again(models):
    kept = {name for name, node in models.items() if node["config"]["full_refresh"] is False}
    assert kept == set(VERSIONS)


def reports(models):
    found = {name: node for name, node in models.items() if name.startswith("rpt_")}
    assert len(found) >= 10
    return found


def sources_above(node, parsed):
    for parent in parents(node, parsed):
        if parent["resource_type"] == "source":
            yield f"{parent['source_name']}.{parent['name']}"
        elif parent["resource_type"] == "model":
            yield from sources_above(parent, parsed)


def test_reports_say_until_when_they_are_complete(models, parsed):
    for name, node in reports(models).items():
        assert node["columns"]["data_as_of"]["data_type"] == "timestamp", name
        if layer_room(node) == "operations":
            continue
        (named,) = re.findall(r"data_as_of\(\[(.+?)\]\)", node["raw_code"], re.DOTALL)
        datasets = re.findall(r"'(.+?)'", named)
        assert datasets == sorted(set(datasets)), name
        assert set(datasets) <= set(sources_above(node, parsed)), name


def layer_room(node):
    return node["path"].split("/")[1]


def test_reports_with_days_lie_in_partitions(models):
    for name, node in reports(models).items():
        dates = [c for c in node["columns"].values() if c["data_type"] == "date"]
        partition = node["config"].get("partition_by")
        assert bool(partition) == bool(dates), name
        if partition:
            assert partition["field"] in node["columns"], name
            assert {"type": "not_null"}.items() <= constraints(node["columns"][partition["field"]]).items()


def constraints(column):
    (found,) = column["constraints"]
    return found


def test_no_report_names_a_person(models):
    for name, node in reports(models).items():
        assert not {"first_name", "last_name", "full_name", "email", "phone", "customer_id"} & set(
            node["columns"]
        ), name


def test_revenue_is_held_against_raw_in_every_report_that_has_it(models, data_tests):
    held = {
        (models_name(t), t["test_metadata"]["kwargs"]["column"])
        for t in data_tests
        if t["test_metadata"]["name"] == "revenue_as_in_raw"
    }
    with_revenue = {
        (name, "revenue_usd") for name, n in reports(models).items() if "revenue_usd" in n["columns"]
    }
    assert held == with_revenue
    assert len(held) >= 5


def models_name(test):
    return test["attached_node"].rpartition(".")[2]


def test_queries_on_guarded_reports_name_their_partitions(models, data_tests):
    guarded = {name for name, node in models.items() if node["config"].get("require_partition_filter")}
    assert guarded == {"rpt_weekly_product_sales"}
    on_guarded = [test for test in data_tests if models_name(test) in guarded]
    assert len(on_guarded) >= 2
    for test in on_guarded:
        assert "week_start_date >=" in (test["config"]["where"] or ""), test["name"]


def test_no_dataset_or_project_is_spelled_out(parsed):
    names = r"(staging|intermediate|marts|raw_\w+|tideline|tideline_ops|tideline_load)"
    spelled = re.compile(rf"\b(from|join|into|update)\s+`?{names}`?\s*\.", re.IGNORECASE)
    for node in [*parsed["nodes"].values(), *parsed["macros"].values()]:
        if node["package_name"] == "tideline":
            assert not spelled.search(node.get("raw_code") or node.get("macro_sql") or ""), node["path"]


def test_models_end_with_their_last_step(models):
    for node in models.values():
        last = node["raw_code"].strip().splitlines()[-1]
        assert re.fullmatch(r"select \* from \w+", last), node["path"]


def test_logic_has_unit_tests(parsed):
    covered = {unit["model"] for unit in parsed["unit_tests"].values()}
    logic = {"rpt_daily_payments", "rpt_customer_cohorts", "rpt_weekly_product_sales", "rpt_freshness"}
    assert covered >= {*FACTS, *logic, "rpt_daily_sales", "int_product_weeks"}


def test_a_data_test_runs_with_one_model_that_is_built_after_all_it_reads(parsed, data_tests):
    """Cosmos runs `dbt test --select <model>` after each model: then nothing a test reads may be missing."""
    above = parsed["parent_map"]

    def ancestors(unique_id):
        found, waiting = set(), [unique_id]
        while waiting:
            for parent in above[waiting.pop()]:
                if parent not in found:
                    found.add(parent)
                    waiting.append(parent)
        return found

    for test in data_tests:
        read = set(test["depends_on"]["nodes"])
        assert any(read <= {one} | ancestors(one) for one in read), test["name"]


def test_dashboards_name_marts_and_owners(parsed):
    exposures = parsed["exposures"].values()
    assert exposures
    for exposure in exposures:
        assert exposure["owner"]["email"]
        assert exposure["url"].startswith("https://lookerstudio.google.com/")
        for unique_id in exposure["depends_on"]["nodes"]:
            assert parsed["nodes"][unique_id]["schema"] == "marts"


def test_only_the_emulators_targets_carry_a_token():
    outputs = yaml.safe_load((DBT_DIR / "profiles.yml").read_text())["tideline"]["outputs"]
    assert set(outputs) == {"local", "ci", "prod"}
    assert outputs["local"] == outputs["ci"]
    assert "BIGQUERY_EMULATOR_HOST" in outputs["local"]["api_endpoint"]
    prod = outputs["prod"]
    assert prod["method"] == "oauth"
    assert not {"token", "keyfile", "api_endpoint"} & set(prod)
    assert "TIDELINE_MAXIMUM_BYTES_BILLED" in prod["maximum_bytes_billed"]
    assert prod["job_execution_timeout_seconds"] > 0


def test_what_reports_say_of_their_age_is_read_before_what_they_hold(models):
    """The other way round, a load that is committed between the two would be promised and not be there."""

    def before(name):
        direct = {each.rpartition(".")[2] for each in models[name]["depends_on"]["nodes"]} & models.keys()
        return direct | {other for each in direct for other in before(each)}

    staged = {name for name in models if name.startswith("stg_")} - {LEDGER}
    readers = {name for name in models if staged & before(name)}
    assert {"dim_products", "fct_orders", "rpt_user_activity"} <= readers
    assert {name for name in readers if CLOCK not in before(name)} == set()
