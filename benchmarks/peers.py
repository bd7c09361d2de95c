"""The peers' environment: what else one would have picked, pinned, apart from the project's own packages."""

from __future__ import annotations

import hashlib
import subprocess

from benchmarks import paths
from benchmarks.paths import PEERS, PEERS_LOCK, ROOT, UV
from devstack.bootstrap import network_environment

PYTHON = PEERS / "bin" / "python"
_STAMP = PEERS / ".tideline-stamp"


def install() -> str | None:
    """Make the environment current; None when it is, else why it cannot be (offline, for instance)."""
    wanted = hashlib.sha256(PEERS_LOCK.read_bytes()).hexdigest()
    if _STAMP.is_file() and _STAMP.read_text() == wanted:
        return None
    commands = (
        [str(UV), "venv", "--quiet", "--clear", "--python", str(paths.PYTHON), str(PEERS)],
        [str(UV), "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(PEERS_LOCK)],
    )
    for command in commands:
        done = subprocess.run(
            command, cwd=ROOT, env=network_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"not installed: {' '.join(done.stderr.split())[:300]}"
    _STAMP.write_text(wanted)
    return None


def dlt_version() -> str:
    """The version that is compared."""
    return next(
        line.split("==")[1].split()[0]
        for line in PEERS_LOCK.read_text().splitlines()
        if line.startswith("dlt==")
    )
