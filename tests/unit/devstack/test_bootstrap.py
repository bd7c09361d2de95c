"""Set-up says in one line what is missing."""

import os
import shutil
import subprocess
from contextlib import nullcontext
from pathlib import Path

import pytest

from devstack import bootstrap


def test_a_python_that_is_too_old_is_named(monkeypatch):
    monkeypatch.setattr(bootstrap, "OLDEST", (9, 9))
    monkeypatch.setattr(bootstrap, "NEWEST", (9, 9))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(bootstrap.SetupError, match=r"Python 3\.9 to 3\.9 is needed, 3\.\d+ was found"):
        bootstrap.use_new_enough_python()


def test_another_python_of_the_path_is_used(monkeypatch):
    started = []
    monkeypatch.setattr(bootstrap, "OLDEST", (3, 99))
    monkeypatch.setattr(bootstrap, "NEWEST", (3, 99))
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(bootstrap.os, "execv", lambda path, _: (started.append(path), pytest.fail("stop"))[0])
    with pytest.raises(pytest.fail.Exception):
        bootstrap.use_new_enough_python()
    assert started == ["/bin/python3.99"]


@pytest.mark.parametrize(
    ("place", "encoding", "said"),
    [
        ("/home/me/50% off", "UTF-8", "takes no % in a path; move the checkout"),
        ("/home/Danny's/$work", "UTF-8", r"takes no ' \$ in a path; move the checkout"),
        (
            "/home/me/täglich",
            "ANSI_X3.4-1968",
            r"t\\xe4glich' cannot be spelt in ANSI_X3.4-1968.*; unset LC_ALL",
        ),
        ("/home/me/täglich & (neu) #1", "UTF-8", None),
    ],
)
def test_a_folder_in_which_nothing_could_run_is_refused_at_once(monkeypatch, place, encoding, said):
    monkeypatch.setattr(bootstrap, "ROOT", Path(place))
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 12))
    monkeypatch.setattr(bootstrap.locale, "getencoding", lambda: encoding)
    with pytest.raises(bootstrap.SetupError, match=said) if said else nullcontext():
        bootstrap.check_place()


def test_a_full_disk_is_refused_before_anything_is_written(monkeypatch):
    monkeypatch.setattr(bootstrap, "NEEDED_BYTES", 1 << 62)
    with pytest.raises(bootstrap.SetupError, match="GiB of free disk are needed"):
        bootstrap._check_space()


def test_a_checkout_without_its_lock_is_refused():
    with pytest.raises(bootstrap.SetupError, match=r"nothing\.lock is missing"):
        bootstrap._stamp("nothing.lock")


def test_main_prints_one_line(monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "install_project", lambda: bootstrap._stamp("nothing.lock"))
    assert bootstrap.main() == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_what_is_current_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(bootstrap, "VENV", tmp_path)
    monkeypatch.setattr(bootstrap, "_run", lambda _: pytest.fail("nothing had to be done"))
    bootstrap._write_stamp(tmp_path, bootstrap._stamp("uv.lock", "pyproject.toml"))
    bootstrap.install_project()


def test_a_command_that_fails_says_how_to_get_past_a_proxy():
    with pytest.raises(bootstrap.SetupError, match="HTTPS_PROXY and SSL_CERT_FILE"):
        bootstrap._run(["false"])


def test_a_home_that_holds_no_cache_keeps_nobody_from_installing(monkeypatch, tmp_path):
    """A container under an arbitrary user, say: uv gave up, and the remedy spoke of proxies."""
    for name in ("UV_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "UV_CACHE_DIR" not in bootstrap.network_environment()
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "file"))
    found = bootstrap.network_environment()["UV_CACHE_DIR"]
    assert found == str(bootstrap.ROOT / ".tideline" / "uv-cache")
    monkeypatch.setenv("UV_CACHE_DIR", "/somewhere")
    assert bootstrap.network_environment()["UV_CACHE_DIR"] == "/somewhere"


def test_no_verb_looks_for_modules_in_another_checkout(tmp_path):
    (tmp_path / "seen.mk").write_text('seen:\n\t@echo "found: $$PYTHONPATH"\n')
    command = ["make", "--no-print-directory", "-f", str(bootstrap.ROOT / "Makefile")]
    command += ["-f", str(tmp_path / "seen.mk"), "seen"]
    env = {**os.environ, "PYTHONPATH": "/elsewhere/include"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "found: \n"


def test_the_documentation_is_of_the_project_that_ships(tmp_path):
    """`make docs` writes the reference of the reports, whatever project and target of one's own the shell names."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    said = 'echo "$(basename $0) $*: $TIDELINE_DBT_DIR $TIDELINE_DBT_TARGET"'
    for name in ("python", "dbt"):
        (binaries / name).write_text(f"#!/bin/sh\n{said}\n")
        (binaries / name).chmod(0o755)
    (tmp_path / "dbt" / "target").mkdir(parents=True)
    (tmp_path / "dbt" / "target" / "manifest.json").touch()
    command = ["make", "--no-print-directory", "-f", str(bootstrap.ROOT / "Makefile"), f"BIN={binaries}"]
    command += [f"PYTHON={binaries / 'python'}", "docs"]
    env = {**os.environ, "TIDELINE_DBT_DIR": "/elsewhere", "TIDELINE_DBT_TARGET": "theirs"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    assert "python -m devstack manifest: \n" in done.stdout.replace(":  ", ": ")
    assert [line for line in done.stdout.splitlines() if line.startswith("dbt") and "theirs" in line] == []


def test_the_documentation_is_written_in_a_checkout_whose_path_has_blanks(tmp_path):
    here = tmp_path / "Größe und $HOME"
    binaries = here / "bin"
    binaries.mkdir(parents=True)
    for name in ("python", "dbt"):
        (binaries / name).write_text(f'#!/bin/sh\nfor word; do echo "{name} $word"; done\n')
        (binaries / name).chmod(0o755)
    (here / "dbt" / "target").mkdir(parents=True)
    (here / "dbt" / "target" / "manifest.json").touch()
    command = ["make", "--no-print-directory", "-f", str(bootstrap.ROOT / "Makefile"), "BIN=bin"]
    command += ["PYTHON=bin/python", "docs"]
    done = subprocess.run(command, cwd=here, capture_output=True, text=True, check=True)
    assert f"dbt {here}/.tideline/docs" in done.stdout.splitlines()


def test_the_certificate_bundle_reaches_pip_and_uv(monkeypatch, tmp_path):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    for name in ("PIP_CERT", "UV_SYSTEM_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    env = bootstrap.network_environment()
    assert (env["PIP_CERT"], env["UV_SYSTEM_CERTS"]) == (str(bundle), "1")
