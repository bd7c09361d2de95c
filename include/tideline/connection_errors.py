"""What a provider's hook, or the server that it asked for a client, says → our errors.

Knows which of it may pass. Does not know how a client is made, and does not import Airflow.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tideline.connection_fields import EXAMPLES, LAKE, WAREHOUSE
from tideline.errors import (
    SettingsError,
    SourceUnavailableError,
    StoreUnavailableError,
    TidelineError,
    WarehouseUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def using(conn_id: str, role: str) -> Iterator[None]:
    """Turn what a provider's hook says of a connection that it makes no client of into our error."""
    try:
        yield
    except Exception as error:
        raise _unusable(conn_id, role, error) from error


def _may_pass(error: Exception) -> bool:
    """Whether a server that was asked for it did not answer; DNS may know tomorrow what it does not know."""
    from botocore.exceptions import BotoCoreError, ClientError
    from dns.exception import DNSException

    from tideline.lake.boto_errors import Trouble, trouble_of

    if isinstance(error, (BotoCoreError, ClientError)):
        return trouble_of(error) is Trouble.UNAVAILABLE
    return isinstance(error.__cause__, DNSException)


def _unusable(conn_id: str, role: str, error: Exception) -> TidelineError:
    """Some ask a server for a client: DNS for the hosts of a cluster, Amazon or Google for credentials.

    Google's metadata server may be silent while a pod is young.
    """
    from google.auth.exceptions import GoogleAuthError

    if _may_pass(error):
        return (StoreUnavailableError if conn_id == LAKE else SourceUnavailableError)(
            f"the Airflow connection {conn_id!r} cannot be used now: {error}",
            remedy="correct its host if it is wrong; else see whether DNS, or the service that gives its "
            "role, answers from here; the task retries",
        )
    if not isinstance(error, GoogleAuthError):
        return SettingsError(
            f"the Airflow connection {conn_id!r} cannot be used: {error}",
            remedy=f"write it as JSON such as {EXAMPLES[role]}",
        )
    kind = WarehouseUnavailableError if conn_id == WAREHOUSE else StoreUnavailableError
    return kind(
        f"the Airflow connection {conn_id!r} gives no credentials: {error}",
        remedy="give it a key, or its pod an account (Workload Identity); if it has one, retry",
    )
