"""Build the compiled BSON decoder and install it into the project's environment: `make native`.

Needs Rust; everything else comes from PyPI and crates.io, into `.tideline/`. Without Rust nothing breaks:
Python decodes the same, more slowly, and manifests say which engine ran. Uses the standard library alone.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from devstack.bootstrap import ROOT, VENV, network_environment

CRATE = ROOT / "include" / "native" / "bson"
TOOLS = ROOT / ".tideline" / "venvs" / "native"
OUTPUT = ROOT / ".tideline" / "native"
MATURIN = "maturin==1.16.0"
OLDEST_RUST = (1, 88)
UV = VENV / "bin" / "uv"
CHECK = "import tideline_native_bson as n; print(n.__version__, 'semantics', n.SEMANTICS)"


class BuildError(Exception):
    """What is missing and what to do about it, in one line."""


def main() -> int:
    """Exit code 1 where it cannot be built; one line says why."""
    try:
        check_rust()
        wheel = build()
        run(
            [
                str(UV),
                "pip",
                "install",
                "--quiet",
                "--no-deps",
                "--reinstall",
                "--python",
                python(),
                str(wheel),
            ]
        )
        found = run([python(), "-c", CHECK])
    except BuildError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    sys.stdout.write(f"tideline: the compiled BSON decoder {found.strip()} is in .venv\n")
    return 0


def python() -> str:
    """The project's interpreter."""
    return str(VENV / "bin" / "python")


def check_rust() -> None:
    """Look for a compiler that is new enough.

    Raises:
        BuildError: There is none.
    """
    oldest = ".".join(map(str, OLDEST_RUST))
    remedy = f"install Rust {oldest} or newer, or go on without: Python decodes the same, more slowly"
    if shutil.which("cargo") is None or shutil.which("rustc") is None:
        raise BuildError(f"cargo and rustc are not on PATH; {remedy}")
    version = run(["rustc", "--version"])
    match = re.search(r"(\d+)\.(\d+)", version)
    if match is None or (int(match[1]), int(match[2])) < OLDEST_RUST:
        raise BuildError(f"found {version.strip()}; {remedy}")


def build() -> Path:
    """The wheel, built from the locked crates."""
    run([str(UV), "venv", "--quiet", "--allow-existing", "--python", python(), str(TOOLS)])
    run([str(UV), "pip", "install", "--quiet", "--python", str(TOOLS / "bin" / "python"), MATURIN])
    wheels = OUTPUT / "dist"
    shutil.rmtree(wheels, ignore_errors=True)
    command = [str(TOOLS / "bin" / "maturin"), "build", "--release", "--locked", "--interpreter", python()]
    run([*command, "--out", str(wheels)])
    return next(wheels.glob("*.whl"))


def run(command: list[str]) -> str:
    """Run it in the crate's folder; what it printed.

    Raises:
        BuildError: It failed.
    """
    environment = network_environment() | {"CARGO_TARGET_DIR": str(OUTPUT / "target")}
    if bundle := environment.get("PIP_CERT"):
        environment.setdefault("CARGO_HTTP_CAINFO", bundle)
    done = subprocess.run(command, cwd=CRATE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).split())[-400:]
        raise BuildError(f"{Path(command[0]).name} failed: {last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
