"""Damaged documents without end through both BSON engines: same rows, same rejects, same drift, no crash.

`python tests/support/fuzz_bson.py --documents 5000000` (`make fuzz`) prints one line of figures; a difference ends
it with code 1 and leaves the batch that shows it in a file.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from documents import Shop, dataset

from tideline.refine.bson import BsonDecoder

BATCH = 1_000
DONORS = 400
SHARE_EACH = 100_000
"""Documents of one seed."""


def differences(native, python):
    """What differs, in words; nothing where all is the same."""
    native.batch.validate(full=True)
    found = [
        name
        for name, left, right in zip(
            native.batch.schema.names, native.batch.columns, python.batch.columns, strict=True
        )
        if left != right and repr(left.to_pylist()) != repr(right.to_pylist())  # NaN differs from itself
    ]
    found += ["rejects"] if native.rejects != python.rejects else []
    found += ["drift"] if list(native.drift.items()) != list(python.drift.items()) else []
    found += ["records"] if native.records != python.records else []
    return found


def run(seed: int, documents: int) -> Counter[str]:
    """Decode that many damaged documents; counts rows, rejects by reason, and batches that went to Python.

    Raises:
        ValueError: The engines differ.
    """
    shop = Shop(f"fuzz{seed}")
    donors = [shop.document(clean=shop.random.random() < 0.5) for _ in range(DONORS)]
    declared = dataset(unknown_columns="evolve" if seed % 4 else "refuse")
    native, python = BsonDecoder(declared, engine="native"), BsonDecoder(declared)
    counts: Counter[str] = Counter()
    for _ in range(0, documents, BATCH):
        raw = b"".join(shop.damage(shop.random.choice(donors), donors) for _ in range(BATCH))
        found, expected = native.decode(raw), python.decode(raw)
        if wrong := differences(found, expected):
            path = Path(f"fuzz-{seed}-{counts['documents']}.bson")
            path.write_bytes(raw)
            raise ValueError(f"seed {seed}: {', '.join(wrong)} differ; the batch is {path}")
        counts.update(documents=BATCH, rows=found.batch.num_rows)
        counts.update(reject.reason for reject in found.rejects)
    counts["batches that went to Python"] += "_python" in vars(native._documents)
    return counts


def main() -> int:
    """Exit code 1 where the engines differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--seed", type=int, default=0, help="the first of as many seeds as it takes")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    started, total = time.monotonic(), Counter()
    seeds = range(options.seed, options.seed + -(-options.documents // SHARE_EACH))
    with ProcessPoolExecutor(options.processes) as pool:
        for counts in pool.map(run, seeds, [min(SHARE_EACH, options.documents)] * len(seeds)):
            total += counts
    sys.stdout.write(
        f"the same by both engines, {time.monotonic() - started:.0f} s: {dict(total.most_common())}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
