"""A landing refined by Spark on a real cluster, with an executor killed in the midst: the rows of one process.

    make spark-e2e                    whatever KUBECONFIG points to, kind or any other: by spark-submit from a pod
    make spark-e2e ARGS=--operator    by a task in Airflow's image, and the Spark operator that the cluster has
    make spark-e2e ARGS=--keep        leave the namespace afterwards

Needs kubectl, and the images `localhost/tideline-spark:<tag>` and `localhost/tideline-demo:<tag>` (its S3 server) in
the cluster's nodes, for the operator's way also `localhost/tideline:<tag>`. Every pod is one that the restricted Pod
Security standard admits.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import spark_lake
from proof.cluster import HELM_DIR, FailedError
from proof.spark_room import PORT, SECONDS, Room, prepare, until
from proof.spark_ways import NAME, Operated, Submitted, Way


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--namespace", default=NAME)
    parser.add_argument("--tag", default=os.environ.get("TIDELINE_TAG", "dev"))
    parser.add_argument("--documents", type=int, default=400_000)
    parser.add_argument("--operator", action="store_true", help="by a task and the cluster's Spark operator")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    way = Operated() if options.operator else Submitted()
    cluster = Room(options.namespace, HELM_DIR / "tideline", options.tag, [])
    try:
        prove(cluster, way, options.documents)
    except (FailedError, subprocess.TimeoutExpired) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        for asked in (("get", "pods", "-o", "wide"), ("logs", "submit"), ("logs", way.runner, "--tail=60")):
            print(cluster.kubectl(*asked, check=False)[-6000:], file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            cluster.kubectl("delete", "namespace", options.namespace, "--wait=true", check=False)
    return 0


def prove(cluster: Room, way: Way, count: int) -> None:
    """Every step, in order."""
    started = time.monotonic()

    def say(what: str) -> None:
        print(f"{what} ({time.monotonic() - started:.0f} s)", flush=True)

    prepare(cluster)
    say("a namespace that enforces restricted pods, with a lake")
    with cluster.forwarded("lake") as url, TemporaryDirectory() as folder:
        lake = spark_lake.Lake(url)
        order = lake.order(spark_lake.dataset_in(Path(folder)), count)
        alone = lake.alone(order)
        say(f"{count:,} documents landed, and refined by one process")
        way.begin(cluster, order, spark_lake.environment(f"http://lake:{PORT}"))
        # A range that is committed says that executors are at work, and fifteen are to come.
        before = set(lake.stages.processed.list(""))
        processed = lake.stages.processed
        until("a range is committed", lambda: committed(cluster, way, set(processed.list("")) - before))
        victim = min(name for name, phase in cluster.executors().items() if phase == "Running")
        cluster.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        say(f"{victim} killed")
        seen = cluster.executors()
        while (phase := cluster.phase(way.runner)) not in ("Succeeded", "Failed"):
            seen |= cluster.executors()
            if time.monotonic() - started > SECONDS:
                raise FailedError(f"{way.runner} is {phase} after {SECONDS} s")
            time.sleep(0.5)
        spread = lake.spread(order)
        if phase != "Succeeded" or spread is None:
            raise FailedError(
                f"{way.runner} is {phase}, a manifest is {'not ' if spread is None else ''}there"
            )
        later = sorted(set(seen) - {victim})
        log = cluster.kubectl("logs", way.runner)
        if "Lost executor" not in log:
            raise FailedError("the driver did not notice that an executor was gone")
        way.check(cluster)
        say(f"the job ended well, with {', '.join(later)}")
        rows = lake.assert_same(alone, spread, count)
        say(f"{rows:,} rows and {spread.details['quarantined']:,} refusals, as of one process")


def committed(cluster: Room, way: Way, keys: set[str]) -> bool:
    """Whether a range is; raises where none will be."""
    if "Failed" in (cluster.phase("submit"), cluster.phase(way.runner)):
        raise FailedError("the job did not begin")
    return any(key.endswith("_manifest.json") for key in keys)


if __name__ == "__main__":
    sys.exit(main())
