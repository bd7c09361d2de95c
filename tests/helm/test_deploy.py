"""`make deploy` with a helm that only writes down what it is asked: what is said about a run that was, or was not, tried."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
from charts import ROOT

if TYPE_CHECKING:
    from pathlib import Path

HELM = """#!/bin/sh
echo "$@" >>"$ASKED"
case "$1 $2" in "get hooks") echo "$HOOKS" ;; "version --short") echo v4.3.0 ;; esac
"""


@pytest.mark.parametrize("hooks", ["    helm.sh/hook: test", ""], ids=["with a smoke", "without"])
def test_it_says_when_there_is_nothing_to_smoke(tmp_path: Path, hooks: str) -> None:
    """`helm test` is green where the chart has none, as with values-gke.yaml: nobody's run would look like one."""
    for name, text in (("helm", HELM), ("kubectl", "#!/bin/sh\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    asked, values = tmp_path / "asked", tmp_path / "values.yaml"
    values.touch()
    env = {
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "ASKED": str(asked),
        "HOOKS": hooks,
        "VALUES": str(values),
    }
    done = subprocess.run(
        [ROOT / "helm" / "deploy.sh"],
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    tested = any(line.startswith("test tideline") for line in asked.read_text().splitlines())
    assert tested is bool(hooks)
    assert ("no run was tried" in done.stdout) is not tested
