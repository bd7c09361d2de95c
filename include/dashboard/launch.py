"""`make dashboard`: the environment, the warehouse, and then Streamlit on loopback until Ctrl-C.

The warehouse is the one that BIGQUERY_EMULATOR_HOST or TIDELINE_DBT_TARGET=prod names; else that of a running
`make up`; else what the last `make run` left on this machine, served again by the emulator.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from devstack.bigquery import server
from devstack.bootstrap import network_environment
from devstack.environment import past_proxies, read_file
from devstack.process import StackError, free_port, port_number, require_free
from devstack.stack import ENVIRONMENT_FILE
from devstack.statelock import holder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
STATE = ROOT / ".tideline"
VENV = STATE / "venvs" / "dashboard"
LOCK = Path(__file__).with_name("requirements.txt")
HOST = "127.0.0.1"
PORT = "TIDELINE_DASHBOARD_PORT"
QUIET = {
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "STREAMLIT_SERVER_HEADLESS": "true",
    "STREAMLIT_CLIENT_SHOW_ERROR_DETAILS": "none",
    "STREAMLIT_CLIENT_TOOLBAR_MODE": "viewer",
    "PYTHONDONTWRITEBYTECODE": "1",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """`install` makes the environment only; without it, the dashboard runs until it is ended."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        python = install()
        return 0 if given == ["install"] else _run(python)
    except StackError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 0


def install(venv: Path = VENV) -> Path:
    """The dashboard's own environment, made from its hashed requirements where it is not current."""
    python, stamp = venv / "bin" / "python", venv / ".tideline-stamp"
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return python
    sys.stderr.write("tideline: installing the dashboard into .tideline/venvs\n")
    uv = str(Path(sys.executable).with_name("uv"))
    shutil.rmtree(venv, ignore_errors=True)
    _call([uv, "venv", "--quiet", "--python", sys.executable, str(venv)])
    _call([uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCK)])
    stamp.write_text(wanted)
    return python


def _call(command: list[str]) -> None:
    done = subprocess.run(command, env=network_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise StackError(
            f"the dashboard's packages cannot be installed: {reason}",
            remedy="behind a proxy or an own certificate authority set HTTPS_PROXY and SSL_CERT_FILE",
        )


@contextmanager
def warehouse() -> Iterator[dict[str, str]]:
    """What the app's environment must say about the warehouse, for as long as that is up."""
    if os.environ.get("BIGQUERY_EMULATOR_HOST") or os.environ.get("TIDELINE_DBT_TARGET") == "prod":
        yield {}
        return
    up = STATE / "up" / ENVIRONMENT_FILE
    on_loopback = past_proxies(os.environ)
    if holder(STATE / "up") and up.is_file():
        known = read_file(up).items()
        yield on_loopback | {k: v for k, v in known if k.startswith(("BIGQUERY", "TIDELINE"))}
        return
    with _last_run(STATE / "run") as emulator:
        yield on_loopback | {"BIGQUERY_EMULATOR_HOST": emulator.url}


def _last_run(state: Path) -> server.Emulator:
    directory = state / "servers" / "bigquery"
    if holder(state):
        raise StackError("`make run` is still running", remedy="wait for its end, then try again")
    if not (directory / "data").is_dir():
        raise StackError(
            "there is no warehouse to look at", remedy="run `make run` first, or `make up` beside it"
        )
    try:
        return server.start(directory, tied=True)
    except server.EmulatorError as error:
        raise StackError(str(error)) from error


def _port() -> int:
    text = os.environ.get(PORT)
    return require_free(port_number(text, PORT), "the dashboard", PORT) if text else free_port()


def _run(python: Path) -> int:
    port = _port()
    command = [str(python), "-m", "streamlit", "run", str(INCLUDE / "dashboard" / "app.py")]
    command += ["--server.address", HOST, "--server.port", str(port)]
    with warehouse() as found:
        env = {**os.environ, **QUIET, **found, "PYTHONPATH": str(INCLUDE)}
        sys.stderr.write(f"tideline: the dashboard is at http://{HOST}:{port} (Ctrl-C ends it)\n")
        return subprocess.run(command, env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
