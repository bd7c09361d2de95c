"""A lake on a GCS server behind a network that breaks: all bytes arrive as they were, or it is told.

Where TIDELINE_FAKE_GCS names a fake-gcs-server (as in CI); skipped elsewhere. The embedded lake is S3's.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from proxy import GCS, Proxy, behead, cut, flip, flip_request, halve, lose, reset, status, status_after
from survival import check_crop, harvest, settle, survive, try_harvest
from through import ATTEMPTS, Line

from devstack.process import HOST, start
from devstack.servers import gcs
from tideline.errors import FatalError, IntegrityError, SettingsError, StoreUnavailableError
from tideline.lake.store import DEFAULT_PATIENCE, open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from arena import Lane
    from through import Proxies

pytestmark = pytest.mark.skipif(gcs.BINARY not in os.environ, reason=f"{gcs.BINARY} names no server")

KIND = "s3_csv"
STAGES = ("raw", "processed", "quarantine")
JSON = {"Content-Type": "application/json"}


def said(code: int, reason: str) -> tuple[int, dict[str, str], bytes]:
    return code, JSON, b'{"error": {"code": %d, "message": "%s"}}' % (code, reason.encode())


BREAKS = {
    "reset": reset,
    "reply lost": lose,
    "reset in the body": halve,
    "body truncated": cut,
    "head truncated": behead,
    "429": status(*said(429, "rateLimitExceeded")),
    "500": status(*said(500, "backendError")),
    "502": status(502, {}, b"<html>bad gateway</html>"),
    "503": status(*said(503, "backendError")),
    "504": status(504),
    "503 after the work": status_after(*said(503, "backendError")),
}
CALLS = {
    "put raw part": r"POST /upload/.*fault-raw/.*part-",
    "put raw manifest": r"POST /upload/.*fault-raw/.*_manifest",
    "get raw manifest": r"GET /download/.*fault-raw/.*_manifest",
    "get raw part": r"GET /download/.*fault-raw/.*part-",
    "put processed part": r"POST /upload/.*fault-processed/.*part-",
    "put processed manifest": r"POST /upload/.*fault-processed/.*_manifest",
}


@dataclass(frozen=True)
class AsS3:
    """What the checks ask of a bucket past the proxy, in S3's words."""

    client: storage.Client

    def get_object(self, **named: str) -> dict[str, Any]:
        blob = self.client.bucket(named["Bucket"]).blob(named["Key"])
        return {"Body": blob.open("rb", raw_download=True)}

    def get_paginator(self, _: str) -> AsS3:
        return self

    def paginate(self, **named: str) -> list[dict[str, Any]]:
        found = self.client.list_blobs(named["Bucket"], prefix=named["Prefix"])
        return [{"Contents": [{"Key": blob.name, "ETag": blob.md5_hash} for blob in found]}]


def client_of(url: str, opened: ExitStack) -> storage.Client:
    made = storage.Client("p", AnonymousCredentials(), client_options={"api_endpoint": url})
    opened.callback(made.close)
    return made


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, gcs_root: Path) -> Iterator[Proxy]:
    """Before a server whose objects are where the emulator of BigQuery looks for them.

    The server says by itself where an object's bytes are had: there, too, it has to name the proxy.
    """
    program = gcs.program(gcs_root, os.environ)
    assert program is not None
    with Proxy(f"http://{HOST}", GCS) as proxy:

        def command(port: int) -> list[str]:
            given = program.command(port)
            given[given.index("-external-url") + 1] = proxy.url
            return given

        running = start(replace(program, command=command), tmp_path_factory.mktemp("logs"))
        proxy.upstream = f"http://{HOST}:{running.port}"
        gcs.make_buckets(running.port, [f"fault-{stage}" for stage in STAGES])
        yield proxy
    running.stop()


@pytest.fixture
def single(arena):
    """One object with eight rows."""
    made = arena.lane()
    made.change(KIND, *range(1, 9))
    return made


@pytest.fixture
def line(proxy: Proxy, proxies: Proxies, single: Lane) -> Iterator[Line]:
    """The lane's deployment with its lake on the server behind the proxy."""
    with ExitStack() as opened:
        opened.callback(proxy.reset)
        usual = opened.enter_context(proxies.before("s3", single))
        patience = replace(DEFAULT_PATIENCE, deadline_seconds=single.deadline_seconds)
        client = client_of(proxy.url, opened)
        stores = {
            stage: open_store(f"gs://fault-{stage}/{single.name}", gcs_client=client, patience=patience)
            for stage in STAGES
        }
        direct = AsS3(client_of(proxy.upstream, opened))
        yield Line(replace(usual.deployment, **stores), proxy, usual.naps, direct)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", BREAKS)
def test_a_lake_that_breaks_once_is_asked_again(faults, line, single, name, call):
    """Where the work was done and the reply was lost, the object is there already: with our bytes, so it is ours."""
    line.proxy.fail(CALLS[call], BREAKS[name])
    survive(faults, line, single, KIND)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("name", ["reset", "429", "503", "503 after the work"])
def test_a_lake_that_stays_broken_is_given_up_within_bounds(faults, line, single, name, call):
    line.proxy.fail(CALLS[call], BREAKS[name], times=99)
    survive(faults, line, single, KIND, fails=StoreUnavailableError, met=ATTEMPTS)
    assert len(line.naps.asked) == ATTEMPTS - 1


@pytest.mark.parametrize("call", CALLS)
def test_a_lake_that_refuses_is_told_at_once(faults, line, single, call):
    line.proxy.fail(CALLS[call], status(*said(403, "forbidden")), times=99)
    survive(faults, line, single, KIND, fails=SettingsError, met=None)
    assert line.naps.asked == []


@pytest.mark.parametrize("call", ["get raw part", "get raw manifest"])
@pytest.mark.parametrize("place", range(8))
def test_a_flipped_byte_on_the_way_back_is_noticed(faults, line, single, place, call):
    line.proxy.fail(CALLS[call], flip(place / 8))
    survive(faults, line, single, KIND, may_fail=(IntegrityError,))


@pytest.mark.parametrize("call", ["put raw part", "put processed part"])
def test_a_flipped_byte_on_the_way_in_is_noticed(faults, line, single, call):
    """By the server, which is told the checksum; else by whoever reads it. The last quarter is the object's."""
    line.proxy.fail(CALLS[call], flip_request(0.85))
    crop, error = try_harvest(line, single.request(KIND))
    assert len(line.proxy.failed) == 1
    assert crop is None
    assert isinstance(error, FatalError), repr(error)
    line.proxy.heal()
    check_crop(faults, harvest(line.deployment, single.request(KIND)), single.truth(KIND))
    faults.tried()


@pytest.mark.parametrize("fault", [reset, lose, BREAKS["503"]], ids=["reset", "reply lost", "503"])
def test_a_whole_run_in_which_every_request_fails_once(faults, line, single, fault):
    settle(faults, line, single, KIND, fault)
