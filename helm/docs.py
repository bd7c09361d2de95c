"""Write the chart's README from its values and their schema: `make chart-docs`; a test holds it to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "tideline"
HEAD = """\
# The Tideline chart

An umbrella over the official Airflow chart ({airflow}) with what that cannot carry: a migration Job per revision,
secrets that are made once, connections, network policies in both directions, disruption budgets, monitoring, and for a
laptop's cluster a small Postgres and a living shop to read from. `make kind-up` and docs/deploy-gke.md use it.

Every key is checked by `values.schema.json`; what fits the schema and cannot work is refused when templates are
rendered, with the key and the remedy. `ci/` holds the combinations that are tested.

| key | default | meaning |
|---|---|---|
"""
FOOT = """
`airflow.*` is the official chart's; `values.yaml` sets there what makes it run restricted, read-only and upgradable.
"""


def readme() -> str:
    """The README's text."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    airflow = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))["dependencies"][0]["version"]
    return HEAD.format(airflow=airflow) + "".join(_rows("", schema, values)) + FOOT


def _rows(prefix: str, schema: dict[str, Any], values: Any) -> list[str]:
    rows = []
    for name, inner in schema.get("properties", {}).items():
        key = f"{prefix}{name}"
        if key == "airflow":
            continue
        value = values.get(name) if isinstance(values, dict) else None
        if inner.get("properties") and name not in ("resources",):
            rows += _rows(f"{key}.", inner, value)
        else:
            default = "" if value in (None, "") else f"`{json.dumps(value)}`"
            rows.append(f"| `{key}` | {default} | {inner['description'].replace('|', '/')} |\n")
    return rows


if __name__ == "__main__":
    (CHART / "README.md").write_text(readme(), encoding="utf-8")
