"""What the infrastructure may never become: read from its text, without a provider or an account."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import hcl2
import pytest
from memory import deployment, land, refine, things

from tideline.errors import ContractError
from tideline.status import lake
from tideline.status.evidence import samples

TERRAFORM = Path(__file__).resolve().parents[2] / "terraform"
FILES = sorted(TERRAFORM.glob("*.tf"))
BROAD = re.compile(
    r"roles/(owner|editor|viewer|storage\.(admin|objectAdmin)|bigquery\.admin|iam\..*admin)", re.I
)


def blocks(kind: str) -> dict[str, dict[str, Any]]:
    """address → body of every block of that kind."""
    found = {}
    for path in FILES:
        for block in hcl2.loads(path.read_text(encoding="utf-8")).get(kind, []):
            for first, inner in block.items():
                if kind == "resource":
                    for name, body in inner.items():
                        found[f"{first.strip(chr(34))}.{name.strip(chr(34))}"] = body
                else:
                    found[first.strip('"')] = inner
    return found


RESOURCES = blocks("resource")


def test_every_file_is_read() -> None:
    assert len(FILES) >= 8
    assert len(RESOURCES) >= 15


@pytest.mark.parametrize("address", [a for a in RESOURCES if "_iam_" in a])
def test_no_role_is_broad(address: str) -> None:
    assert not BROAD.search(str(RESOURCES[address].get("role")))


def test_the_only_role_in_the_project_is_to_run_jobs() -> None:
    roles = {str(b["role"]).strip('"') for a, b in RESOURCES.items() if a.startswith("google_project_iam")}
    assert roles == {"roles/bigquery.jobUser"}


def test_nobody_deletes_or_overwrites_in_the_lake() -> None:
    on_lake = [
        b
        for a, b in RESOURCES.items()
        if a.startswith("google_storage_bucket_iam") and "lake" in str(b["bucket"])
    ]
    assert len(on_lake) == 3
    roles = {str(b["role"]).strip('"').removeprefix("roles/storage.") for b in on_lake}
    assert roles == {"objectCreator", "objectViewer", "legacyBucketReader"}


def test_raw_is_kept_and_no_bucket_is_public() -> None:
    buckets = {a: b for a, b in RESOURCES.items() if a.startswith("google_storage_bucket.")}
    assert len(buckets) == 2
    for address, body in buckets.items():
        assert "enforced" in str(body["public_access_prevention"]), address
        assert body["uniform_bucket_level_access"] is True, address
    assert "retention_policy" in str(RESOURCES["google_storage_bucket.lake"])


def test_no_account_has_a_key_and_no_secret_has_a_value() -> None:
    assert not [
        a for a in RESOURCES if "service_account_key" in a or "secret_version" in a or "sql_user" in a
    ]
    text = "".join(path.read_text(encoding="utf-8") for path in FILES)
    assert "private_key" not in text
    assert not re.search(r'password\s*=\s*"', text)


def all_locals() -> list[dict[str, Any]]:
    return [
        block for path in FILES for block in hcl2.loads(path.read_text(encoding="utf-8")).get("locals", [])
    ]


def local(name: str) -> dict[str, Any]:
    """A local value's keys without their quotes, and its values as text or lists of text."""
    body = next(block[name] for block in all_locals() if name in block)
    plain = {k.strip('"'): v for k, v in body.items() if not k.startswith("__")}
    return {
        k: [each.strip('"') for each in v] if isinstance(v, list) else str(v).strip('"')
        for k, v in plain.items()
    }


def test_each_role_has_its_part_of_the_lake_and_one_changes_the_warehouse() -> None:
    creates, reads, views = local("creates"), local("reads"), local("views")
    assert creates["extract"] == ["raw"]
    assert "raw" not in creates["transform"]
    assert set(creates) == {"extract", "transform", "light"}
    assert reads["extract"] == ["raw"]
    assert views == {"extract": "tideline_ops", "web": "tideline_ops", "analyst": "marts"}
    edits = RESOURCES["google_bigquery_dataset_iam_member.edits"]
    assert '["light"]' in str(edits["member"])


def test_the_health_page_may_look_at_the_lake_as_it_does() -> None:
    """As Google would, with the rights of `web`: a name is asked for by listing, or by reading what it names."""
    reads, lists = local("reads")["web"], local("lists")["web"]
    made = deployment(None, things(quarantine_threshold=0.5))
    now = datetime(2026, 3, 14, 12, tzinfo=UTC)
    landed = land(made, now, b"id,price,note\n1,much,n\n")
    with pytest.raises(ContractError):
        refine(made, landed)
    for stage in ("raw", "processed", "quarantine"):
        store = getattr(made, stage)
        if stage not in reads:
            store._stat = store._fetch = forbidden
        if stage not in reads + lists:
            store._names = forbidden
    raw, evidence = (
        lake.committed(store, made.catalog.datasets, now) for store in (made.raw, made.quarantine)
    )
    assert [one.raw_manifest_uri for one in lake.pending(raw, set())] == [landed]
    (refused,) = lake.unmerged_evidence(made.quarantine, made.processed, evidence, set())
    assert samples(made.quarantine, refused.quarantine_uri)


def forbidden(*_: object) -> NoReturn:
    raise PermissionError("storage.objects.get denied")


def test_each_connection_is_opened_by_those_whose_tasks_need_it() -> None:
    shared = local("shared_connections")
    assert shared == {
        "tideline_lake": ["extract", "transform", "light", "web"],
        "tideline_warehouse": ["extract", "light", "web"],
    }
    of_sources = str(next(b["connections"] for b in all_locals() if "connections" in b))
    assert re.findall(r"extract|transform|light|web|analyst", of_sources.partition("local.")[0]) == [
        "extract",
        "light",
    ]
    opens = RESOURCES["google_secret_manager_secret_iam_member.opens"]
    assert "each.value.role" in str(opens["member"])


def test_an_analyst_reads_the_marts_and_nothing_else() -> None:
    assert "analyst" not in {*local("creates"), *local("reads")}
    assert local("views")["analyst"] == "marts"
    logs = str(RESOURCES["google_storage_bucket_iam_member.logs"]["for_each"])
    assert "analyst" not in logs


def test_load_tables_expire() -> None:
    assert "tideline_load" in str(
        RESOURCES["google_bigquery_dataset.warehouse"]["default_table_expiration_ms"]
    )


def test_the_database_has_no_public_address() -> None:
    assert re.search(r"'?ipv4_enabled'?: False", str(RESOURCES["google_sql_database_instance.airflow"]))


def test_every_variable_and_output_is_described() -> None:
    for kind in ("variable", "output"):
        for name, body in blocks(kind).items():
            assert body.get("description"), f"{kind} {name}"
