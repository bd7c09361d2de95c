"""Programs that one would have picked, by their makers' recipes, started by a process of this project's.

What does not write Parquet counts its rows, and is compared by that alone.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.contestants.peers import DATABASE


def sling_documents(*, uri: str, collection: str, folder: str, program: str) -> dict[str, Any]:
    """Its native reader with flattened columns: by default a document is one JSON column."""
    stream = [
        "--src-conn",
        "MDB",
        "--src-stream",
        f"{DATABASE}.{collection}",
        "--src-options",
        "{flatten: true}",
    ]
    return _sling(program, stream, folder, {"MDB": f"{uri}/{DATABASE}"})


def sling_csv(*, path: str, folder: str, program: str) -> dict[str, Any]:
    """Its native reader and writer; without them it fetches a program from the network."""
    return _sling(program, ["--src-stream", f"file://{path}"], folder, {})


def _sling(program: str, source: list[str], folder: str, environment: dict[str, str]) -> dict[str, Any]:
    target = Path(folder, "out.parquet")
    given = {
        **os.environ,
        "SLING_DUCKDB_COMPUTE": "false",
        "SLING_DISABLE_TELEMETRY": "TRUE",
        "SLING_HOME_DIR": folder,
        **environment,
    }
    _run([program, "run", *source, "--tgt-object", f"file://{target}"], given)
    return {"parts": [str(target)]}


def ingestr_csv(*, path: str, folder: str, program: str) -> dict[str, Any]:
    """Into DuckDB, the nearest that it writes without a server; its rows are counted there."""
    plain = Path(folder, "orders.csv")
    _run(["gzip", "-dc", path], dict(os.environ), plain)
    return _ingestr(program, f"csv://{plain}", "orders", folder)


def ingestr_documents(*, uri: str, collection: str, folder: str, program: str) -> dict[str, Any]:
    """The same from MongoDB."""
    return _ingestr(program, f"{uri}/{DATABASE}", f"{DATABASE}.{collection}", folder)


def _ingestr(program: str, source: str, table: str, folder: str) -> dict[str, Any]:
    database = Path(folder, "out.duckdb")
    quiet = {"DISABLE_TELEMETRY": "true", "RUNTIME__DLTHUB_TELEMETRY": "false", "DLT_DATA_DIR": folder}
    command = [
        program, "ingest", "--source-uri", source, "--source-table", table, "--dest-uri",
        f"duckdb:///{database}", "--dest-table", "raw.t", "--yes", "--progress", "log",
    ]  # fmt: skip
    _run(command, {**os.environ, **quiet, "HOME": folder})
    count = (
        "import duckdb, sys; opened = duckdb.connect(sys.argv[1]);"
        "print(opened.sql('select count(*) from raw.t').fetchone()[0])"
    )
    python = str(Path(program).with_name("python"))
    return {"rows": int(subprocess.check_output([python, "-c", count, str(database)], text=True))}


def tap_documents(*, uri: str, collection: str, folder: str, program: str) -> dict[str, Any]:
    """A Singer tap by itself: a line of JSON for each document, to nowhere; no target writes Parquet."""
    host, _, port = uri.removeprefix("mongodb://").partition(":")
    config = {"host": host, "port": port, "user": None, "password": None, "database": DATABASE}
    told = {"selected": True, "replication-method": "FULL_TABLE", "database-name": DATABASE}
    stream = {
        "tap_stream_id": f"{DATABASE}-{collection}",
        "stream": collection,
        "table_name": collection,
        "schema": {"type": "object"},
        "metadata": [{"breadcrumb": [], "metadata": {**told, "table-key-properties": ["_id"]}}],
    }
    files = {"config": config, "catalog": {"streams": [stream]}}
    for name, content in files.items():
        Path(folder, f"{name}.json").write_text(json.dumps(content))
    given = (part for name in files for part in (f"--{name}", str(Path(folder, f"{name}.json"))))
    counts = re.findall(r"Synced (\d+) records", _run([program, *given], dict(os.environ)))
    return {"rows": sum(map(int, counts))}


def _run(command: list[str], environment: dict[str, str], output: Path | None = None) -> str:
    """Run it; what it said beside its output.

    Raises:
        RuntimeError: It failed.
    """
    with (output or Path(os.devnull)).open("wb") as sink:
        done = subprocess.run(
            command, env=environment, stdout=sink, stderr=subprocess.PIPE, text=True, check=False
        )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {' '.join(done.stderr.split())[-400:]}")
    return done.stderr
