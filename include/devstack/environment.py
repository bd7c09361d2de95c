"""The connections and variables that point Tideline at a stack, and the file that holds them."""

from __future__ import annotations

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devstack.process import HOST, StackError
from devstack.servers import s3
from tideline.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

MONGODB = "AIRFLOW_CONN_TIDELINE_MONGODB"
S3_SOURCE = "AIRFLOW_CONN_TIDELINE_S3_SOURCE"
LAKE = "AIRFLOW_CONN_TIDELINE_LAKE"
WAREHOUSE = "AIRFLOW_CONN_TIDELINE_WAREHOUSE"
API = "AIRFLOW_CONN_TIDELINE_JSONPLACEHOLDER"
CONNECTIONS = (MONGODB, S3_SOURCE, LAKE, WAREHOUSE, API)
"""What a person may set to have Tideline talk to systems of their own; the others get stand-ins."""

STAGES = {
    "TIDELINE_RAW_URI": "tideline-raw",
    "TIDELINE_PROCESSED_URI": "tideline-processed",
    "TIDELINE_QUARANTINE_URI": "tideline-quarantine",
}
"""Variable → bucket of the stages of a stand-in lake."""

PROJECT = "tideline"
NO_PROXY = ("NO_PROXY", "no_proxy")
"""Both spellings: of some clients' readers each has the one only."""


def mongodb(port: int) -> dict[str, str]:
    """MongoDB on loopback."""
    return {MONGODB: _json(conn_type="mongo", host=HOST, port=port)}


def s3_connection(name: str, port: int) -> dict[str, str]:
    """An S3 server on loopback, for the connection of that name."""
    extra = {
        "endpoint_url": f"http://{HOST}:{port}",
        "region_name": s3.REGION,
        "config_kwargs": {"s3": {"addressing_style": "path"}},
    }
    return {name: _json(conn_type="aws", login=s3.USER, password=s3.PASSWORD, extra=extra)}


def gcs_lake(port: int) -> dict[str, str]:
    """A GCS server on loopback as the lake."""
    return {LAKE: _google(), "STORAGE_EMULATOR_HOST": f"http://{HOST}:{port}"}


def warehouse(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """A BigQuery emulator."""
    project = environ.get("TIDELINE_PROJECT") or PROJECT
    return {WAREHOUSE: _google(project), "BIGQUERY_EMULATOR_HOST": url, "TIDELINE_PROJECT": project}


def api(url: str) -> dict[str, str]:
    """An HTTP API by its root URL."""
    parts = urlsplit(url)
    port = {"port": parts.port} if parts.port else {}
    return {API: _json(conn_type="http", schema=parts.scheme, host=parts.hostname, **port)}


def _google(project: str = PROJECT) -> str:
    return _json(conn_type="google_cloud_platform", extra={"project": project, "is_anonymous": True})


def _json(**fields: object) -> str:
    return json.dumps(fields)


@dataclass(frozen=True)
class LakePlan:
    """The stages of a stand-in lake: their URIs, and the buckets that must be made for them."""

    uris: dict[str, str]

    @property
    def buckets(self) -> list[str]:
        """The buckets of all stages."""
        return [urlsplit(uri).netloc for uri in self.uris.values()]


def lake_plan(scheme: str, environ: Mapping[str, str]) -> LakePlan:
    """The stages on a stand-in of that scheme; a URI that a person set is kept.

    Raises:
        StackError: One that is set cannot be on this stand-in.
    """
    uris = {name: environ.get(name) or f"{scheme}://{bucket}" for name, bucket in STAGES.items()}
    for name, uri in uris.items():
        if not uri.startswith(f"{scheme}://"):
            raise StackError(
                f"{name} is {uri!r}, but no connection {LAKE} is set and the stand-in lake is {scheme}://",
                remedy=f"unset {name}, or set {LAKE} to your own lake",
            )
    return LakePlan(uris)


def settings_of(environ: Mapping[str, str]) -> dict[str, str]:
    """What a person has set of Tideline's settings, folders in full: another shell has to say the same."""
    names = (f"TIDELINE_{name.upper()}" for name in Settings.__dataclass_fields__)
    known = {name: environ[name] for name in names if name in environ}
    folders = {name: str(Path(value).expanduser().absolute()) for name, value in known.items() if value}
    return known | {name: path for name, path in folders.items() if name.endswith("_DIR")}


def past_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """`NO_PROXY` with loopback in it, where a proxy is set: else it would be asked for the stand-ins."""
    if not any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in environ):
        return {}
    known = environ.get("NO_PROXY") or environ.get("no_proxy") or ""
    hosts = [host for host in known.split(",") if host]
    hosts += [host for host in (HOST, "localhost") if host not in hosts]
    return dict.fromkeys(NO_PROXY, ",".join(hosts))


def write_file(path: Path, environment: Mapping[str, str]) -> None:
    """Write `KEY=VALUE` lines that a shell can source; for the owner only, put in place in one step."""
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(environment.items()))
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    os.replace(new, path)  # noqa: PTH105  atomic on every platform


def read_file(path: Path) -> dict[str, str]:
    """Undo `write_file`."""
    pairs = (shlex.split(line)[0].partition("=") for line in path.read_text().splitlines())
    return {name: value for name, _, value in pairs}
