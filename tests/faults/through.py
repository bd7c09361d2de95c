"""A lane whose servers are reached through proxies, with patience that is counted instead of waited for.

    with proxies.before("api", lane) as line:             # fixture `proxies`
        line.proxy.fail("page=2", cut)
        run(line.deployment, lane.request("rest_api"))
    assert line.naps.total <= lane.deadline_seconds

Knows which client reaches which server; what is done with a deployment is the test's.
"""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from arena import bigquery_client, cache_by_name, s3_client
from proxy import HTTP, MONGO, Proxy

from tideline.lake.store import DEFAULT_PATIENCE, open_store
from tideline.warehouse.bigquery import Warehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from arena import Lane, Servers

    from tideline.lake.retry import Patience
    from tideline.pipeline import Deployment

ATTEMPTS = DEFAULT_PATIENCE.attempts
"""How often the product tries one call."""
PATIENT, SHORT = 10.0, 0.4
"""For how many seconds a silent server is waited for: by tests that have none, and by those that do."""


@dataclass
class Naps:
    """The pauses that were asked for. Nobody sleeps: the clock goes on by them instead."""

    asked: list[float] = field(default_factory=list)
    after: tuple[int, Callable[[], object]] | None = None
    """After how many pauses to do what."""

    def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        if self.after is not None and len(self.asked) == self.after[0]:
            self.after[1]()

    def clock(self) -> float:
        return time.monotonic() + self.total

    @property
    def total(self) -> float:
        return sum(self.asked)

    @property
    def rule(self) -> dict[str, Any]:
        """What takes the place of the real pauses, clock and chance."""
        return {"sleep": self.sleep, "clock": self.clock, "chance": lambda: 0.0}


@dataclass(frozen=True)
class Line:
    """A deployment, the proxy before one of its servers, the pauses that it asks for, and S3 past the proxy."""

    deployment: Deployment
    proxy: Proxy
    naps: Naps
    direct: Any


class Proxies:
    """A proxy before each server of a worker, and clients through them; both last as long as the worker."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._opened = ExitStack()
        self._proxies: dict[str, Proxy] = {}
        self._lakes: dict[tuple[str, float], Any] = {}

    def __enter__(self) -> Proxies:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @contextmanager
    def before(self, server: str, lane: Lane, seconds: float = PATIENT) -> Iterator[Line]:
        """The lane's deployment with a proxy before one of its servers: `mongo`, `s3`, `api` or `bigquery`.

        `seconds`: how long clients wait for one answer of a source or of the lake.
        """
        proxy, naps = self._proxy(server), Naps()
        servers = replace(lane.servers, **{server: proxy.url})
        with ExitStack() as opened, lane.deployment() as direct:
            opened.enter_context(_counted(naps))
            opened.callback(proxy.reset)
            patience = replace(DEFAULT_PATIENCE, deadline_seconds=lane.deadline_seconds)
            lake = self._s3(servers.s3, seconds)
            bigquery = direct.open_warehouse().client
            if server == "bigquery":
                bigquery = bigquery_client.__wrapped__(servers.bigquery)
                opened.callback(bigquery.close)
            warehouse = Warehouse(
                bigquery, lane.settings, sleep=naps.sleep, clock=naps.clock, dice=lambda: 1.0
            )
            stores = {
                stage: open_store(getattr(lane.settings, f"{stage}_uri"), s3_client=lake, patience=patience)
                for stage in ("raw", "processed", "quarantine")
            }
            deployment = replace(
                direct,
                open_source=cache_by_name(
                    lambda source: self._source(source.kind, servers, patience, seconds, opened)
                ),
                open_warehouse=lambda: warehouse,
                **stores,
            )
            yield Line(deployment, proxy, naps, s3_client(lane.servers.s3))

    def _proxy(self, server: str) -> Proxy:
        if server not in self._proxies:
            wire = MONGO if server == "mongo" else HTTP
            upstream = getattr(self._servers, server)
            self._proxies[server] = self._opened.enter_context(Proxy(upstream, wire))
        return self._proxies[server]

    def _s3(self, url: str, seconds: float) -> Any:
        """One for a worker: making one takes 0.2 s."""
        if (url, seconds) not in self._lakes:
            self._lakes[url, seconds] = s3_of(url, seconds)
            self._opened.callback(self._lakes[url, seconds].close)
        return self._lakes[url, seconds]

    def _source(
        self, kind: str, servers: Servers, patience: Patience, seconds: float, opened: ExitStack
    ) -> Any:
        if kind == "mongodb":
            from pymongo import MongoClient

            wait = int(seconds * 1000)
            return opened.enter_context(
                MongoClient(servers.mongo, serverSelectionTimeoutMS=min(wait, 1000), socketTimeoutMS=wait)
            )
        if kind == "s3_csv":
            return self._s3(servers.s3, seconds)
        from tideline.land.http import HttpSession

        session = HttpSession(
            servers.api,
            deadline_seconds=patience.deadline_seconds,
            patience=patience,
            proxies={},
            read_seconds=seconds,
        )
        opened.callback(session.close)
        return session


@contextmanager
def _counted(naps: Naps) -> Iterator[None]:
    """Every patience of the product comes from this one value."""
    before = {name: getattr(DEFAULT_PATIENCE, name) for name in naps.rule}
    _set(naps.rule)
    try:
        yield
    finally:
        _set(before)


def _set(rule: dict[str, Any]) -> None:
    for name, value in rule.items():
        object.__setattr__(DEFAULT_PATIENCE, name, value)


def s3_of(url: str, seconds: float) -> Any:
    """As `tideline.connections` makes it: without retries of its own; with a time-out fit for tests."""
    import boto3
    from botocore.config import Config

    from devstack.servers import s3

    config = Config(
        s3={"addressing_style": "path"},
        connect_timeout=2,
        read_timeout=seconds,
        retries={"total_max_attempts": 1, "mode": "standard"},
        proxies={},
        max_pool_connections=16,
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=url,
        region_name=s3.REGION,
        aws_access_key_id=s3.USER,
        aws_secret_access_key=s3.PASSWORD,
        config=config,
    )
