"""Refine on Spark, for landings that outgrow a pod: the raw parts are spread, the functions are the same.

Here is what a task does about it; `order` is what is asked of a job, `job` and `parts` are the job, `submit`
is how it reaches a cluster. Knows no rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tideline.errors import SettingsError, SparkError
from tideline.lake import manifest as manifests

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tideline.catalog.model import AnyDataset
    from tideline.lake.manifest import Manifest
    from tideline.pipeline import Deployment

FEWEST_PARTS = 2


def wanted(dataset: AnyDataset, landed: Mapping[str, Any]) -> bool:
    """Whether a landing goes to Spark: the catalog says so, and it is big.

    A range of a load never does, nor do events: they are typed already.
    """
    return (
        dataset.engine == "spark"
        and not landed.get("range")
        and not landed.get("kind")
        and (landed.get("raw_bytes") or 0) >= dataset.spark_from
        and (landed.get("parts") or 0) >= FEWEST_PARTS
    )


def refine_on_spark(
    deployment: Deployment, dataset: AnyDataset, raw_manifest_uri: str, run_id: str
) -> tuple[Manifest, str]:
    """Have a job refine the landing, and find what it committed.

    Raises:
        SettingsError: This deployment has no Spark.
        SparkError: The job was lost, or ended without a manifest.
    """
    from tideline.spark import parts
    from tideline.spark.order import Order

    where = {"source": dataset.source, "dataset": dataset.name, "place": raw_manifest_uri}
    if deployment.submit_spark is None:
        raise SettingsError(
            "the catalog says engine: spark, and this deployment has no Spark",
            remedy="define the connection tideline_spark (docs/scale.md), or take engine out of the catalog",
            **where,
        )
    settings = deployment.settings
    order = Order(
        dataset=dataset,
        raw_manifest_uri=raw_manifest_uri,
        run_id=run_id,
        raw_uri=settings.raw_uri,
        processed_uri=settings.processed_uri,
        quarantine_uri=settings.quarantine_uri,
        decoder=settings.decoder,
        object_bytes=settings.object_bytes,
    )
    deployment.submit_spark(order)
    landed = manifests.read(deployment.raw, raw_manifest_uri)
    uri = parts.find(deployment.processed, landed, order)
    if uri is None:
        raise SparkError(
            "the Spark job ended well and committed nothing for this order",
            remedy="see its log; is its image of the same version as Airflow's?",
            **where,
        )
    return manifests.read(deployment.processed, uri), uri
