"""The living shop for a cluster: every stand-in on a fixed port of all addresses, until told to stop.

The stand-ins themselves listen on loopback, as on a laptop; what arrives on the pod's address is passed on.
`verify` holds a warehouse against what is true of the shop. Knows nothing of Kubernetes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from devstack.run import open_shop, scale, whole_number
from devstack.servers import s3
from devstack.shop.shop import Shop
from devstack.shop.world import DATASETS
from devstack.stack import Stack
from tideline.errors import SettingsError
from tideline.window import HOUR, format_instant, hour_of, parse_instant

if TYPE_CHECKING:
    from pathlib import Path

    from devstack.shop.targets import Targets

SEED = 7
PORTS = {
    "TIDELINE_MONGODB_PORT": 27017,
    "TIDELINE_S3_PORT": 9000,
    "TIDELINE_HTTP_PORT": 8000,
    "TIDELINE_BIGQUERY_PORT": 9050,
}
"""The port that others reach; the stand-in behind it listens on the same number plus `BEHIND`."""
BEHIND = 10_000
LEAD = timedelta(minutes=2)
CLOCK = "shop.json"
LOGS = "tideline-logs"
"""The bucket that the chart's values for such a cluster have Airflow write its tasks' logs to."""


def demo(state: Path) -> int:
    """Serve the shop and let its hours happen as they come, until SIGTERM or SIGINT; the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    environ = {**os.environ, **{name: str(port + BEHIND) for name, port in PORTS.items()}}
    hours = whole_number("HOURS", 3)
    anchor = hour_of(datetime.now(UTC)) - timedelta(hours=hours)
    with Stack(state, offline=True, environ=environ) as stack, stack.targets() as targets:
        if stack.s3_url:
            s3.make_buckets(int(stack.s3_url.rpartition(":")[2]), [LOGS])
        shop = open_shop(anchor, targets)
        for hour in range(hours):
            _advance(shop, hour, targets, state)
        forwarding = threading.Thread(target=asyncio.run, args=(_forward(stop),))
        forwarding.start()
        while not stop.wait(1):
            if datetime.now(UTC) >= anchor + (hours + 1) * HOUR - LEAD:
                _advance(shop, hours, targets, state)
                hours += 1
        forwarding.join()
    return 0


def verify(state: Path, end: str) -> int:
    """Hold the warehouse against the shop as it was at `end`; prints one JSON line; 1 where they differ.

    Raises:
        SettingsError: The shop has not come that far.
    """
    clock = json.loads((state / CLOCK).read_text())
    anchor, last = parse_instant(clock["anchor"]), clock["hour"]
    hour = (parse_instant(end) - anchor) // HOUR - 1 if end else last
    if not 0 <= hour <= last:
        raise SettingsError(f"the shop was not yet, or no longer, at {end}", remedy="name a full hour since")
    shop = Shop(SEED, scale(), anchor)
    counts = {
        dataset_id: difference(dataset_id, dict(shop.rows(dataset_id, hour))) for dataset_id in DATASETS
    }
    wrong = {dataset_id: found for dataset_id, found in counts.items() if found["different"]}
    summary = {"end": format_instant(anchor + (hour + 1) * HOUR), "equal": not wrong, "datasets": counts}
    print(json.dumps(summary))
    return 1 if wrong else 0


def _advance(shop: Shop, hour: int, targets: Targets, state: Path) -> None:
    shop.advance(hour, targets)
    (state / CLOCK).write_text(json.dumps({"anchor": format_instant(shop.scope.anchor), "hour": hour}))


def difference(dataset_id: str, expected: dict[Any, dict[str, Any]]) -> dict[str, int]:
    """How many rows the warehouse has, and how many keys are missing, too many, or say something else."""
    from tideline import connections
    from tideline.warehouse.names import raw_table

    with connections.open_deployment() as deployment:
        dataset = deployment.catalog.dataset(dataset_id)
        warehouse = deployment.open_warehouse()
        columns = [column.name for column in dataset.columns]
        names = ", ".join(f"`{name}`" for name in columns)
        table = raw_table(dataset, warehouse.settings)
        sql = f"SELECT {names} FROM {table.sql} WHERE _deleted_at IS NULL"  # noqa: S608 - names are quoted
        rows = [{name: row[name] for name in columns} for row in warehouse.rows(sql, kind="verify")]
    keyed = {tuple(row[name] for name in dataset.key): row for row in rows}
    wanted = {key if isinstance(key, tuple) else (key,): row for key, row in expected.items()}
    different = sum(keyed.get(key) != wanted.get(key) for key in keyed.keys() | wanted.keys())
    return {"rows": len(rows), "different": different + len(rows) - len(keyed)}


async def _forward(stop: threading.Event) -> None:
    servers = [await asyncio.start_server(_passer(port + BEHIND), "0.0.0.0", port) for port in PORTS.values()]
    while not stop.is_set():
        await asyncio.sleep(0.2)
    for server in servers:
        server.close()


def _passer(port: int) -> Any:  # noqa: ANN401  asyncio's callback
    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))

    return passed


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (ConnectionError, OSError):
        writer.close()
