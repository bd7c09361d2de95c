"""fake-gcs-server as the lake, where a person names its binary. Its buckets are folders to others."""

from __future__ import annotations

import http.client
import json
from typing import TYPE_CHECKING

from devstack.process import HOST, Program, StackError, answers_http
from devstack.servers.s3 import named_binary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

PORT = "TIDELINE_GCS_PORT"
BINARY = "TIDELINE_FAKE_GCS"
"""Path of a fake-gcs-server binary; setting it puts the lake on GCS."""


def program(directory: Path, environ: Mapping[str, str], port: int | None = None) -> Program | None:
    """The server with its objects under `directory`; None where no binary is named.

    Raises:
        StackError: The named binary is not there.
    """
    binary = named_binary(BINARY, environ)
    if binary is None:
        return None
    directory.mkdir(parents=True, exist_ok=True)

    def command(number: int) -> list[str]:
        place = f"{HOST}:{number}"
        return [
            binary, "-scheme", "http", "-host", HOST, "-port", str(number), "-backend", "filesystem",
            "-filesystem-root", str(directory), "-external-url", f"http://{place}", "-public-host", place,
        ]  # fmt: skip

    return Program("fake-gcs-server", command, lambda n: answers_http(n, "/storage/v1/b"), {}, port, PORT)


def make_buckets(port: int, names: Iterable[str]) -> None:
    """Create buckets on the server on that port.

    Raises:
        StackError: It refuses.
    """
    for name in dict.fromkeys(names):
        connection = http.client.HTTPConnection(HOST, port, timeout=10)
        body, headers = json.dumps({"name": name}), {"Content-Type": "application/json"}
        connection.request("POST", "/storage/v1/b?project=tideline", body, headers)
        status = connection.getresponse().status
        connection.close()
        if status != http.client.OK:
            raise StackError(f"fake-gcs-server answers {status} to making the bucket {name!r}")
