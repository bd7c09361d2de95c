"""Spark on a laptop: an environment of its own, apart from Airflow's, and where its spark-submit is.

Tests use it where it was made (`make spark-install`); Java must be on PATH. Knows no jobs.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from devstack.bootstrap import network_environment
from devstack.process import StackError

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "include"
VENV = ROOT / ".tideline" / "venvs" / "spark"
LOCK = INCLUDE / "spark" / "requirements.txt"
STAMP = ".tideline-stamp"


def main() -> int:
    """Make the environment."""
    try:
        sys.stderr.write(f"tideline: {install()}\n")
    except StackError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    return 0


def missing(venv: Path = VENV) -> str | None:
    """Why Spark cannot be used here; None where it can."""
    if not (venv / STAMP).is_file() or (venv / STAMP).read_text() != _wanted():
        return "Spark's environment is not installed, or old (make spark-install)"
    return None if shutil.which("java") else "Java is not on PATH"


def install(venv: Path = VENV) -> Path:
    """Spark's own environment, from its hashed requirements, where it is not current; its Python.

    Raises:
        StackError: It could not be made; says why.
    """
    python = venv / "bin" / "python"
    if missing(venv) is None:
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(venv)],
        [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(LOCK)],
    ):
        done = subprocess.run(
            command, cwd=ROOT, env=network_environment(), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StackError(f"Spark's environment: {' '.join(done.stderr.split())[:500]}")
    (venv / STAMP).write_text(_wanted())
    return python


def environment(venv: Path = VENV) -> dict[str, str]:
    """What spark-submit and its workers need: the same Python on both sides, and the library."""
    python = str(venv / "bin" / "python")
    return {
        "PYSPARK_PYTHON": python,
        "PYSPARK_DRIVER_PYTHON": python,
        "PYTHONPATH": str(INCLUDE),
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }


def _wanted() -> str:
    return hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
