"""Four resources of the API → raw and Parquet, again and again in one warm process."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.contestants import product

DATASETS = ("posts", "comments", "users", "todos")


def tideline(*, api_url: str, s3_endpoint: str, rounds: int) -> dict[str, Any]:
    """Land and refine all of them; the first round warms the process up and is not reported."""
    from tideline.land.http import HttpSession

    lake = product.s3_lake(s3_endpoint)
    session = HttpSession(api_url)
    datasets = [product.dataset(f"bench_api.{name}") for name in DATASETS]
    seconds = []
    for _ in range(rounds + 1):
        started = time.monotonic()
        parts = [
            part for dataset in datasets for part in product.land_and_refine(dataset, session, lake)["parts"]
        ]
        seconds.append(time.monotonic() - started)
    session.close()
    return {"seconds": seconds[1:], "parts": parts}
