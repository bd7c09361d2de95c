"""Turns what the BigQuery client raises into Tideline's errors, so that their type says retry or stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests
from google.api_core import exceptions
from google.auth import exceptions as auth
from google.resumable_media import common as media

from tideline.errors import RetriableError, TidelineError, WarehouseRefusedError, WarehouseUnavailableError
from tideline.warehouse.reasons import REASONS, verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIENT_ERRORS = (
    exceptions.GoogleAPIError,
    auth.GoogleAuthError,
    requests.RequestException,
    media.DataCorruption,
    media.InvalidResponse,
    OSError,
)
"""What calls of the client raise: answers, lost connections, credentials, broken uploads."""

_NOT_FOUND = 404
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_MESSAGE_LENGTH = 1000


def translate(error: BaseException, place: str) -> TidelineError:
    """The error of ours that says the same; `place` is the job or table concerned."""
    if isinstance(error, exceptions.GoogleAPICallError):
        return _of_answer(error, place)
    if isinstance(error, auth.GoogleAuthError) and not _may_pass(error):
        return WarehouseRefusedError(
            f"the credentials do not work: {_short(error)}",
            place=place,
            remedy="renew the credentials of the connection tideline_warehouse",
        )
    return _later(f"no answer from the warehouse: {_short(error)}", place)


def is_transient(error: BaseException) -> bool:
    """Whether what the client raised may pass, by the same table; its own leaves out the 504 of a gateway."""
    return isinstance(error, CLIENT_ERRORS) and isinstance(translate(error, ""), RetriableError)


def of_job(result: Mapping[str, object], place: str) -> TidelineError:
    """The error for a finished job's `errorResult`."""
    return _build(str(result.get("reason", "")), str(result.get("message", "")), place)


def _of_answer(error: exceptions.GoogleAPICallError, place: str) -> TidelineError:
    details = error.errors[0] if error.errors else {}
    reason = str(details.get("reason", "")) if isinstance(details, dict) else ""
    code = int(error.code or 0)
    if code == _NOT_FOUND and "upload_id=" in str(error):
        return _later(f"the upload is gone, it begins anew: {_short(error)}", place)
    if reason not in REASONS and (code == _TOO_MANY_REQUESTS or code >= _SERVER_ERRORS):
        return _later(f"the warehouse answered {code}: {_short(error)}", place)
    return _build(reason or _BY_CODE.get(code, ""), str(error.message or error), place)


_BY_CODE = {400: "badRequest", 401: "authError", 403: "accessDenied", 404: "notFound", 409: "duplicate"}
"""What an answer without a reason of its own means."""


def _build(reason: str, message: str, place: str) -> TidelineError:
    judged = verdict(reason, message)
    kind = WarehouseUnavailableError if judged.retry else WarehouseRefusedError
    return kind(
        f"{reason or 'error'}: {message[:_MESSAGE_LENGTH]}",
        place=place,
        remedy=judged.remedy,
    )


def _later(found: str, place: str) -> WarehouseUnavailableError:
    remedy = "see whether BigQuery is up and reachable from here; the task retries"
    return WarehouseUnavailableError(found, place=place, remedy=remedy)


def _may_pass(error: auth.GoogleAuthError) -> bool:
    return isinstance(error, auth.TransportError) or bool(getattr(error, "retryable", False))


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:_MESSAGE_LENGTH]
