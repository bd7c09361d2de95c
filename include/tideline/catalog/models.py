"""Whether a dbt project goes with the catalog, and what its profile is called.

Reads its manifest and its `dbt_project.yml`, nothing else of dbt.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import PosixPath
from typing import TYPE_CHECKING, Any

import yaml

from tideline.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from tideline.catalog.model import Catalog


OWN = "tideline"
"""What dbt calls the source that is Tideline's own ledgers: there in every deployment, in no catalog."""


NIGHTLY = "nightly"
"""dbt's tag of the tests that read whole tables: no hour runs them, the daily run does."""


class HourlyManifest(PosixPath):
    """A manifest without nightly tests: Cosmos's watcher waits for each that it names, run or not."""

    def open(self, *_: Any, **__: Any) -> Any:  # noqa: ANN401
        """What is left of it, as bytes."""
        with super().open("rb") as file:
            read = json.load(file)
        read["nodes"] = {key: node for key, node in read["nodes"].items() if NIGHTLY not in node["tags"]}
        return BytesIO(json.dumps(read).encode())


def manifest_path(dbt_dir: Path) -> Path:
    """Where `dbt parse` leaves the manifest of a project."""
    return dbt_dir / "target" / "manifest.json"


def profile_name(dbt_dir: Path) -> str:
    """The profile that a project names; its `profiles.yml` lies beside it.

    Raises:
        SettingsError: It names none.
    """
    path = dbt_dir / "dbt_project.yml"
    try:
        return str(yaml.safe_load(path.read_bytes())["profile"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SettingsError(
            "the dbt project names no profile", place=str(path), remedy="write `profile:` and its name"
        ) from error


def has_models(dbt_dir: Path | None, catalog: Catalog) -> bool:
    """Whether the DAG ends in this project's models.

    Yes where the catalog fills every table of its sources, which are called as in the catalog. No without a
    project, and for one that is about other tables altogether: then the catalog is run without models.

    Raises:
        SettingsError: The manifest is missing or damaged, or only some of its sources are in the catalog.
    """
    if dbt_dir is None:
        return False
    wanted = _sources(manifest_path(dbt_dir))
    filled = {(dataset.source, dataset.name) for dataset in catalog.datasets}
    missing = sorted(".".join(table) for table in wanted - filled)
    if missing and wanted & filled:
        raise SettingsError(
            f"the dbt project reads tables that the catalog does not fill: {', '.join(missing)}",
            place=str(dbt_dir),
            remedy="add the datasets to the catalog, take the sources out of the project, "
            "or set TIDELINE_DBT_DIR to another project or to nothing",
        )
    return not missing


def _sources(path: Path) -> set[tuple[str, str]]:
    try:
        nodes = json.loads(path.read_bytes())["sources"].values()
        return {(node["source_name"], node["name"]) for node in nodes if node["source_name"] != OWN}
    except FileNotFoundError:
        raise SettingsError(
            "the dbt manifest is not there",
            place=str(path),
            remedy="run `make manifest`, or `dbt parse` in the project",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"the dbt manifest cannot be read: {error.strerror or error}",
            place=str(path),
            remedy="let the user that Airflow runs as read this file",
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"the dbt manifest cannot be read: {error}", place=str(path), remedy="run `make manifest` again"
        ) from error
