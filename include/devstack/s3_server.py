"""The S3 stand-in as a network server: moto, with atomic conditional writes and objects kept off the heap.

`python -m devstack.s3_server --port 0 --directory D` prints `listening 127.0.0.1:<port>`; a pod listens
on `--host 0.0.0.0`.
Owns the corrections to moto; knows no buckets. Any credentials are let in.

Corrections, each pinned by a test:
- `If-None-Match: *` is looked up and then stored in two steps: of racing writers more than one could win.
  Requests that write are served one at a time here, their bodies read beforehand.
- Objects live in memory up to 5 MiB each; here up to 64 KiB, larger ones in unnamed files.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import resource
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from devstack.foreground import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

HOST = "127.0.0.1"
MEMORY_BYTES = 64 << 10
"""Size up to which an object is kept in memory."""
_MANY_FILES = 10_240
_READING = ("GET", "HEAD", "OPTIONS")


class S3Server:
    """A server on a loopback port; in tests `with S3Server() as server:` and `endpoint_url=server.url`.

    Args:
        port: Where to listen; 0 for any free port.
        host: The address to listen on.

    Buckets belong to the process, as moto has them: a second server in it serves the same ones. Large objects
    are where Python puts temporary files.
    """

    def __init__(self, port: int = 0, host: str = HOST) -> None:
        os.environ["MOTO_S3_DEFAULT_KEY_BUFFER_SIZE"] = str(MEMORY_BYTES)
        self._server = _make(host, port)
        self.url = f"http://{host}:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _make(host: str, port: int) -> Any:  # noqa: ANN401  werkzeug's server has no public type
    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    dispatcher = DomainDispatcherApplication(create_backend_app)
    # it looks through the folders of all its services for each request, a fifth of the work
    dispatcher.get_backend_for_host = lru_cache(dispatcher.get_backend_for_host)
    application = OneWriter(dispatcher)
    server = make_server(host, port, application, threaded=True, request_handler=MotoRequestHandler)
    server.daemon_threads = True  # type: ignore[attr-defined]
    return server


class OneWriter:
    """Serves writing requests one after the other, each with its body read beforehand."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        if environ["REQUEST_METHOD"] in _READING:
            return self._application(environ, start_response)
        environ["wsgi.input"] = io.BytesIO(_body(environ))
        with self._lock:
            return list(self._application(environ, start_response))


def _body(environ: dict[str, Any]) -> bytes:
    """The whole body; without a length only where the server marks its end (chunked)."""
    length = environ.get("CONTENT_LENGTH")
    if length:
        return bytes(environ["wsgi.input"].read(int(length)))
    return bytes(environ["wsgi.input"].read()) if environ.get("wsgi.input_terminated") else b""


def _allow_many_files() -> None:
    """Each large object is an open file. macOS has no hard limit but its kernel's, 10 240."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MANY_FILES if most == resource.RLIM_INFINITY else min(most, _MANY_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(prog="devstack.s3_server", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args(arguments)
    _allow_many_files()
    if options.directory is not None:
        options.directory.mkdir(parents=True, exist_ok=True)
        tempfile.tempdir = str(options.directory)
    server = S3Server(options.port, options.host)
    run(server, server.url.removeprefix("http://"))


if __name__ == "__main__":
    main()
