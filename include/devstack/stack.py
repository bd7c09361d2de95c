"""The stack: a server for every connection that nobody has set, started and stopped together.

Owns which server is started, the state folder and its environment file. Knows neither Airflow nor the shop.
"""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Self

from devstack import environment
from devstack.bigquery import server as bigquery
from devstack.environment import API, LAKE, MONGODB, S3_SOURCE, WAREHOUSE
from devstack.process import HOST, Program, Server, StackError, port_number, require_free, start
from devstack.servers import api, gcs, mongodb, s3
from devstack.shop.targets import BUCKET, Targets
from devstack.statelock import StateLock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

ENVIRONMENT_FILE = "tideline.env"
NEEDED_BYTES = 1 << 30
"""Free space below which a start is refused: the emulator alone writes 80 MB at once."""
OFFLINE = "TIDELINE_OFFLINE"
WAREHOUSE_PORT = "TIDELINE_BIGQUERY_PORT"


class Stack:
    """Servers on loopback for every connection that is not set, as long as the context is entered.

    Every start is a fresh world: what an earlier one left under `<state>/servers` is removed. The servers end
    with this process, however it ends.

    Args:
        state: Folder of everything that is written: `servers/`, `logs/`, `tideline.env`.
        offline: Never look for the public API; None leaves it to TIDELINE_OFFLINE.
        seed: What the API stand-in's items are made from.
        without: Connections that are neither set nor needed, e.g. `environment.WAREHOUSE`.
        environ: Where connections and ports are looked up; this process's environment where it is not given.
        python: The interpreter of the BigQuery emulator's environment; where `make` puts it if not given.

    Raises:
        StackError: Something cannot start; one line that says why and what to do.
    """

    def __init__(
        self,
        state: Path,
        *,
        offline: bool | None = None,
        seed: int = 1,
        without: Collection[str] = (),
        environ: Mapping[str, str] | None = None,
        python: Path | None = None,
    ) -> None:
        self.state = state.resolve()
        self.environment: dict[str, str] = {}
        """What it adds to the environment of whoever uses it; nothing of what was set already."""
        self.mongo_uri: str | None = None
        self.s3_url: str | None = None
        self.api_url: str | None = None
        self.warehouse_url: str | None = None
        self._environ = dict(os.environ if environ is None else environ)
        self._offline = self._environ.get(OFFLINE) == "1" if offline is None else offline
        self._seed, self._without, self._python = seed, without, python
        self._servers: list[Server] = []
        self._emulator: bigquery.Emulator | None = None
        self._held = ExitStack()

    def start(self) -> Self:
        """Start what is missing, all at once, and write the environment file."""
        _require_space(self.state)
        self._held.enter_context(StateLock(self.state))
        try:
            shutil.rmtree(self.state / "servers", ignore_errors=True)
            (self.state / ENVIRONMENT_FILE).unlink(missing_ok=True)
            with ThreadPoolExecutor(max_workers=8) as pool:
                parts = [pool.submit(part) for part in self._parts()]
            for part in parts:
                self.environment.update(part.result())
            self.environment.update(environment.past_proxies(self._environ))
            said = environment.settings_of(self._environ) | self.environment
            environment.write_file(self.state / ENVIRONMENT_FILE, said)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all servers and wait for their end. Idempotent."""
        ending: list[Callable[[], None]] = [server.stop for server in self._servers]
        if self._emulator is not None:
            ending.append(self._emulator.stop)
        with ThreadPoolExecutor(max_workers=8) as pool:
            done = [pool.submit(end) for end in ending]
        (self.state / ENVIRONMENT_FILE).unlink(missing_ok=True)
        self._servers, self._emulator = [], None
        self._held.close()
        for each in done:
            each.result()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the servers that it has started."""
        servers = tuple(server.process.pid for server in self._servers)
        return servers if self._emulator is None else (*servers, self._emulator.process.pid)

    @contextmanager
    def targets(self) -> Iterator[Targets]:
        """Clients of the stand-ins that a shop may write to; None for every system that is somebody's own."""
        from pymongo import MongoClient

        with ExitStack() as closing:
            mongo: MongoClient[dict[str, Any]] | None = None
            if self.mongo_uri:
                mongo = closing.enter_context(MongoClient(self.mongo_uri, tz_aware=True))
            source = None
            if self.s3_url and self._is_missing(S3_SOURCE):
                source = s3.client(int(self.s3_url.rpartition(":")[2]))
                closing.callback(source.close)
            yield Targets(mongo, source, self.api_url)

    def _is_missing(self, connection: str) -> bool:
        return not self._environ.get(connection) and connection not in self._without

    def _parts(self) -> list[Callable[[], dict[str, str]]]:
        """What has to be started; each gives what it adds to the environment."""
        lake = gcs.program(self._directory("gcs"), self._environ, self._port(gcs.PORT))
        is_gcs = lake is not None and self._is_missing(LAKE)
        parts: list[Callable[[], dict[str, str]]] = []
        if self._is_missing(MONGODB):
            parts.append(self._start_mongodb)
        if self._is_missing(S3_SOURCE) or (self._is_missing(LAKE) and not is_gcs):
            parts.append(lambda: self._start_s3(with_lake=self._is_missing(LAKE) and not is_gcs))
        if lake is not None and is_gcs:
            parts.append(lambda: self._start_gcs(lake))
        if self._is_missing(API):
            parts.append(self._start_api)
        if self._is_missing(WAREHOUSE):
            parts.append(lambda: self._start_warehouse(with_gcs=is_gcs))
        return parts

    def _run(self, program: Program) -> int:
        server = start(program, self.state / "logs")
        self._servers.append(server)
        return server.port

    def _start_mongodb(self) -> dict[str, str]:
        program = mongodb.program(self._directory("mongodb"), self._environ, self._port(mongodb.PORT))
        port = self._run(program)
        self.mongo_uri = f"mongodb://{HOST}:{port}"
        return environment.mongodb(port)

    def _start_s3(self, *, with_lake: bool) -> dict[str, str]:
        plan = environment.lake_plan("s3", self._environ) if with_lake else environment.LakePlan({})
        port = self._run(s3.program(self._directory("s3"), self._environ, self._port(s3.PORT)))
        self.s3_url = f"http://{HOST}:{port}"
        needs_source = self._is_missing(S3_SOURCE)
        s3.make_buckets(port, [*plan.buckets, *([BUCKET] if needs_source else [])])
        found = environment.s3_connection(S3_SOURCE, port) if needs_source else {}
        return {**found, **(environment.s3_connection(LAKE, port) if with_lake else {}), **plan.uris}

    def _start_gcs(self, program: Program) -> dict[str, str]:
        plan = environment.lake_plan("gs", self._environ)
        port = self._run(program)
        gcs.make_buckets(port, plan.buckets)
        return {**environment.gcs_lake(port), **plan.uris}

    def _start_api(self) -> dict[str, str]:
        if not self._offline and api.answers():
            return environment.api(api.PUBLIC_URL)
        self.api_url = f"http://{HOST}:{self._run(api.program(self._seed, self._port(api.PORT)))}"
        return environment.api(self.api_url)

    def _start_warehouse(self, *, with_gcs: bool) -> dict[str, str]:
        wanted = self._port(WAREHOUSE_PORT)
        if wanted is not None:
            require_free(wanted, "the BigQuery emulator", WAREHOUSE_PORT)
        try:
            self._emulator = bigquery.start(
                self._directory("bigquery"),
                wanted or 0,
                python=self._python,
                gcs_root=self._directory("gcs") if with_gcs else None,
                tied=True,
            )
        except bigquery.EmulatorError as error:
            raise StackError(str(error)) from error
        self.warehouse_url = self._emulator.url
        return environment.warehouse(self._emulator.url, self._environ)

    def _directory(self, name: str) -> Path:
        return self.state / "servers" / name

    def _port(self, variable: str) -> int | None:
        text = self._environ.get(variable)
        return port_number(text, variable) if text else None


def _require_space(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(state).free
    except OSError as error:
        raise StackError(f"{state} cannot be written: {error.strerror}") from error
    if free < NEEDED_BYTES:
        raise StackError(
            f"{free >> 20} MB are free where {state} is, {NEEDED_BYTES >> 20} MB are needed",
            remedy="free some space, or name another state folder",
        )
