from __future__ import annotations

import pytest

from tideline.warehouse.reasons import REASONS, verdict

RETRIED = {
    "backendError",
    "conditionNotMet",
    "internalError",
    "jobBackendError",
    "jobInternalError",
    "jobRateLimitExceeded",
    "rateLimitExceeded",
    "tableUnavailable",
    "timeout",
}
STOPPED = {
    "accessDenied",
    "authError",
    "badRequest",
    "billingNotEnabled",
    "billingTierLimitExceeded",
    "blocked",
    "bytesBilledLimitExceeded",
    "duplicate",
    "forbidden",
    "invalid",
    "invalidQuery",
    "invalidUser",
    "notFound",
    "notImplemented",
    "quotaExceeded",
    "resourceInUse",
    "resourcesExceeded",
    "responseTooLarge",
    "stopped",
}


def test_table_is_complete_and_decided():
    assert {reason for reason, known in REASONS.items() if known.retry} == RETRIED
    assert {reason for reason, known in REASONS.items() if not known.retry} == STOPPED


@pytest.mark.parametrize("reason", sorted(STOPPED))
def test_what_stops_says_what_a_person_does(reason):
    assert len(verdict(reason).remedy.split()) > 3


@pytest.mark.parametrize("reason", ["somethingNew", ""])
def test_unknown_reason_stops(reason):
    assert not verdict(reason).retry


@pytest.mark.parametrize(
    "message",
    [
        "Could not serialize access to table p:d.t due to concurrent update",
        "Transaction is aborted due to concurrent update against table p:d.t",
        "Too many DML statements outstanding against table p:d.t, limit is 20",
    ],
)
def test_clash_of_statements_is_retried_though_its_reason_is_invalid_query(message):
    assert verdict("invalidQuery", message).retry
