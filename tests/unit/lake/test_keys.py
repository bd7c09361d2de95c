"""Keys sort by time, are filed under the window's last hour, and never collide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tideline.lake import keys
from tideline.lake.keys import Folder
from tideline.window import Window

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_a_folder_spells_all_its_keys():
    window = Window(NOON - timedelta(hours=1), NOON)
    folder = Folder("shop", "orders", window, "attempt")

    prefix = f"shop/orders/dt=2026-01-31/hour=11/{window.window_id}/attempt/"
    assert folder.prefix == prefix
    assert folder.manifest == prefix + "_manifest.json"
    assert folder.counts == prefix + "_counts.json"
    assert folder.part(7, "csv.gz") == prefix + "part-00007.csv.gz"
    assert prefix.startswith(keys.window_prefix("shop", "orders", window))
    assert prefix.startswith(keys.dataset_prefix("shop", "orders"))


@pytest.mark.parametrize(
    ("end", "filed"),
    [
        (datetime(2026, 1, 1, 0, tzinfo=UTC), "dt=2025-12-31/hour=23/"),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "dt=2026-01-01/hour=00/"),
        (datetime(2026, 3, 29, 3, 30, tzinfo=timezone(timedelta(hours=2))), "dt=2026-03-29/hour=01/"),
    ],
    ids=["midnight", "just after", "another zone"],
)
def test_a_window_is_filed_under_its_last_hour_in_utc(end, filed):
    assert f"/{filed}" in keys.window_prefix("s", "d", Window(None, end))


def test_attempts_sort_by_time_and_differ_at_the_same_instant():
    ids = [keys.new_attempt_id(NOON + timedelta(microseconds=n)) for n in range(20)]

    assert ids == sorted(ids)
    assert len({keys.new_attempt_id(NOON) for _ in range(1000)}) == 1000


def test_an_attempt_id_is_legal_in_keys():
    assert keys.new_attempt_id(NOON).replace("-", "").isalnum()


def test_a_uri_says_its_key_wherever_it_lies():
    folder = keys.Folder("shop", "orders", Window(None, NOON), keys.new_attempt_id(NOON))
    for key in (folder.manifest, folder.part(0, "bson")):
        assert [keys.key_in(f"{root}/{key}") for root in ("s3://raw", "gs://old/some/folder")] == [key] * 2
        assert keys.key_in(key) is None
    for uri in ("", "s3://raw/orders", f"s3://raw/{folder.prefix}", f"s3://raw/{folder.manifest}/more"):
        assert keys.key_in(uri) is None, uri
