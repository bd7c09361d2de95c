"""Settings: the only reader of the environment. Secrets are not here; they travel in Airflow connections."""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast, get_args

from tideline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

Decoder = Literal["auto", "native", "python"]
logger = logging.getLogger(__name__)

_ENVIRONMENTS = ("dev", "ci", "prod")
_DBT_MODES = ("local", "watcher")
_REPOSITORY = Path(__file__).resolve().parents[2]
_DBT_DIR = _REPOSITORY / "dbt"
_STAGES = ("TIDELINE_RAW_URI", "TIDELINE_PROCESSED_URI", "TIDELINE_QUARANTINE_URI")
_URI = re.compile(r"(s3|gs)://[A-Za-z0-9][A-Za-z0-9._-]+(/[^\s/?#]+)*")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_-]*")
_LOCATION = re.compile(r"[A-Za-z0-9-]+")
_DATASET_PREFIX = re.compile(r"[A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Settings:
    """One deployment of Tideline. Every field says the variable that sets it."""

    environment: str = "dev"
    """TIDELINE_ENVIRONMENT: dev, ci or prod; a label on every warehouse job."""
    catalog_dir: Path = _REPOSITORY / "include" / "catalog"
    """TIDELINE_CATALOG_DIR: the folder of the catalog's YAML files."""
    raw_uri: str = "s3://tideline-raw"
    """TIDELINE_RAW_URI: bucket, with an optional prefix, of the raw stage; `s3://` or `gs://`."""
    processed_uri: str = "s3://tideline-processed"
    """TIDELINE_PROCESSED_URI: the same for the processed stage."""
    quarantine_uri: str = "s3://tideline-quarantine"
    """TIDELINE_QUARANTINE_URI: the same for refused rows."""
    project: str = "tideline"
    """TIDELINE_PROJECT: the BigQuery project that holds the warehouse."""
    location: str = "US"
    """TIDELINE_LOCATION: where its datasets are."""
    dataset_prefix: str = ""
    """TIDELINE_DATASET_PREFIX: put before every BigQuery dataset's name; lets deployments share a project."""
    maximum_bytes_billed: int = 1 << 40
    """TIDELINE_MAXIMUM_BYTES_BILLED: the limit on each query job, in bytes."""
    load_table_hours: int = 48
    """TIDELINE_LOAD_TABLE_HOURS: after how many hours a load table expires."""
    deadline_seconds: float = 600.0
    """TIDELINE_DEADLINE_SECONDS: how long one call to a server may take with all its retries."""
    lease_seconds: float = 600.0
    """TIDELINE_LEASE_SECONDS: how long a merge that was killed keeps other loads out of its table."""
    part_bytes: int = 128 << 20
    """TIDELINE_PART_BYTES: uncompressed size at which a new part begins, in bytes."""
    body_bytes: int = 256 << 20
    """TIDELINE_BODY_BYTES: the largest body that an API may answer with, decompressed, in bytes."""
    object_bytes: int = 128 << 30
    """TIDELINE_OBJECT_BYTES: the largest that one compressed object of a source may inflate to, in bytes."""
    decoder: Decoder = "auto"
    """TIDELINE_DECODER: what decodes MongoDB's documents: `native` (compiled; an error where its wheel is not
    installed), `python`, or `auto`, the first of them that there is. Rows and rejects are the same."""
    dbt_dir: Path | None = _DBT_DIR
    """TIDELINE_DBT_DIR: the dbt project; empty for none."""
    dbt_target: str = "local"
    """TIDELINE_DBT_TARGET: the target in profiles.yml."""
    dbt_mode: str = "local"
    """TIDELINE_DBT_MODE: `local` (one process, `airflow dags test`) or `watcher` (under a scheduler)."""

    @property
    def label(self) -> dict[str, str]:
        """The labels that every warehouse job carries."""
        return {"app": "tideline", "environment": self.environment}


def from_environment(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings of this process; what is not set, or set to nothing, keeps its default.

    A variable that is nearly one of ours is reported in the log: it would otherwise be ignored in silence.

    Raises:
        SettingsError: A variable does not hold what its field's documentation says.
    """
    env = os.environ if environ is None else environ
    default = Settings()
    settings = Settings(
        environment=_one_of(env, "TIDELINE_ENVIRONMENT", _ENVIRONMENTS, default.environment),
        catalog_dir=_folder(env, "TIDELINE_CATALOG_DIR", default.catalog_dir),
        raw_uri=_uri(env, "TIDELINE_RAW_URI", default.raw_uri),
        processed_uri=_uri(env, "TIDELINE_PROCESSED_URI", default.processed_uri),
        quarantine_uri=_uri(env, "TIDELINE_QUARANTINE_URI", default.quarantine_uri),
        project=_matching(env, "TIDELINE_PROJECT", _PROJECT, default.project),
        location=_matching(env, "TIDELINE_LOCATION", _LOCATION, default.location),
        dataset_prefix=_matching(env, "TIDELINE_DATASET_PREFIX", _DATASET_PREFIX, default.dataset_prefix),
        maximum_bytes_billed=_positive(env, "TIDELINE_MAXIMUM_BYTES_BILLED", default.maximum_bytes_billed),
        load_table_hours=_positive(env, "TIDELINE_LOAD_TABLE_HOURS", default.load_table_hours),
        deadline_seconds=_positive(env, "TIDELINE_DEADLINE_SECONDS", int(default.deadline_seconds)),
        lease_seconds=_positive(env, "TIDELINE_LEASE_SECONDS", int(default.lease_seconds)),
        part_bytes=_positive(env, "TIDELINE_PART_BYTES", default.part_bytes),
        body_bytes=_positive(env, "TIDELINE_BODY_BYTES", default.body_bytes),
        object_bytes=_positive(env, "TIDELINE_OBJECT_BYTES", default.object_bytes),
        decoder=cast("Decoder", _one_of(env, "TIDELINE_DECODER", get_args(Decoder), default.decoder)),
        dbt_dir=None if env.get("TIDELINE_DBT_DIR") == "" else _folder(env, "TIDELINE_DBT_DIR", _DBT_DIR),
        dbt_target=env.get("TIDELINE_DBT_TARGET") or default.dbt_target,
        dbt_mode=_one_of(env, "TIDELINE_DBT_MODE", _DBT_MODES, default.dbt_mode),
    )
    _check_stages(settings)
    _warn_of_typos(env)
    return settings


def _one_of(env: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = env.get(name) or default
    if value not in allowed:
        raise SettingsError(f"{name} is {value!r}", remedy=f"set it to one of {', '.join(allowed)}")
    return value


def _folder(env: Mapping[str, str], name: str, default: Path) -> Path:
    value = env.get(name)
    return Path(value).expanduser().absolute() if value else default


def _positive(env: Mapping[str, str], name: str, default: int) -> int:
    value = env.get(name)
    if not value:
        return default
    if not re.fullmatch(r"[0-9]{1,18}", value) or int(value) == 0:
        raise SettingsError(f"{name} is {value!r}", remedy="set it to a whole number above 0")
    return int(value)


def _uri(env: Mapping[str, str], name: str, default: str) -> str:
    value = (env.get(name) or default).rstrip("/")
    if not _URI.fullmatch(value):
        raise SettingsError(
            f"{name} is {value!r}",
            remedy="set it to s3://bucket/optional-prefix or gs://bucket/optional-prefix",
        )
    return value


def _matching(env: Mapping[str, str], name: str, pattern: re.Pattern[str], default: str) -> str:
    value = env.get(name) or default
    if not pattern.fullmatch(value):
        raise SettingsError(
            f"{name} is {value!r}", remedy=f"set it to a text that matches {pattern.pattern} as a whole"
        )
    return value


def _check_stages(settings: Settings) -> None:
    """Readers list a stage by its prefix: two stages in one place would see each other's manifests."""
    uris = (settings.raw_uri, settings.processed_uri, settings.quarantine_uri)
    if len(set(uris)) < len(uris):
        raise SettingsError(
            f"{', '.join(_STAGES)} are {', '.join(uris)}",
            remedy="give each stage a bucket or a prefix of its own",
        )


def _warn_of_typos(env: Mapping[str, str]) -> None:
    known = {f"TIDELINE_{name.upper()}" for name in Settings.__dataclass_fields__}
    for name in env:
        if name.startswith("TIDELINE_") and name not in known:
            near = get_close_matches(name, known - env.keys(), n=1, cutoff=0.9)
            if near:
                logger.warning("%s is not a setting of Tideline; did you mean %s?", name, near[0])
