"""Google's client for BigQuery, imported without frames. Knows nothing of what is asked of it.

The client imports whatever it finds installed for frames, Arrow and progress bars that nobody here asks for
(Airflow's provider and dbt bring them): half of what a task that merges spends before its first request.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["bigquery"]

UNUSED = ("pandas", "pandas_gbq", "db_dtypes", "pyarrow", "tqdm", "google.cloud.bigquery_storage_v1")


@contextmanager
def hidden(*names: str) -> Iterator[None]:
    """Let modules seem not to be installed meanwhile, unless they are imported already."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # what imports take for "not there"
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with hidden(*UNUSED):
    from google.cloud import bigquery
