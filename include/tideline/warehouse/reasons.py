"""What BigQuery's error reasons mean for us: try again, or stop and say what a person does about it.

The reasons and their advice are those of BigQuery's "Error messages" page; nothing here knows the client.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the same job may succeed later, and what a person does when it may not."""

    retry: bool
    remedy: str


_LATER = Verdict(retry=True, remedy="retry; nothing has to change")


def _stop(remedy: str) -> Verdict:
    return Verdict(retry=False, remedy=remedy)


REASONS: dict[str, Verdict] = {
    "backendError": _LATER,
    "conditionNotMet": _LATER,
    "internalError": _LATER,
    "jobBackendError": _LATER,
    "jobInternalError": _LATER,
    "jobRateLimitExceeded": _LATER,
    "rateLimitExceeded": _LATER,
    "tableUnavailable": _LATER,
    "timeout": _LATER,
    "accessDenied": _stop("grant the account of the connection the role that the message names"),
    "authError": _stop("renew the credentials of the connection tideline_warehouse"),
    "badRequest": _stop("read the message; the request itself is wrong"),
    "billingNotEnabled": _stop("enable billing for the project"),
    "billingTierLimitExceeded": _stop("raise the billing tier, or make the statement smaller"),
    "blocked": _stop("BigQuery has blocked the statement for now; contact its support"),
    "bytesBilledLimitExceeded": _stop(
        "partition the table or give it an immutable partition column, or raise TIDELINE_MAXIMUM_BYTES_BILLED"
    ),
    "duplicate": _stop("a table, dataset or job of this name exists with other content"),
    "forbidden": _stop("grant the account of the connection access to the project"),
    "invalid": _stop("read the message; the job's settings or its files do not fit the table"),
    "invalidQuery": _stop("read the message; the statement does not fit the table as it is now"),
    "invalidUser": _stop("check the account of the connection tideline_warehouse"),
    "notFound": _stop("check TIDELINE_PROJECT, TIDELINE_LOCATION and the name in the message"),
    "notImplemented": _stop("the warehouse does not offer this; is it an emulator?"),
    "quotaExceeded": _stop(
        "wait until the quota is renewed, daily ones at midnight Pacific time, or raise it"
    ),
    "resourceInUse": _stop("delete what is inside first"),
    "resourcesExceeded": _stop("make the load smaller: a shorter window, or an immutable partition column"),
    "responseTooLarge": _stop("the result is larger than BigQuery returns; read it in pieces"),
    "stopped": _stop("somebody cancelled the job; clear the task to run it again"),
}
"""What BigQuery documents for jobs. A reason that is not here stops: it may not be safe to repeat."""

_CONCURRENT = ("due to concurrent update", "concurrent update against table", "too many dml statements")
"""Clashes of statements on one table come as invalidQuery; only their text tells them apart."""


def verdict(reason: str, message: str = "") -> Verdict:
    """What to do about an error of that reason."""
    if any(text in message.lower() for text in _CONCURRENT):
        return _LATER
    return REASONS.get(reason, _stop(f"BigQuery says {reason or 'nothing more'}; read the message"))
