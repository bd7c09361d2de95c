"""The peers' environments: what else one would have picked, pinned with hashes, apart from our own.

One each, since their needs contradict one another. `python -m benchmarks.peers` compares them all.
"""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from benchmarks import paths
from benchmarks.paths import PEERS, PEERS_LOCK, ROOT, UV
from devstack.bootstrap import network_environment

DLT = "dlt"
LOCKS = Path(__file__).with_name("requirements")
PYTHON = PEERS / "bin" / "python"
"""Of dlt's own environment."""
_STAMP = ".tideline-stamp"


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment."""
    return _folder(name) / "bin" / "python"


def program_of(name: str) -> str:
    """The program that a peer's environment is there for."""
    if name == "sling":
        inside = "python*/site-packages/sling_linux_amd64/bin/sling-linux-amd64"
        return str(next((_folder(name) / "lib").glob(inside), "sling"))
    return str(_folder(name) / "bin" / name)


def install(name: str = DLT) -> str | None:
    """Make an environment current; None when it is, else why it cannot be (offline, for instance)."""
    folder, lock = _folder(name), _lock(name)
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = folder / _STAMP
    if stamp.is_file() and stamp.read_text() == wanted:
        return None
    python = str(python_of(name))
    commands = (
        [str(UV), "venv", "--quiet", "--clear", "--python", str(paths.PYTHON), str(folder)],
        [str(UV), "pip", "sync", "--quiet", "--require-hashes", "--python", python, str(lock)],
    )
    for command in commands:
        done = subprocess.run(
            command, cwd=ROOT, env=network_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"not installed: {' '.join(done.stderr.split())[:300]}"
    stamp.write_text(wanted)
    return None


def dlt_version() -> str:
    """The version that is compared."""
    return version_of(DLT, "dlt")


def version_of(name: str, package: str) -> str:
    """The version of a package in a peer's environment."""
    pinned = (line for line in _lock(name).read_text().splitlines() if line.startswith(f"{package}=="))
    return next(pinned).split("==")[1].split()[0]


def _folder(name: str) -> Path:
    return PEERS if name == DLT else PEERS.with_name(f"peer-{name}")


def _lock(name: str) -> Path:
    return PEERS_LOCK if name == DLT else LOCKS / f"{name}.txt"
