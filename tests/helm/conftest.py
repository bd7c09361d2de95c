"""One rendered chart for the whole session, and every combination of values that is supported."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from charts import CHART, VALUES, Renderer, combined, helm_binary, official, stub

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    helm = helm_binary()
    if helm is None:
        pytest.skip("no helm on PATH and TIDELINE_HELM is not set: the chart was NOT rendered")
    chart = tmp_path_factory.mktemp("chart") / "tideline"
    shutil.copytree(CHART, chart, ignore=shutil.ignore_patterns("charts"))
    is_official = official(helm, chart)
    if not is_official:
        stub(chart / "charts" / "airflow")
    return Renderer(helm, chart, official=is_official)


@pytest.fixture(params=VALUES, ids=lambda path: path.stem)
def combination(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """The arguments of one supported combination of values."""
    path: Path = request.param
    return combined(path)
