"""Named fault points before and after every I/O step, made by wrapping the ports of a deployment.

`wrapped(deployment, at)` is the same deployment whose stores, source clients and BigQuery client call
`at("<step>/before")` and `at("<step>/after")` around every call that leaves the process. A step is
`<port>.<operation>[<what>]`: `raw.put_file[part]`, `source.find`, `bigquery.query[merge]`. The stage (plan,
land, refine, merge) is put in front by whoever runs it (`zygote`).

Off, the points cost nothing, because they are not there: the product neither has them nor reads any variable
about them; only a child process of these tests wraps its own deployment. That nothing goes round the ports is
what `test_ports.py` shows. Knows the ports' shapes, not what a fault is.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tideline.pipeline import Deployment
    from tideline.warehouse.bigquery import Warehouse

    At = Callable[[str], None]

_inside = threading.local()


def wrapped(deployment: Deployment, at: At) -> Deployment:
    """The deployment with a point before and after each of its I/O steps."""
    return replace(
        deployment,
        raw=PointedStore(deployment.raw, "raw", at),
        processed=PointedStore(deployment.processed, "processed", at),
        quarantine=PointedStore(deployment.quarantine, "quarantine", at),
        open_source=lambda source: Pointed(deployment.open_source(source), "source", at),
        open_warehouse=lambda: _warehouse(deployment.open_warehouse(), at),
    )


def is_inside() -> bool:
    """Whether this thread is between a point's before and after: where network calls have to be."""
    return getattr(_inside, "depth", 0) > 0


@contextmanager
def step(name: str, at: At) -> Iterator[None]:
    """One I/O step: a point before it, the step, a point after it, however it ended."""
    at(f"{name}/before")
    _inside.depth = getattr(_inside, "depth", 0) + 1
    try:
        yield
    finally:
        _inside.depth -= 1
        at(f"{name}/after")


class PointedStore:
    """A `Store` with points; a body that is read while it is written has one more, in the middle of it."""

    def __init__(self, store: Any, name: str, at: At) -> None:
        self._store, self._name, self._at = store, name, at
        self.root = store.root

    def uri_of(self, key: str) -> str:
        return self._store.uri_of(key)

    def key_of(self, uri: str) -> str:
        return self._store.key_of(uri)

    def put(self, key: str, body: bytes, **options: Any) -> Any:
        with self._step("put", key):
            return self._store.put(key, body, **options)

    def put_file(self, key: str, body: Any, **options: Any) -> Any:
        with self._step("put_file", key):
            return self._store.put_file(key, body, **options)

    def read(self, key: str) -> bytes:
        with self._step("read", key):
            return self._store.read(key)

    @contextmanager
    def open(self, key: str, **options: Any) -> Iterator[Any]:
        with self._step("open", key):
            opened = self._store.open(key, **options)
            stream = opened.__enter__()
        try:
            yield Pointed(stream, f"{self._name}.stream", self._at)
        finally:
            opened.__exit__(None, None, None)

    def exists(self, key: str) -> bool:
        with self._step("exists", key):
            return self._store.exists(key)

    def list(self, prefix: str) -> Iterator[str]:
        with self._step("list", "prefix"):
            found = list(self._store.list(prefix))
        return iter(found)

    def _step(self, operation: str, key: str) -> Any:
        return step(f"{self._name}.{operation}[{_what(key)}]", self._at)


class Pointed:
    """Any client, cursor, job or stream: calls that leave the process have points, their results are wrapped."""

    def __init__(self, target: Any, name: str, at: At) -> None:
        self.__dict__.update(_target=target, _name=name, _at=at)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if _goes_on(found) or not callable(found) or isinstance(found, type):
            return self._wrap(found)
        if self._is_local(name):
            return lambda *given, **named: self._wrap(found(*given, **named))
        return lambda *given, **named: self._call(name, found, given, named)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._target, name, value)

    def __getitem__(self, name: Any) -> Any:
        return self._wrap(self._target[name])

    def __enter__(self) -> Any:
        self._target.__enter__()
        return self

    def __exit__(self, *error: object) -> Any:
        return self._target.__exit__(*error)

    def __iter__(self) -> Iterator[Any]:
        items = iter(self._target)
        while True:
            with step(f"{self._name}.next", self._at):
                item = next(items, self)
            if item is self:
                return
            yield item

    def _is_local(self, name: str) -> bool:
        """Closing a MongoDB cursor asks the server to forget it; closing anything else asks nobody."""
        return name in _LOCAL or (name == "close" and not type(self._target).__module__.startswith("pymongo"))

    def _call(self, name: str, call: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        given = tuple(_bare(each) for each in given)
        about = _of(name, given, named) or _of_job(self._target)
        with step(f"{self._name}.{name}{about}", self._at):
            return self._wrap(call(*given, **named))

    def _wrap(self, value: Any) -> Any:
        if isinstance(value, dict) and "Body" in value:  # a reply of S3: its body is read later
            return {**value, "Body": Pointed(value["Body"], f"{self._name}.body", self._at)}
        return Pointed(value, self._name, self._at) if _goes_on(value) else value


_LOCAL = frozenset(
    {"get_collection", "get_database", "link", "url_of", "closed", "readable", "seekable", "done"}
)
"""Calls that stay in the process."""


def _goes_on(value: Any) -> bool:
    """Whether calls of this value leave the process in their turn."""
    module, name = type(value).__module__, type(value).__name__
    if module.startswith("pymongo.synchronous"):
        return name in (
            "Database",
            "Collection",
            "Cursor",
            "RawBatchCursor",
            "CommandCursor",
            "RawBatchCommandCursor",
        )
    return module.startswith("google.cloud.bigquery") and name in (
        "QueryJob",
        "LoadJob",
        "CopyJob",
        "RowIterator",
    )


def _bare(value: Any) -> Any:
    return value._target if isinstance(value, Pointed) else value


def _what(key: str) -> str:
    """`part`, or the name of the manifest or counts file."""
    return re.sub(r"part-\d+.*", "part", key.rpartition("/")[2]).strip("_").removesuffix(".json")


def _of(name: str, given: tuple[Any, ...], named: dict[str, Any]) -> str:
    """What a call of BigQuery's client is about: the kind of the job, or the table."""
    job_id = named.get("job_id") or (given[0] if name == "get_job" else None)
    if job_id:
        return f"[{job_id.split('_')[1]}]"
    if name not in ("get_table", "create_table", "update_table", "delete_table", "create_dataset"):
        return ""
    table = given[0]
    text = str(getattr(table, "reference", None) or getattr(table, "dataset_id", None) or table)
    return f"[{_role(text)}]"


def _of_job(target: Any) -> str:
    job_id = target.job_id if "Job" in type(target).__name__ else None
    return f"[{job_id.split('_')[1]}]" if job_id else ""


def _role(text: str) -> str:
    ledgers = ("load_ledger", "landed_objects", "build_ledger", "build_places")
    for role in ("lease__", *ledgers, "tideline_load", "tideline_ops", "raw_"):
        if role in text:
            return role.rstrip("_")
    return text


def _warehouse(warehouse: Warehouse, at: At) -> Warehouse:
    from tideline.warehouse.bigquery import Warehouse as Product

    return Product(Pointed(warehouse.client, "bigquery", at), warehouse.settings)  # type: ignore[arg-type]
