"""Twenty bugs that somebody could write, each as search and replace, and the tests that must catch it.

An anchor has to be in its file exactly once; `test_mutants.py` says so with every `make test`, so that the proof
does not rot. Knows texts of the product and names of tests, not how either is run (`prove`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROMISES = "tests/faults/test_promises.py::"


@dataclass(frozen=True)
class Mutant:
    """One bug.

    Attributes:
        name: What somebody did, in a word or two.
        file: Of the product, below `include/tideline`.
        edits: Pairs of an anchor and what takes its place.
        tests: Ids of tests, of which at least one must fail.
    """

    name: str
    file: str
    edits: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]

    def apply(self, root: Path) -> None:
        """Change the file in a copy of the tree.

        Raises:
            ValueError: An anchor is not there, or more than once.
        """
        path = root / "include" / "tideline" / self.file
        path.write_text(self.applied(path.read_text()))

    def applied(self, text: str) -> str:
        """The file's text with the bug."""
        for anchor, instead in self.edits:
            found = text.count(anchor)
            if found != 1:
                raise ValueError(f"{self.name}: its anchor is {found} times in {self.file}: {anchor!r}")
            text = text.replace(anchor, instead)
        return text


def _mutant(name: str, file: str, anchor: str, instead: str, *tests: str) -> Mutant:
    return Mutant(name, file, ((anchor, instead),), tests)


MUTANTS = (
    _mutant(
        "> for >= at a window's start", "land/mongodb.py",
        '[{field: {"$gte": window.start,', '[{field: {"$gt": window.start,',
        PROMISES + "test_rows_on_the_bounds_of_windows_are_read",
    ),
    _mutant(
        "stamps ahead of the clock are not read", "land/mongodb.py",
        '"$lt": window.end}}, ahead_of_clock]', '"$lt": window.end}}]',
        PROMISES + "test_a_stamp_ahead_of_the_clock_is_read_and_blocks_nothing",
    ),
    _mutant(
        "watermark from the clock", "plan.py",
        "min(start, state.high_water_mark) - dataset.lookback", "start - dataset.lookback",
        PROMISES + "test_the_run_after_an_outage_reads_the_gap",
    ),
    _mutant(
        "no lookback", "plan.py",
        "min(start, state.high_water_mark) - dataset.lookback", "min(start, state.high_water_mark)",
        PROMISES + "test_a_row_that_became_visible_late_is_in_the_lookback",
    ),
    _mutant(
        "watermark over gaps", "warehouse/state.py",
        "MAX(IF(gaps = 0, window_end, NULL))", "MAX(window_end)",
        PROMISES + "test_a_backfill_elsewhere_does_not_move_the_mark",
    ),
    _mutant(
        "no total order", "merge/sql.py",
        'ORDER BY {at}, {", ".join(rest)}', "ORDER BY {at}",
        PROMISES + "test_two_records_of_a_key_with_one_stamp_end_in_the_later_one",
    ),
    _mutant(
        "no deduplication in the load", "merge/sql.py",
        ') = 1"""  # noqa', ') < 9"""  # noqa',
        PROMISES + "test_two_records_of_a_key_with_one_stamp_end_in_the_later_one",
    ),
    _mutant(
        "an older version wins", "merge/sql.py",
        'f"{s} > {t} OR ({s} = {t} AND ("', 'f"{s} < {t} OR ({s} = {t} AND ("',
        PROMISES + "test_an_older_version_that_is_merged_last_changes_nothing",
    ),
    _mutant(
        "a stamp from the future is believed", "merge/sql.py",
        "LEAST({stamp}, {alias}._extracted_at)", "{stamp}",
        PROMISES + "test_a_stamp_ahead_of_the_clock_is_read_and_blocks_nothing",
    ),
    _mutant(
        "overwrite allowed", "lake/s3.py",
        'Metadata={"sha256": sha256},\n                IfNoneMatch="*",', 'Metadata={"sha256": sha256},',
        PROMISES + "test_an_object_is_never_replaced",
    ),
    Mutant(
        "manifest first", "land/rest_api.py",
        (
            (
                'written = store.put_file(key, io.BytesIO(page.answer.body), content_type="application/json")',
                "import hashlib\n\n"
                "        from tideline.lake.store import Written\n\n"
                "        body = page.answer.body\n"
                "        written = Written(store.uri_of(key), len(body), hashlib.sha256(body).hexdigest())\n"
                "        _LATER.append((key, body))",
            ),
            (
                "        parts, pages = _land_pages(attempt, session, store)\n    return attempt.commit(",
                "        parts, pages = _land_pages(attempt, session, store)\n    done = attempt.commit(",
            ),
            (
                "    )\n\n\ndef _land_pages(",
                "    )\n"
                "    for key, body in _LATER:\n"
                "        store.put_file(key, io.BytesIO(body))\n"
                "    _LATER.clear()\n"
                "    return done\n\n\ndef _land_pages(",
            ),
            ("log = logging.getLogger(__name__)\n", "log = logging.getLogger(__name__)\n_LATER = []\n"),
        ),
        (PROMISES + "test_the_manifest_comes_last",),
    ),
    Mutant(
        "ledger before merge", "merge/merge.py",
        (
            (
                "    counts = _merge_rows(",
                "    Ledger(warehouse).record(\n"
                "        ledger_row(\n"
                "            manifest, raw_manifest, Counts(inserted=manifest.records or 0), load_id=load_id,\n"
                "            run_id=run_id, uri=uri, summary=refined, merge_seconds=0.0,\n"
                "        )\n"
                "    )\n"
                "    counts = _merge_rows(",
            ),
        ),
        (PROMISES + "test_the_ledger_comes_after_the_merge",),
    ),
    _mutant(
        "counts are not kept", "merge/counts.py",
        "counts = _store(processed, key, counts)", "processed.exists(key)",
        PROMISES + "test_a_retry_after_the_merge_tells_the_first_counts",
    ),
    _mutant(
        "no checksum", "refine/parts.py",
        "raw.open(raw.key_of(part.uri), sha256=part.sha256)", "raw.open(raw.key_of(part.uri))",
        PROMISES + "test_damaged_raw_bytes_are_never_refined",
    ),
    _mutant(
        "no size check", "land/s3_copy.py",
        "CheckedBody(body, found.size, _md5_of(reply, found.etag), self._dataset, place)", "body",
        "tests/unit/land/test_s3_csv.py::test_a_body_cut_at_any_byte_is_never_landed",
    ),
    _mutant(
        "objects are known by name", "land/s3_listing.py",
        "entry.identity in landed.of(entry.key)", "landed.of(entry.key)",
        PROMISES + "test_an_object_under_an_old_name_is_a_new_object",
    ),
    _mutant(
        "refused rows are dropped", "refine/refine.py",
        "refused.add(decoded.rejects, part.uri)", "_ = refused",
        PROMISES + "test_what_is_refused_is_in_quarantine_and_counted",
    ),
    _mutant(
        "no threshold", "refine/refine.py",
        "tally.quarantined <= threshold * tally.landed", "threshold >= 0",
        PROMISES + "test_too_much_refused_stops_after_the_evidence",
    ),
    _mutant(
        "job ids by chance", "warehouse/names.py",
        'return f"tideline_{kind}_{hashlib', 'scope += __import__("secrets").token_hex(4)\n    return f"tideline_{kind}_{hashlib',
        PROMISES + "test_a_retry_finds_the_jobs_of_the_killed_try",
    ),
    _mutant(
        "the last page is left out", "land/paging.py",
        "            if page.items:\n                yield page", "            if page.items >= self.page_size:\n                yield page",
        PROMISES + "test_every_page_is_read",
    ),
)  # fmt: skip
