"""A small world for faults: the embedded servers once a worker, and on them as many lanes as there are cases.

A lane is a deployment of its own (BigQuery prefix, lake prefix, database, CSV prefix, API path) with a source of
each kind and a handful of rows, so that a whole run takes tenths of a second. How to use it (fixture `arena`):

    lane = arena.lane()                               # nothing of it exists yet
    with lane.deployment() as deployment:
        lane.change("mongodb", 1, hour=0)             # the source gets a row, stamped in that hour
        steps.run(deployment, lane.request(hour=0, kind="mongodb"))
        sight = look(deployment, lane.dataset_id("mongodb"))
        check_settled(faults, before, sight, lane.truth("mongodb"))

`Lane` is a plain value: it goes to child processes (`zygote`), which make their own deployment of it with
`lane.deployment()`. Knows the three source systems as a plain client of them; writes what a truth is beside it.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from invariants import Truth

from devstack.process import HOST
from tideline import pipeline
from tideline.catalog.model import Catalog, CsvDataset, HttpDataset, MongoDataset, Source
from tideline.lake.retry import Patience
from tideline.plan import RunRequest
from tideline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tideline.pipeline import Deployment

T0 = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
KINDS = ("mongodb", "s3_csv", "rest_api")
SOURCE_BUCKET = "fault-drops"
STAGES = ("raw", "processed", "quarantine")
PAGE = 3
_COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "int64"},
    "note": {"type": "string"},
    "amount": {"type": "numeric", "precision": 12, "scale": 2},
    "updated_at": {"type": "timestamp"},
}


@dataclass(frozen=True)
class Servers:
    """Where everything is."""

    mongo: str
    s3: str
    api: str
    bigquery: str


@dataclass
class Rows:
    """What one source of a lane holds, as it was written there."""

    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    bad: dict[int, dict[str, Any]] = field(default_factory=dict)
    written: int = 0
    """How many changes there were: each has a stamp of its own."""


@dataclass
class Lane:
    """One case's deployment and sources; see the module."""

    name: str
    servers: Servers
    part_bytes: int = 256
    deadline_seconds: float = 30.0
    lease_seconds: float = 30.0
    threshold: float = 0.5
    lookback: timedelta = timedelta(0)
    sources: dict[str, Rows] = field(default_factory=lambda: {kind: Rows() for kind in KINDS})

    def dataset_id(self, kind: str) -> str:
        """The dataset of that kind's source."""
        return f"{kind}.things"

    @property
    def settings(self) -> Settings:
        """Settings that no other lane has."""
        return Settings(
            project="local", dataset_prefix=f"{self.name}_", deadline_seconds=self.deadline_seconds,
            lease_seconds=self.lease_seconds, part_bytes=self.part_bytes, **{f"{stage}_uri": f"s3://fault-{stage}/{self.name}" for stage in STAGES},
        )  # fmt: skip

    def catalog(self) -> Catalog:
        """One dataset of each kind."""
        shared: dict[str, Any] = {
            "name": "things", "key": ["id"], "quarantine_threshold": self.threshold,
            "columns": [{"name": name, **declared} for name, declared in _COLUMNS.items()],
        }  # fmt: skip
        paging = {"size": PAGE, "page_parameter": "page", "size_parameter": "limit"}
        datasets: dict[str, Any] = {
            "mongodb": MongoDataset(
                source="mongodb", database=self.name, collection="things", change_column="updated_at",
                lookback=self.lookback, **shared,
            ),
            "s3_csv": CsvDataset(
                source="s3_csv", bucket=SOURCE_BUCKET, prefix=f"{self.name}/", change_column="updated_at", **shared
            ),
            "rest_api": HttpDataset(source="rest_api", path=f"/{self.name}/things", paging=paging, **shared),
        }  # fmt: skip
        return Catalog(
            sources=tuple(
                Source(name=kind, kind=kind, connection=kind, datasets=(datasets[kind],)) for kind in KINDS
            )
        )

    @contextmanager
    def deployment(self) -> Iterator[Deployment]:
        """What the task bodies need. The clients that take long to make are shared by all lanes."""
        from tideline.lake.store import open_store
        from tideline.warehouse.bigquery import Warehouse

        patience = Patience().within(self.deadline_seconds)
        settings = self.settings
        with ExitStack() as closing:
            s3 = s3_client(self.servers.s3)
            stores = {
                stage: open_store(getattr(settings, f"{stage}_uri"), s3_client=s3, patience=patience)
                for stage in STAGES
            }
            warehouse = Warehouse(bigquery_client(self.servers.bigquery), settings)
            yield pipeline.Deployment(
                settings=settings,
                catalog=self.catalog(),
                open_source=cache_by_name(lambda source: self._client(source.kind, closing)),
                open_warehouse=lambda: warehouse,
                **stores,
            )

    def _client(self, kind: str, closing: ExitStack) -> Any:
        if kind == "mongodb":
            from pymongo import MongoClient

            return closing.enter_context(MongoClient(self.servers.mongo, serverSelectionTimeoutMS=5_000))
        if kind == "s3_csv":
            return s3_client(self.servers.s3)
        from tideline.land.http import HttpSession

        session = HttpSession(self.servers.api, deadline_seconds=self.deadline_seconds, proxies={})
        closing.callback(session.close)
        return session

    # --- the sources' side --------------------------------------------------------------------------------

    def change(
        self,
        kind: str,
        *ids: int,
        hour: int = 0,
        note: str = "",
        bad: bool = False,
        stamp: Any = "in the hour",
    ) -> None:
        """The source gets rows of these ids, new or in the place of those it had, stamped in that hour of T0.

        A `bad` one has an amount that is no number: it is refused, whatever run reads it. A `stamp` is an
        instant, or None.
        """
        source = self.sources[kind]
        for number in ids:
            source.written += 1
            at = T0 + hour * HOUR + timedelta(seconds=source.written) if stamp == "in the hour" else stamp
            amount = "many" if bad else Decimal(source.written)
            row = {
                "id": number,
                "note": f"{note or kind} {source.written}",
                "amount": amount,
                "updated_at": at,
            }
            (source.bad if bad else source.rows)[number] = row
        self._write(kind, ids, {**source.rows, **source.bad})

    def _write(self, kind: str, ids: tuple[int, ...], rows: Mapping[int, dict[str, Any]]) -> None:
        if kind == "mongodb":
            things = mongo_client(self.servers.mongo)[self.name]["things"]
            for number in ids:
                things.replace_one({"_id": number}, _document(rows[number]), upsert=True)
        elif kind == "s3_csv":
            s3_client(self.servers.s3).put_object(
                Bucket=SOURCE_BUCKET, Key=f"{self.name}/{self.sources[kind].written:06d}.csv",
                Body=_csv(rows[number] for number in ids),
            )  # fmt: skip
        else:
            items = [_item(rows[number]) for number in sorted(rows)]
            ApiServer.put(self.servers.api, f"/{self.name}/things", items)

    def truth(self, kind: str) -> Truth:
        """What that source says."""
        source = self.sources[kind]
        stamped = kind == "mongodb"
        return Truth(
            rows=dict(source.rows),
            stamps={key: row["updated_at"] for key, row in source.rows.items() if row["updated_at"]}
            if stamped
            else {},
            injected=len(source.bad),
        )

    # --- runs ---------------------------------------------------------------------------------------------

    def request(
        self, kind: str | None, hour: int = 0, window: tuple[float, float] | None = None
    ) -> RunRequest:
        """The scheduled run of an hour of T0; with a window (hours of T0) a run that names its interval."""
        interval = (T0 + hour * HOUR, T0 + (hour + 1) * HOUR)
        if window is not None:
            interval = (T0 + window[0] * HOUR, T0 + window[1] * HOUR)
        return RunRequest(
            run_id=f"run-{hour}" if window is None else f"backfill-{window[0]}-{window[1]}",
            kind="scheduled" if window is None else "backfill",
            interval=interval,
            datasets=None if kind is None else (self.dataset_id(kind),),
            window=None,
            catch_up=False,
            now=datetime.now(UTC),
        )


class Arena:
    """The servers of one worker, and lanes on them."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self._lanes = 0

    def lane(self, **options: Any) -> Lane:
        """A lane that nobody has used; options are `Lane`'s."""
        self._lanes += 1
        return Lane(f"lane{self._lanes}", self.servers, **options)


@contextmanager
def open_arena(state: Path, bigquery_url: str) -> Iterator[Arena]:
    """The servers, each in a process of its own but for the API, which is this module's."""
    from devstack.process import start
    from devstack.servers import mongodb, s3

    with ExitStack() as closing:
        embedded = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ports = {}
        for name, program in (("mongo", mongodb.program), ("s3", s3.program)):
            server = start(program(state / name, embedded), state / "logs")
            closing.callback(server.stop)
            ports[name] = server.port
        closing.callback(_close_clients)
        s3.make_buckets(ports["s3"], [SOURCE_BUCKET, *(f"fault-{stage}" for stage in STAGES)])
        api = closing.enter_context(ApiServer())
        yield Arena(
            Servers(
                f"mongodb://{HOST}:{ports['mongo']}", f"http://{HOST}:{ports['s3']}", api.url, bigquery_url
            )
        )


class ApiServer(ThreadingHTTPServer):
    """Answers `GET <path>?page=&limit=` with a page of a JSON array and an ETag; `PUT <path>` sets the array."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        self.items: dict[str, list[dict[str, Any]]] = {}
        super().__init__((HOST, 0), _Api)
        self.url = f"http://{HOST}:{self.server_address[1]}"

    def __enter__(self) -> ApiServer:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @staticmethod
    def put(url: str, path: str, items: list[dict[str, Any]]) -> None:
        """Make the array at that path this one."""
        import urllib3

        with urllib3.PoolManager() as pool:
            answer = pool.request("PUT", url + path, body=json.dumps(items).encode())
        assert answer.status == 204


class _Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: ApiServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        page, limit = int(query.get("page", ["1"])[0]), int(query.get("limit", ["1000"])[0])
        items = self.server.items.get(parts.path, [])[(page - 1) * limit : page * limit]
        body = json.dumps(items).encode()
        import hashlib

        etag = f'"{hashlib.md5(body).hexdigest()}"'
        if self.headers.get("If-None-Match") == etag:
            self._send(304, b"", etag)
        else:
            self._send(200, body, etag)

    def do_PUT(self) -> None:
        self.server.items[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send(204, b"", "")

    def _send(self, status: int, body: bytes, etag: str) -> None:
        self.send_response_only(status)
        self.send_header("ETag", etag)
        if status == 200:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def cache_by_name(make: Callable[[Source], Any]) -> Callable[[Source], Any]:
    """One client a source."""
    made: dict[str, Any] = {}

    def get(source: Source) -> Any:
        if source.name not in made:
            made[source.name] = make(source)
        return made[source.name]

    return get


@cache
def s3_client(url: str) -> Any:
    """One for all lanes of a process: making one takes 0.2 s."""
    from devstack.servers import s3

    return _kept(s3.client(int(url.rpartition(":")[2])))


@cache
def mongo_client(url: str) -> Any:
    """The writer's client, not that of any deployment."""
    from pymongo import MongoClient

    return _kept(MongoClient(url, tz_aware=True))


@cache
def bigquery_client(url: str) -> Any:
    """A client of the emulator."""
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    return _kept(
        bigquery.Client(
            project="local",
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=url),
        )
    )


_opened: list[Any] = []


def _kept(client: Any) -> Any:
    _opened.append(client)
    return client


def _close_clients() -> None:
    while _opened:
        _opened.pop().close()
    for made in (s3_client, mongo_client, bigquery_client):
        made.cache_clear()


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    from bson.decimal128 import Decimal128

    amount = row["amount"]
    amount = Decimal128(amount) if isinstance(amount, Decimal) else amount
    return {"_id": row["id"], **row, "amount": amount}


def _csv(rows: Any) -> bytes:
    lines = [",".join(_COLUMNS)]
    lines += [f"{r['id']},{r['note']},{r['amount']},{r['updated_at'].isoformat()}" for r in rows]
    return "\n".join(lines).encode() + b"\n"


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "amount": str(row["amount"]), "updated_at": row["updated_at"].isoformat()}
