"""The dbt project of the whole-hour benchmark: twenty models over what the hour brings, each with a test.

Written into the benchmarks' folder, so that the product and the form beside it build the very same models.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from benchmarks.paths import ROOT

if TYPE_CHECKING:
    from pathlib import Path

SOURCES = {
    "bench_mongodb": ["documents"],
    "bench_s3": ["orders"],
    "bench_api": ["users", "posts", "comments", "todos"],
}
GROUPS = {
    "documents_by_day": ("documents", "date(created_at)", "sum(amount)"),
    "documents_by_status": ("documents", "status", "sum(amount)"),
    "documents_by_country": ("documents", "country", "sum(tax)"),
    "documents_by_customer": ("documents", "customer_id", "sum(quantity)"),
    "orders_by_day": ("orders", "date(created_at)", "sum(amount)"),
    "orders_by_status": ("orders", "status", "sum(amount)"),
    "orders_by_country": ("orders", "country", "sum(tax)"),
    "orders_by_customer": ("orders", "customer_id", "sum(quantity)"),
    "orders_by_gift": ("orders", "is_gift", "max(amount)"),
    "orders_by_quantity": ("orders", "quantity", "sum(amount)"),
    "posts_by_user": ("posts", "user_id", "max(id)"),
    "comments_by_post": ("comments", "post_id", "max(id)"),
    "todos_by_user": ("todos", "user_id", "countif(is_completed)"),
    "users_by_name": ("users", "username", "max(id)"),
}
"""Model → what it reads, by what it groups, what it measures."""
PROJECT = """name: bench
version: "1.0.0"
config-version: 2
profile: tideline
flags: {send_anonymous_usage_stats: false, require_generic_test_arguments_property: true}
models:
  bench:
    +schema: marts
    +materialized: table
    staging: {+schema: staging, +materialized: view}
"""


def write(folder: Path) -> int:
    """The project, anew; how many models it has."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "models" / "staging").mkdir(parents=True)
    (folder / "macros").mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    shutil.copy(ROOT / "dbt" / "profiles.yml", folder)
    shutil.copy(ROOT / "dbt" / "macros" / "generate_schema_name.sql", folder / "macros")
    tested = {}
    for source, tables in SOURCES.items():
        for table in tables:
            sql = f"select * from {{{{ source('{source}', '{table}') }}}}\n"
            (folder / "models" / "staging" / f"stg_{table}.sql").write_text(sql)
            tested[f"stg_{table}"] = "id"
    for name, (table, key, measure) in GROUPS.items():
        sql = f"select {key} as grouped_by, count(*) as row_count, {measure} as measure\n"
        sql += f"from {{{{ ref('stg_{table}') }}}}\ngroup by grouped_by\n"
        (folder / "models" / f"{name}.sql").write_text(sql)
        tested[name] = "grouped_by"
    (folder / "models" / "models.yml").write_text(json.dumps(_properties(tested), indent=1))
    return len(tested)


def _properties(tested: dict[str, str]) -> dict[str, object]:
    """JSON, which is YAML too."""
    sources = [
        {"name": name, "schema": f"raw_{name}", "tables": [{"name": table} for table in tables]}
        for name, tables in SOURCES.items()
    ]
    models = [
        {"name": name, "columns": [{"name": column, "data_tests": ["not_null"]}]}
        for name, column in tested.items()
    ]
    return {"version": 2, "sources": sources, "models": models}
