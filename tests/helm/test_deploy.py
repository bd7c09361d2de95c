"""`make deploy`: how it gets the official chart, and, with a helm that only writes down what it is asked, what is
said about a run that was, or was not, tried."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import yaml
from charts import CHART, ROOT, helm_binary, stub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from charts import Renderer

HELM = """#!/bin/sh
echo "$@" >>"$ASKED"
case "$1 $2" in "get hooks") echo "$HOOKS" ;; "version --short") echo v4.3.0 ;; esac
"""
OFFICIAL = "https://airflow.apache.org"


def deploy(folder: Path, helm: str, root: Path = ROOT, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the script with this helm, and a cluster that says nothing."""
    for name, text in (("helm", helm), ("kubectl", "#!/bin/sh\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    (folder / "values.yaml").touch()
    env = {
        "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
        "ASKED": str(folder / "asked"),
        "HOOKS": "",
        "VALUES": str(folder / "values.yaml"),
        **more,
    }
    return subprocess.run(
        [root / "helm" / "deploy.sh"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("hooks", ["    helm.sh/hook: test", ""], ids=["with a smoke", "without"])
def test_it_says_when_there_is_nothing_to_smoke(tmp_path: Path, hooks: str) -> None:
    """`helm test` is green where the chart has none, as with values-gke.yaml: nobody's run would look like one."""
    done = deploy(tmp_path, HELM, HOOKS=hooks)
    assert done.returncode == 0, done.stderr
    tested = any(line.startswith("test tideline") for line in (tmp_path / "asked").read_text().splitlines())
    assert tested is bool(hooks)
    assert ("no run was tried" in done.stdout) is not tested


def test_the_smoke_has_the_time_that_the_values_give_it(tmp_path: Path, renderer: Renderer) -> None:
    """As after a first deployment, whose first run reads everything."""
    kind = ("-f", str(ROOT / "helm/values-kind.yaml"), "-f", str(CHART / "ci/kind.yaml"))
    hooks = renderer.text(*kind, "--set", "smoke.minutes=90", "-s", "templates/tests/smoke.yaml")
    done = deploy(tmp_path, HELM, HOOKS=hooks)
    assert done.returncode == 0, done.stderr
    assert "test tideline -n tideline --timeout 95m --logs" in (tmp_path / "asked").read_text().splitlines()


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """The URL of a chart repository that has the stub of the official chart."""
    helm = helm_binary()
    if helm is None:
        pytest.skip("no helm on PATH and TIDELINE_HELM is not set: nothing was fetched")
    folder = tmp_path / "repository"
    stub(folder / "airflow")
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        for command in (["package", "airflow"], ["repo", "index", ".", "--url", url]):
            subprocess.run([helm, *command], cwd=folder, check=True, capture_output=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield url
        server.shutdown()


def checkout(folder: Path, repository: str) -> Path:
    """What `make deploy` needs of one, whose chart depends on that repository's."""
    shutil.copytree(CHART, folder / "helm" / "tideline", ignore=shutil.ignore_patterns("charts"))
    shutil.copy(ROOT / "helm" / "deploy.sh", folder / "helm")
    chart = folder / "helm" / "tideline"
    about, lock = (chart / name for name in ("Chart.yaml", "Chart.lock"))
    about.write_text(about.read_text().replace(OFFICIAL, repository))
    (wanted,) = yaml.safe_load(about.read_text())["dependencies"]
    hashed = json.dumps([[wanted]] * 2, separators=(",", ":")).encode()
    locked = yaml.safe_load(lock.read_text()) | {"digest": f"sha256:{hashlib.sha256(hashed).hexdigest()}"}
    lock.write_text(yaml.safe_dump(locked).replace(OFFICIAL, repository))
    return chart


def test_the_official_chart_is_fetched_where_nobody_has_added_its_repository(
    tmp_path: Path, repository: str
) -> None:
    """As on a machine whose Helm is new, and in CI; the lock stays as it is. What is there is not fetched again."""
    chart = checkout(tmp_path / "checkout", repository)
    version = yaml.safe_load((chart / "Chart.yaml").read_text())["dependencies"][0]["version"]
    lock = (chart / "Chart.lock").read_text()
    own = {name: str(tmp_path / name) for name in ("HELM_CONFIG_HOME", "HELM_CACHE_HOME", "HELM_DATA_HOME")}
    helm = HELM.replace("case", f'[ "$1" = dependency ] && exec {helm_binary()} "$@"\ncase')
    for fetched in (True, False):
        done = deploy(tmp_path, helm, tmp_path / "checkout", **own)
        assert done.returncode == 0, done.stderr
        assert ("Downloading airflow" in done.stdout) is fetched
    assert [path.name for path in (chart / "charts").iterdir()] == [f"airflow-{version}.tgz"]
    assert (chart / "Chart.lock").read_text() == lock
    about = chart / "Chart.yaml"
    about.write_text(about.read_text().replace(version, f"9{version}"))
    done = deploy(tmp_path, helm, tmp_path / "checkout", **own)
    assert done.returncode, "the chart of another version was taken"
