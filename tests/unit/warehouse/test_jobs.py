"""Job ids that a retry finds again: the cases that no emulator shows."""

from __future__ import annotations

import io

import pytest
import requests

from tideline.errors import IntegrityError, WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.names import TableName

LOST = requests.ConnectionError("connection reset")
TABLE = TableName("p", "d", "t")
DUPLICATE = (409, "duplicate", "Already Exists: Job p:EU.x")


def load_of(table="t", **more):
    return {"load": {"destinationTable": {"projectId": "p", "datasetId": "d", "tableId": table}, **more}}


def run(bench, sql="SELECT 1", key="k"):
    return bench.warehouse.run(sql, kind="test", key=key)


def ids(bench):
    return [request.job_id[-2:] for request in bench.script.requests if request.method == "POST"]


def test_job_is_sent_once_with_labels_limit_and_location(bench, kit):
    bench.script.answers.append(kit.job())
    bench.warehouse.run("SELECT 1", kind="merge", key="k", labels={"dataset": "Shop.Orders"})
    (request,) = bench.script.requests
    assert request.path == "/bigquery/v2/projects/p/jobs"
    assert request.body["jobReference"]["location"] == "EU"
    assert request.body["configuration"]["labels"] == {
        "app": "tideline",
        "environment": "ci",
        "kind": "merge",
        "dataset": "shop_orders",
    }
    assert request.body["configuration"]["query"]["maximumBytesBilled"] == str(1 << 40)
    assert request.body["configuration"]["query"]["useLegacySql"] is False
    assert request.job_id.startswith("tideline_merge_")


def test_same_key_has_the_same_id_and_another_key_another(bench, kit):
    bench.script.answers.extend([kit.job(), kit.job(), kit.job()])
    for key in ("k", "k", "other"):
        run(bench, key=key)
    first, again, other = (request.job_id for request in bench.script.requests)
    assert first == again != other


def test_success_found_under_the_id_is_the_result(bench, kit):
    bench.script.answers.extend([kit.error(*DUPLICATE), kit.job()])
    assert run(bench).state == "DONE"
    assert [request.method for request in bench.script.requests] == ["POST", "GET"]


def test_running_job_found_under_the_id_is_waited_for(bench, kit):
    bench.script.answers.extend(
        [kit.error(*DUPLICATE), kit.job("RUNNING"), kit.job("RUNNING"), kit.job("DONE")]
    )
    run(bench)
    assert ids(bench) == ["_1"]
    assert len(bench.slept) == 2


def test_failure_found_under_the_id_is_history(bench, kit):
    bench.script.answers.extend(
        [
            kit.error(*DUPLICATE), kit.job(reason="backendError"),
            kit.error(*DUPLICATE), kit.job(reason="accessDenied"),
            kit.job(),
        ]
    )  # fmt: skip
    run(bench)
    assert ids(bench) == ["_1", "_2", "_3"]


def test_other_statement_under_the_id_is_an_integrity_error(bench, kit):
    bench.script.answers.extend([kit.error(*DUPLICATE), kit.job(query={"query": "DROP TABLE t"})])
    with pytest.raises(IntegrityError, match="TIDELINE_DATASET_PREFIX"):
        run(bench)


def test_job_that_fails_with_something_that_passes_is_tried_under_the_next_number(bench, kit):
    bench.script.answers.extend(
        [kit.job(reason="rateLimitExceeded"), kit.job(reason="backendError"), kit.job()]
    )
    run(bench)
    assert ids(bench) == ["_1", "_2", "_3"]
    assert bench.slept == [0.5, 1.0]


def test_job_is_not_tried_for_ever(bench, kit):
    bench.script.answers.extend([kit.job(reason="backendError")] * 6)
    with pytest.raises(WarehouseUnavailableError, match="backendError"):
        run(bench)
    assert len(bench.script.requests) == 6


def test_job_that_is_refused_is_not_repeated(bench, kit):
    bench.script.answers.append(kit.job(reason="invalidQuery", message="Unrecognized name: x at [1:8]"))
    with pytest.raises(WarehouseRefusedError) as caught:
        run(bench, sql="SELECT x\nFROM t\nWHERE TRUE\nLIMIT 1")
    assert "Unrecognized name: x" in str(caught.value)
    assert caught.value.place.startswith("job tideline_test_")
    assert caught.value.place.endswith("SELECT x FROM t WHERE TRUE")


def test_history_without_end_is_given_up(bench, kit):
    bench.script.answers.extend([kit.error(*DUPLICATE), kit.job(reason="invalid")] * 100)
    with pytest.raises(WarehouseRefusedError, match="tried 100 times"):
        run(bench)


def test_reply_that_is_lost_finds_the_job_it_sent(bench, kit):
    bench.script.answers.extend([LOST, kit.error(*DUPLICATE), kit.job()])
    run(bench)
    assert ids(bench) == ["_1", "_1"]


def test_load_whose_reply_is_lost_is_not_loaded_twice(bench, kit):
    bench.script.answers.extend([LOST, kit.error(*DUPLICATE), kit.job(**load_of())])
    bench.warehouse.load_uris(TABLE, ["gs://b/1"], [], key="k")
    assert ids(bench) == ["_1", "_1"]


def test_load_that_succeeded_before_is_repeated_under_the_next_number(bench, kit):
    bench.script.answers.extend([kit.error(*DUPLICATE), kit.job(**load_of()), kit.job(**load_of())])
    bench.warehouse.load_uris(TABLE, ["gs://b/1"], [], key="k")
    assert ids(bench) == ["_1", "_2"]


def test_load_that_runs_is_waited_for(bench, kit):
    bench.script.answers.extend(
        [kit.error(*DUPLICATE), kit.job("PENDING", **load_of()), kit.job("DONE", **load_of())]
    )
    bench.warehouse.load_uris(TABLE, ["gs://b/1"], [], key="k")
    assert ids(bench) == ["_1"]


def test_load_into_another_table_under_the_id_is_an_integrity_error(bench, kit):
    bench.script.answers.extend([kit.error(*DUPLICATE), kit.job(**load_of("other"))])
    with pytest.raises(IntegrityError, match="does something else"):
        bench.warehouse.load_uris(TABLE, ["gs://b/1"], [], key="k")


def test_job_that_exists_and_cannot_be_read_yet_is_read_again(bench, kit):
    bench.script.answers.extend(
        [kit.error(*DUPLICATE), kit.error(404, "notFound"), kit.error(*DUPLICATE), kit.job()]
    )
    run(bench)
    assert ids(bench) == ["_1", "_1"]


def test_load_that_cannot_be_read_at_first_is_history_all_the_same(bench, kit):
    bench.script.answers.extend(
        [
            kit.error(*DUPLICATE), kit.error(404, "notFound"), kit.error(*DUPLICATE), kit.job(**load_of()),
            kit.job(**load_of()),
        ]
    )  # fmt: skip
    bench.warehouse.load_uris(TABLE, ["gs://b/1"], [], key="k")
    assert ids(bench) == ["_1", "_1", "_2"]


def test_waiting_ends_at_the_deadline_and_says_that_a_retry_goes_on(bench, kit):
    bench.script.answers.extend([kit.job("RUNNING")] * 130)
    with pytest.raises(WarehouseUnavailableError, match="goes on waiting"):
        run(bench)
    assert 600 <= sum(bench.slept) < 606
    bench.script.answers.clear()


def test_waiting_survives_a_lost_reply(bench, kit):
    bench.script.answers.extend([kit.job("RUNNING"), LOST, kit.error(503, "backendError"), kit.job("DONE")])
    run(bench)
    assert ids(bench) == ["_1"]


def test_upload_is_sent_again_from_its_beginning(bench, kit):
    session = {"headers": {"Location": "http://bigquery.invalid/jobs?uploadType=resumable&upload_id=1"}}
    done = kit.job(**load_of())
    bench.script.answers.extend([session, LOST, session, done])
    bench.warehouse.load_file(TABLE, io.BytesIO(b"parquet"), [], key="k", truncate=True)
    bodies = [request.body for request in bench.script.requests if request.method == "PUT"]
    assert [body if isinstance(body, bytes) else body.read() for body in bodies] == [b"parquet", b"parquet"]
