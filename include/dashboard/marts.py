"""Asks the marts: SQL with parameters in, a data frame or one of four plain problems out. Shows nothing.

Every query has a deadline and a limit on billed bytes; nothing is retried for minutes while somebody waits.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, TypeAlias

import pandas as pd
from google.api_core import exceptions as api
from google.api_core.client_options import ClientOptions
from google.api_core.retry import Retry
from google.auth import exceptions as auth
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from requests.exceptions import RequestException

if TYPE_CHECKING:
    from google.cloud.bigquery.table import RowIterator

    from dashboard.target import Target

Value: TypeAlias = str | int | date | list[str]
Parameters: TypeAlias = dict[str, Value]

DEADLINE_SECONDS = 20.0
CONNECT_SECONDS = 5.0
MAXIMUM_BYTES = 2_000_000_000
"""What one query may bill: a hundred times what the largest report scans at ten times the shop's size."""

_RETRY = Retry(predicate=lambda error: isinstance(error, api.TooManyRequests), timeout=CONNECT_SECONDS)
_NUMERIC = ("NUMERIC", "BIGNUMERIC", "DECIMAL", "BIGDECIMAL")
_DATES = ("DATE", "DATETIME")


class Problem(Exception):  # noqa: N818 - it is shown as a state of the page, not as an error
    """Why a page has nothing to show, and what to do about it."""

    def __init__(self, title: str, remedy: str) -> None:
        super().__init__(title)
        self.title, self.remedy = title, remedy


def connect(target: Target) -> bigquery.Client:
    """A client of the warehouse; nothing is sent yet.

    Raises:
        Problem: There are no credentials for BigQuery.
    """
    if target.emulator:
        options = ClientOptions(api_endpoint=target.emulator)
        return bigquery.Client(target.project, AnonymousCredentials(), client_options=options)
    try:
        return bigquery.Client(target.project, location=target.location)
    except auth.GoogleAuthError as error:
        raise Problem(
            "There are no credentials for BigQuery.",
            "Run `gcloud auth application-default login`, or `make run` first to look at the shop.",
        ) from error


def ask(client: bigquery.Client, target: Target, sql: str, parameters: Parameters) -> pd.DataFrame:
    """The rows that a query finds; money is float64 (exact to the cent below 10^13), dates are datetime64.

    Args:
        client: From `connect`.
        target: The warehouse; `{marts}` in the SQL stands for its dataset.
        sql: With `@name` for each parameter. Never made from what people type.
        parameters: A list becomes an array of strings.

    Raises:
        Problem: The warehouse is away, a table is missing, access is denied, or the query is refused.
    """
    config = bigquery.QueryJobConfig(
        query_parameters=[_parameter(name, value) for name, value in parameters.items()],
        maximum_bytes_billed=MAXIMUM_BYTES,
        labels={"app": "tideline", "part": "dashboard"},
    )
    try:
        job = client.query(
            sql.replace("{marts}", target.marts),
            config,
            retry=_RETRY,
            job_retry=None,
            timeout=CONNECT_SECONDS,
        )
        rows = job.result(timeout=DEADLINE_SECONDS, retry=_RETRY, job_retry=None)
        return _frame(rows)
    except (
        api.GoogleAPIError,
        auth.GoogleAuthError,
        RequestException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise _problem(error, target) from error


def _parameter(name: str, value: Value) -> bigquery.ScalarQueryParameter | bigquery.ArrayQueryParameter:
    if isinstance(value, list):
        return bigquery.ArrayQueryParameter(name, "STRING", value)
    kind = "DATE" if isinstance(value, date) else "INT64" if isinstance(value, int) else "STRING"
    return bigquery.ScalarQueryParameter(name, kind, value)


def _frame(rows: RowIterator) -> pd.DataFrame:
    names = [field.name for field in rows.schema]
    frame = pd.DataFrame([tuple(row.values()) for row in rows], columns=names)
    for field in rows.schema:
        if field.field_type in (*_NUMERIC, "INTEGER", "INT64", "FLOAT", "FLOAT64"):
            frame[field.name] = pd.to_numeric(frame[field.name].astype("float64"))
        elif field.field_type in _DATES:
            frame[field.name] = pd.to_datetime(frame[field.name], errors="coerce")
        elif field.field_type == "TIMESTAMP":
            frame[field.name] = pd.to_datetime(frame[field.name], utc=True, errors="coerce")
    return frame


def _problem(error: Exception, target: Target) -> Problem:
    build = "run the hourly DAG (`make run` on a laptop), then reload."
    roles = f"ask for the role BigQuery Data Viewer on {target.name}, and BigQuery Job User on the project."
    if isinstance(error, api.NotFound):
        return Problem("The reports are not built yet.", f"A table is missing in {target.name}: {build}")
    if isinstance(error, api.Forbidden) and "does not exist" in str(error):
        # BigQuery does not tell strangers what there is
        return Problem(
            "The reports are not built yet, or this account may not read them.", f"Either {build} Or {roles}"
        )
    if isinstance(error, api.Forbidden | api.Unauthorized | auth.GoogleAuthError):
        return Problem("This account may not read the reports.", f"To read them, {roles}")
    if isinstance(error, api.BadRequest):
        return Problem(
            "The warehouse refused the question.", f"The reports may be older than this dashboard: {build}"
        )
    return Problem(
        "The warehouse does not answer.",
        f"Is {target.name} up? On a laptop, end the dashboard and run `make dashboard` again.",
    )
