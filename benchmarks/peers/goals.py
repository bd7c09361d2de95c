"""The goals against peers, as ratios of CPU on the standard fixtures, and whether they were reached. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.goals import GROWTH, MB, MEMORY_BYTES, Findings, Goal, _ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

API_SECONDS = 0.6


def judge(found: Findings) -> list[Goal]:
    """Every goal, also those that were not measured."""
    return [*_documents(found), *_csv(found), *_api(found)]


def _documents(f: Findings) -> Iterator[Goal]:
    ours = "million.native"
    for peer, least in (("dlt", 60), ("dlt_arrow", 7), ("pandas", 20)):
        wanted = f"1 M documents → raw and Parquet: ≥ {least}x {NAMES[peer]}"
        yield _ratio(f, wanted, f"million.{peer}", ours, at_least=least)
    yield from _memory(f)
    wanted = "landing alone: CPU ≤ 1.2x the read alone"
    yield _ratio(f, wanted, "million.landing", "million.read_alone", at_most=1.2)


NAMES = {"dlt": "dlt's default", "dlt_arrow": "dlt-Arrow", "pandas": "pandas"}


def _memory(f: Findings) -> Iterator[Goal]:
    small, large = (f.value(f"{size}.native", "peak_bytes") for size in ("documents", "million"))
    if small is None or large is None:
        yield Goal("peak RSS ≤ 300 MB, flat from 200 k to 1 M", "not measured", None)
        return
    text = f"{small / MB:.0f} → {large / MB:.0f} MB"
    reached = large <= min(MEMORY_BYTES, small * GROWTH)
    yield Goal("peak RSS ≤ 300 MB, flat from 200 k to 1 M", text, reached)


def _csv(f: Findings) -> Iterator[Goal]:
    yield _ratio(f, "1.5 M CSV.gz rows: ≤ 0.9x bare pyarrow", "csv.tideline", "csv.pyarrow", at_most=0.9)
    for peer, least in (("pandas", 2.5), ("dlt_arrow", 5), ("sling", 15)):
        yield _ratio(
            f, f"…  ≥ {least}x {NAMES.get(peer, peer)}", f"csv.{peer}", "csv.tideline", at_least=least
        )
    for peer, least in (("pandas", 2), ("dlt_arrow", 3)):
        wanted = f"S3 to S3 with the raw copy: ≥ {least}x {NAMES[peer]}"
        yield _ratio(f, wanted, f"csv_s3.{peer}", "csv_s3.tideline", at_least=least)


def _api(f: Findings) -> Iterator[Goal]:
    found = f.costs.get("api")
    text = f"{found:.2f} s" if isinstance(found, float) else "not measured"
    reached = found <= API_SECONDS if isinstance(found, float) else None
    yield Goal(f"API, 810 rows, warm: ≤ {API_SECONDS} s", text, reached)
