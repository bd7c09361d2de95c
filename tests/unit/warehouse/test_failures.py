from __future__ import annotations

import pytest
import requests
from google.api_core import exceptions
from google.auth import exceptions as auth
from google.resumable_media import common as media

from tideline.errors import WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.failures import CLIENT_ERRORS, is_transient, of_job, translate

RETRY, STOP = WarehouseUnavailableError, WarehouseRefusedError


def answer(kind, reason=None):
    return kind("said", errors=[{"reason": reason, "message": "said"}] if reason else [])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(exceptions.Forbidden, "rateLimitExceeded"), RETRY),
        (answer(exceptions.Forbidden, "quotaExceeded"), STOP),
        (answer(exceptions.Forbidden, "accessDenied"), STOP),
        (answer(exceptions.Forbidden), STOP),
        (answer(exceptions.BadRequest, "invalidQuery"), STOP),
        (answer(exceptions.BadRequest), STOP),
        (answer(exceptions.NotFound, "notFound"), STOP),
        (answer(exceptions.Unauthorized), STOP),
        (answer(exceptions.Conflict, "duplicate"), STOP),
        (answer(exceptions.PreconditionFailed, "conditionNotMet"), RETRY),
        (answer(exceptions.TooManyRequests), RETRY),
        (answer(exceptions.InternalServerError), RETRY),
        (answer(exceptions.BadGateway, "unheardOf"), RETRY),
        (answer(exceptions.ServiceUnavailable, "backendError"), RETRY),
        (
            answer(
                exceptions.NotImplemented
                if hasattr(exceptions, "NotImplemented")
                else exceptions.MethodNotImplemented,
                "notImplemented",
            ),
            STOP,
        ),
        (exceptions.RetryError("took too long", cause=None), RETRY),
        (requests.ConnectionError("refused"), RETRY),
        (requests.Timeout("slow"), RETRY),
        (ConnectionResetError("reset"), RETRY),
        (media.DataCorruption(None, "crc"), RETRY),
        (auth.TransportError("no token server"), RETRY),
        (auth.RefreshError("revoked"), STOP),
        (auth.RefreshError("busy", retryable=True), RETRY),
        (auth.DefaultCredentialsError("none found"), STOP),
    ],
    ids=lambda value: (
        f"{type(value).__name__}-{value}"[:50] if isinstance(value, Exception) else value.__name__
    ),
)
def test_type_says_retry_or_stop(error, expected):
    assert isinstance(error, CLIENT_ERRORS)
    translated = translate(error, "job x")
    assert type(translated) is expected
    assert translated.place == "job x"
    assert translated.remedy


def test_errors_of_an_answer_may_be_of_any_shape():
    odd = exceptions.BadRequest("said", errors=["text"])
    assert "badRequest: said" in str(translate(odd, "job x"))


def test_finished_job_that_failed():
    failure = of_job({"reason": "bytesBilledLimitExceeded", "message": "too much"}, "job x")
    assert isinstance(failure, STOP)
    assert "TIDELINE_MAXIMUM_BYTES_BILLED" in str(failure)
    assert isinstance(of_job({}, "job x"), STOP)


def test_an_upload_session_that_is_gone_begins_anew():
    error = exceptions.NotFound(
        "PUT http://b/upload/bigquery/v2/projects/p/jobs?upload_id=7: no such session"
    )
    assert isinstance(translate(error, "job x"), RETRY)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (exceptions.GatewayTimeout("504"), True),
        (exceptions.ServiceUnavailable("503"), True),
        (requests.ConnectionError("reset"), True),
        (exceptions.NotFound("404"), False),
        (KeyError("a bug"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_may_pass_while_rows_are_read(error, passes):
    assert is_transient(error) is passes
