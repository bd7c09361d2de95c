"""Set-up of a laptop: the project's environment, and the BigQuery emulator's own. Standard library only.

Run by the Makefile with whatever `python3` there is, before anything is installed. Quick when
nothing changed: each environment carries a stamp of what it was made from.
"""

from __future__ import annotations

import hashlib
import locale
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
EMULATOR_VENV = ROOT / ".tideline" / "venvs" / "bqemulator"
EMULATOR_LOCK = ROOT / "include" / "devstack" / "bigquery" / "requirements.txt"
UV = "uv==0.13.8"
OLDEST, NEWEST = (3, 11), (3, 14)
NEEDED_BYTES = 5 << 30
UNUSABLE = "$%?'\"`;:\n"
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def main() -> int:
    """Make both environments current; print one line that says what to do when that cannot be."""
    try:
        use_new_enough_python()
        check_place()
        install_project()
        install_emulator()
    except SetupError as error:
        sys.stderr.write(f"tideline: {error}\n")
        return 1
    return 0


class SetupError(Exception):
    """What is missing and what to do about it, in one line."""


def use_new_enough_python() -> None:
    """Go on with another interpreter of the PATH when this one is too old or too new."""
    if OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        other = shutil.which(f"python3.{minor}")
        if other:
            os.execv(other, [other, *sys.argv])  # noqa: S606
    found = ".".join(map(str, sys.version_info[:2]))
    raise SetupError(
        f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed, {found} was found; install one of them"
    )


def check_place() -> None:
    """Refuse a folder in whose path something that is started here would read more than a name.

    Airflow expands `$` and `%` in the paths of its configuration, and its database's URL ends at a `?`; the
    emulator refuses quotes and `;`; `:` separates folders of PATH. Python before 3.13 reads where a package
    lies in the locale's encoding, of which `LC_ALL=C` makes ASCII.
    """
    path = str(ROOT)
    if signs := " ".join(dict.fromkeys(sign for sign in path if sign in UNUSABLE)):
        raise SetupError(
            f"{path}: what runs here takes no {signs} in a path; move the checkout to another folder"
        )
    try:
        path.encode(locale.getencoding() if sys.version_info < (3, 13) else "utf-8")
    except UnicodeEncodeError:
        raise SetupError(
            f"{path!a} cannot be spelt in {locale.getencoding()}, the encoding of this shell; unset LC_ALL, "
            "or set it to a locale with UTF-8, such as C.UTF-8"
        ) from None


def install_project() -> None:
    """`.venv` as uv.lock says."""
    stamp = _stamp("uv.lock", "pyproject.toml")
    if _is_current(VENV, stamp):
        return
    _check_space()
    _say("installing the project's packages into .venv (a few minutes the first time)")
    _make_venv(VENV)
    _run([str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV])
    _run([str(VENV / "bin" / "uv"), "sync", "--frozen", "--quiet", "--inexact"])
    _write_stamp(VENV, stamp)


def install_emulator() -> None:
    """The BigQuery emulator's own environment; its needs and ours do not fit into one."""
    stamp = _stamp(str(EMULATOR_LOCK.relative_to(ROOT)))
    if _is_current(EMULATOR_VENV, stamp):
        return
    _check_space()
    _say("installing the BigQuery emulator into .tideline/venvs")
    _make_venv(EMULATOR_VENV)
    python = str(EMULATOR_VENV / "bin" / "python")
    _run(
        [
            str(VENV / "bin" / "uv"),
            "pip",
            "sync",
            "--quiet",
            "--require-hashes",
            "--python",
            python,
            str(EMULATOR_LOCK),
        ]
    )
    prepare = (
        "import sys, pathlib; from devstack.bigquery import server; server.prepare(pathlib.Path(sys.argv[1]))"
    )
    _run([str(VENV / "bin" / "python"), "-c", prepare, python])
    _write_stamp(EMULATOR_VENV, stamp)


def network_environment() -> dict[str, str]:
    """This environment, with the company's certificate bundle and proxy made known to pip and uv alike.

    uv does not run without a cache: where no home can hold one, it is kept here.
    """
    env = dict(os.environ)
    given = (env.get(name) for name in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"))
    bundle = next((path for path in (*given, *BUNDLES) if path and Path(path).is_file()), None)
    if bundle:
        env.setdefault("PIP_CERT", bundle)
        env.setdefault("UV_SYSTEM_CERTS", "1")
    if not env.get("UV_CACHE_DIR") and not _is_writable(_cache(env)):
        env["UV_CACHE_DIR"] = str(ROOT / ".tideline" / "uv-cache")
    env["UV_PROJECT_ENVIRONMENT"] = str(VENV)
    env.pop("VIRTUAL_ENV", None)
    return env


def _cache(env: Mapping[str, str]) -> Path:
    """Where uv keeps what it downloads, unless it is told a place."""
    return Path(env.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "uv"  # noqa: PTH111  no error


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _make_venv(path: Path) -> None:
    if not _works(path):
        shutil.rmtree(path, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(path)])


def _works(path: Path) -> bool:
    python = path / "bin" / "python"
    if not python.exists():
        return False
    seen = subprocess.run([str(python), "-c", _VERSION], capture_output=True, text=True, check=False)
    return seen.stdout.strip() == ".".join(map(str, sys.version_info[:2]))


_VERSION = "import sys, pip; print('.'.join(map(str, sys.version_info[:2])))"


def _stamp(*files: str) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]}{ROOT}".encode())
    for name in files:
        path = ROOT / name
        if not path.is_file():
            raise SetupError(f"{name} is missing; this is not a whole checkout")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _is_current(venv: Path, stamp: str) -> bool:
    path = venv / ".tideline-stamp"
    return path.is_file() and path.read_text() == stamp


def _write_stamp(venv: Path, stamp: str) -> None:
    (venv / ".tideline-stamp").write_text(stamp)


def _check_space() -> None:
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise SetupError(
            f"{NEEDED_BYTES >> 30} GiB of free disk are needed in {ROOT}, {free >> 30} GiB are free"
        )


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd=ROOT, env=network_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    sys.stderr.write(done.stdout + done.stderr)
    raise SetupError(
        f"`{Path(command[0]).name} {' '.join(command[1:3])} …` failed, as shown above. "
        "Behind a proxy or an own certificate authority set HTTPS_PROXY and SSL_CERT_FILE, then try again"
    )


def _say(text: str) -> None:
    sys.stderr.write(f"tideline: {text}\n")


if __name__ == "__main__":
    sys.exit(main())
