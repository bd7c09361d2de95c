"""A first load too big for one task: millions of documents in ranges, each task a process that is measured.

`python -m benchmarks.bigload --documents 5000000 --records 1000000`. Documents are made while they are
served (`_id` counts up, the rest is one of 4,096), so that no file of gigabytes is needed. Lake and warehouse
are the stack's. Writes the figures to standard output as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import bson
from bson import Int64

from benchmarks.paths import PYTHON, ROOT
from benchmarks.replay import FIRST_BATCH, MAX_BATCH_BYTES, Answer, Replay, Rest, Server, _cursor, _document

TEMPLATES = 4_096
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
DATASET = "big_mongodb.events"
CATALOG = """
source: big_mongodb
kind: mongodb
connection: tideline_mongodb
database: bench
datasets:
  events:
    key: [id]
    change_column: updated_at
    split: {{records: {records}}}
    columns:
      id: {{field: _id, type: int64}}
      order_id: int64
      email: string
      status: string
      amount: numeric(12, 2)
      lines: {{type: record, repeated: true, columns: {{sku: string, quantity: int64, price: float64}}}}
      tags: {{type: string, repeated: true}}
      note: string
      created_at: timestamp
      updated_at: timestamp
"""


class Documents:
    """So many documents, `_id` from `first` on; what `benchmarks.replay` calls a collection."""

    def __init__(self, first: int, last: int, templates: list[tuple[bytes, bytes]]) -> None:
        self.name = "events"
        self._first, self._last, self._templates = first, last, templates
        self._size = max(len(head) + len(tail) for head, tail in templates) + 20

    def __len__(self) -> int:
        return self._last - self._first

    def between(self, lower: int | None, upper: int | None) -> Documents:
        """Those with an `_id` in `[lower, upper)`."""
        first = self._first if lower is None else max(lower, self._first)
        last = self._last if upper is None else min(upper, self._last)
        return Documents(first, max(first, last), self._templates)

    def last_of(self, first: int, wanted: int) -> int:
        """The document after the last one of a batch."""
        return min(first + wanted, len(self), first + MAX_BATCH_BYTES * 15 // 16 // self._size)

    def array(self, first: int, last: int) -> bytes:
        """The elements of a BSON array that holds these documents."""
        pieces = []
        for index, number in enumerate(range(self._first + first, self._first + last)):
            head, tail = self._templates[number % TEMPLATES]
            pieces.append(b"\3%d\0%b%b%b" % (index, head, struct.pack("<q", number), tail))
        return b"".join(pieces)


class Ranged(Replay):
    """Answers as `Replay`, and keeps to ranges of `_id`; samples evenly."""

    def __init__(self, documents: Documents) -> None:
        super().__init__({documents.name: documents})  # type: ignore[dict-item]
        self._documents = documents

    def _find(self, command: dict[str, Any]) -> Answer:
        chosen = self._documents.between(*_bounds(command.get("filter") or {}))
        return self._batch(Rest(chosen, 0, command.get("batchSize", FIRST_BATCH)), "firstBatch")  # type: ignore[arg-type]

    def _aggregate(self, command: dict[str, Any]) -> Answer:
        steps = {key: value for stage in command["pipeline"] for key, value in stage.items()}
        chosen = self._documents.between(*_bounds(steps.get("$match") or {}))
        if "$sample" not in steps:
            return _cursor(chosen.name, [{"_id": 1, "n": len(chosen)}])
        size = steps["$sample"]["size"]
        return _cursor(chosen.name, [{"_id": Int64(n * len(chosen) // size)} for n in range(size)])

    def _listindexes(self, _: dict[str, Any]) -> Answer:
        return _document({"ok": 0.0, "code": 13, "errmsg": "not allowed"})


def _bounds(criteria: dict[str, Any]) -> tuple[int | None, int | None]:
    wanted = criteria.get("_id") or {}
    return wanted.get("$gte"), (wanted.get("$not") or {}).get("$gte")


def templates() -> list[tuple[bytes, bytes]]:
    """What comes before and after the eight bytes of `_id` in each kind of document."""
    dice = random.Random(20260131)
    made = []
    for number in range(TEMPLATES):
        raw = bson.encode({"_id": Int64(0), **_fields(number, dice)})
        at = raw.index(b"\x12_id\0") + 5
        made.append((raw[:at], raw[at + 8 :]))
    return made


def _fields(number: int, dice: random.Random) -> dict[str, Any]:
    created = BEGIN + timedelta(seconds=dice.randrange(86_400 * 300))
    return {
        "order_id": dice.randrange(10**9),
        "email": f"customer{dice.randrange(10**7)}@example.com",
        "status": dice.choice(("placed", "paid", "packed", "shipped", "delivered")),
        "amount": bson.Decimal128(f"{dice.randrange(10**6) / 100:.2f}"),
        "lines": [
            {
                "sku": f"sku-{dice.randrange(10**5)}",
                "quantity": dice.randrange(1, 9),
                "price": dice.random() * 100,
            }
            for _ in range(number % 5)
        ],
        "tags": [f"tag{dice.randrange(50)}" for _ in range(number % 3)],
        "note": "".join(dice.choice("abcdefghijklmnop ") for _ in range(dice.randrange(10, 120))),
        "created_at": created,
        "updated_at": created + timedelta(seconds=dice.randrange(86_400)),
    }


def task(verb: str, given: Any, run_id: str) -> dict[str, Any]:
    """One task in a process of its own: its result, seconds, and the most memory that it held."""
    started = time.monotonic()
    command = [str(PYTHON), "-m", "benchmarks.bigload", "--task", verb, json.dumps(given), run_id]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-4_000:])
    output = json.loads(done.stdout.splitlines()[-1])
    return {**output, "seconds": round(time.monotonic() - started, 1)}


def _task(verb: str, given: str, run_id: str) -> None:
    """The process of a task; answers on standard output, after whatever the clients said there."""
    from benchmarks.worker import _peak_bytes
    from tideline import connections, pipeline
    from tideline.plan import RunRequest

    with connections.open_deployment() as deployment:
        if verb == "plan_ranges":
            end = datetime.fromisoformat(json.loads(given))
            interval = (end - timedelta(hours=1), end)
            request = RunRequest(run_id, "scheduled", interval, None, None, False, datetime.now(UTC))
            result: Any = pipeline.plan_ranges(deployment, request, DATASET)
        else:
            result = getattr(pipeline, verb)(deployment, json.loads(given), run_id)
    measured = {"peak_bytes": _peak_bytes(), "library_bytes": _library_bytes()}
    sys.stdout.write(json.dumps({"result": result, **measured}) + "\n")


def _library_bytes() -> int:
    """How much of this process's memory is mapped files, that is shared libraries, which tasks share."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))


def measure(documents: int, records: int, at_once: int, state: Path) -> dict[str, Any]:
    """The first load of so many documents in ranges of about `records`."""
    from devstack.environment import MONGODB, mongodb
    from devstack.stack import Stack

    server = Server(0, Ranged(Documents(0, documents, templates())))
    Thread(target=server.serve_forever, daemon=True).start()
    catalog = state / "catalog"
    catalog.mkdir(parents=True, exist_ok=True)
    (catalog / "big.yaml").write_text(CATALOG.format(records=records))
    os.environ.update(mongodb(server.server_address[1]))
    os.environ["TIDELINE_CATALOG_DIR"] = str(catalog)
    with Stack(state / "stack", offline=True) as stack, ThreadPoolExecutor(at_once) as pool:
        os.environ.update({name: text for name, text in stack.environment.items() if name != MONGODB})
        end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        planned = task("plan_ranges", end.isoformat(), "bigload")
        started = time.monotonic()
        landed = list(pool.map(lambda load: task("land_dataset", load, "bigload"), planned["result"]))
        middle = time.monotonic()
        refined = list(pool.map(lambda one: task("refine_dataset", one["result"], "bigload"), landed))
        ended = time.monotonic()
        merged = task("merge_dataset", [one["result"] for one in refined], "bigload")
    server.shutdown()
    return {
        "documents": documents,
        "ranges": len(landed),
        "documents_per_range": [one["result"]["landed"] for one in landed],
        "at_once": at_once,
        "wall_seconds": {
            "plan": planned["seconds"],
            "land": round(middle - started, 1),
            "refine": round(ended - middle, 1),
            "merge": merged["seconds"],
        },
        "peak_megabytes": {
            "plan": _megabytes([planned]),
            "land": _megabytes(landed),
            "refine": _megabytes(refined),
            "merge": _megabytes([merged]),
        },
        "of_which_libraries": {
            "plan": _megabytes([planned], "library_bytes"),
            "land": _megabytes(landed, "library_bytes"),
            "refine": _megabytes(refined, "library_bytes"),
            "merge": _megabytes([merged], "library_bytes"),
        },
        "raw_megabytes": round(sum(one["result"]["raw_bytes"] for one in landed) / 1e6, 1),
        "processed_megabytes": round(sum(one["result"]["processed_bytes"] for one in refined) / 1e6, 1),
        "xcom_bytes_per_task": max(len(json.dumps(one["result"])) for one in refined),
        "merged": {key: merged["result"][key] for key in ("landed", "refined", "quarantined", "inserted")},
    }


def _megabytes(tasks: list[dict[str, Any]], kind: str = "peak_bytes") -> float:
    return round(max(float(one[kind]) for one in tasks) / 1e6, 1)


def main() -> None:
    """Measure, or be one task of it."""
    parser = argparse.ArgumentParser(prog="benchmarks.bigload")
    parser.add_argument("--documents", type=int, default=5_000_000)
    parser.add_argument("--records", type=int, default=1_000_000, help="split: {records: …} of the catalog")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--state", type=Path, help="a folder to work in; a temporary one if left out")
    parser.add_argument("--task", nargs=3, metavar=("VERB", "GIVEN", "RUN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        _task(*options.task)
        return
    with tempfile.TemporaryDirectory() as scratch:
        state = options.state or Path(scratch)
        figures = measure(options.documents, options.records, options.at_once, state)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
