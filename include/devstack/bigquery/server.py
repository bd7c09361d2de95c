"""Start and stop the BigQuery emulator. Knows its command line and environment, not what is asked of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

SHIM = "devstack.bigquery.shim"
INCLUDE = Path(__file__).resolve().parents[2]
REPOSITORY = Path(__file__).resolve().parents[3]
_STARTS = 3
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


class EmulatorError(RuntimeError):
    """The emulator does not start; the message says why and what to do."""


@dataclass(frozen=True)
class Emulator:
    """A running emulator. Leaving its context stops it; its data stay in the folder it was given."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """End the emulator's whole process group; what does not go by itself is killed."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()

    def __enter__(self) -> Emulator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def default_python() -> Path:
    """The interpreter of the emulator's environment: TIDELINE_BQEMULATOR_PYTHON, or where `make` puts it."""
    named = os.environ.get("TIDELINE_BQEMULATOR_PYTHON")
    return Path(named) if named else REPOSITORY / ".tideline" / "venvs" / "bqemulator" / "bin" / "python"


def prepare(python: Path) -> None:
    """Check that an environment can run the emulator, and compile it, so that the first start is quick.

    Raises:
        EmulatorError: It cannot; the message holds the last line of the reason.
    """
    command = [str(python), "-c", "import bqemulator.server, duckdb_extension_spatial, numpy"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=_environment({}), check=False)
    except OSError as error:
        raise EmulatorError(
            f"{python} does not run: {error}; make the environment with `make setup`"
        ) from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EmulatorError(
            f"{python} cannot run the emulator: {reason}; install requirements.txt beside {__file__}"
        )


def start(
    directory: Path,
    port: int = 0,
    *,
    python: Path | None = None,
    gcs_root: Path | None = None,
    without: Sequence[str] = (),
    tied: bool = False,
    timeout_seconds: float = 60.0,
) -> Emulator:
    """Start the emulator on loopback and wait until it answers.

    Args:
        directory: Its data, log and home; made where missing. Nothing is written elsewhere.
        port: 0 for a free one.
        python: The interpreter of the emulator's environment.
        gcs_root: Folder of `<bucket>/<key>` files that `gs://` URIs are read from.
        without: Names of corrections to leave out, for the tests that show the faults.
        tied: End with this process, even if it is killed.
        timeout_seconds: How long it may take.

    Raises:
        EmulatorError: It ended, or did not answer in time; the message names its log.
    """
    interpreter = default_python() if python is None else python
    if not interpreter.exists():
        raise EmulatorError(
            f"{interpreter} does not exist; make the emulator's environment with `make setup`"
        )
    directory.mkdir(parents=True, exist_ok=True)
    remaining = _STARTS
    while True:
        remaining -= 1
        emulator = _launch(directory.resolve(), _free_port(port), interpreter, gcs_root, without, tied=tied)
        try:
            _wait(emulator, timeout_seconds)
        except BaseException as error:
            emulator.stop()
            if remaining and isinstance(error, EmulatorError) and _lost_its_port(emulator):
                continue
            raise
        return emulator


def _launch(
    directory: Path, port: int, python: Path, gcs_root: Path | None, without: Sequence[str], *, tied: bool
) -> Emulator:
    command = [str(python), "-m", SHIM, "start", "--rest-port", str(port), "--grpc-port", "0", "--persistent"]
    command += ["--data-dir", str(directory / "data"), "--log-level", "error"]
    own = {
        "HOME": str(directory),
        "PYTHONPATH": str(INCLUDE),
        "BQEMU_ENABLE_FORMAT_EXTENSIONS": "false",  # Avro needs a download
        "BQEMU_UPLOAD_STAGING_DIR": str(directory / "uploads"),
        "TIDELINE_SHIM_WITHOUT": ",".join(without),
        "TIDELINE_SHIM_TIED": "1" if tied else "",
    }
    if gcs_root is not None:
        own["BQEMU_GCS_LOCAL_ROOT"] = str(gcs_root.resolve())
    log = directory / "emulator.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=_environment(own),
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Emulator(f"http://127.0.0.1:{port}", process, log)


def _environment(own: dict[str, str]) -> dict[str, str]:
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in _NOT_INHERITED and not name.startswith("BQEMU_")
    }
    return {**inherited, **own}


def _wait(emulator: Emulator, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        ready = _is_ready(emulator.url)
        if emulator.process.poll() is not None:
            raise EmulatorError(f"the emulator ended with {emulator.process.returncode}; see {emulator.log}")
        if ready:
            return
        if time.monotonic() > deadline:
            raise EmulatorError(f"the emulator did not answer in {timeout_seconds:g} s; see {emulator.log}")
        time.sleep(0.05)


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, OSError):
        return False


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise EmulatorError(f"port {wanted} of 127.0.0.1 is in use; choose another or free it") from error
        return int(probe.getsockname()[1])


def _lost_its_port(emulator: Emulator) -> bool:
    """Whether another process took the port between our look and the emulator's."""
    return "address already in use" in emulator.log.read_text(errors="replace")
