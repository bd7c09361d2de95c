"""The two ways of an order to Spark on a cluster: spark-submit in a pod, or a task and the Spark operator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from proof.spark_room import AT_TMP, SECURITY, TMP, Room, account, config_map, pod, rule
from tideline.spark import submit

if TYPE_CHECKING:
    from tideline.spark.order import Order

NAME = "tideline-spark-e2e"
TEMPLATES, WORK = "/templates", "/work"
TASK = Path(__file__).with_name("spark_task.py")
OPERATOR = "sparkoperator.k8s.io"
TASK_MAY = [
    rule(OPERATOR, ["sparkapplications"], ["create", "get", "delete"]),
    rule(OPERATOR, ["sparkapplications/status"], ["get"]),
    rule("", ["pods"], ["get", "list", "patch"]),
    rule("", ["pods/log"], ["get"]),
]
"""What docs/scale.md says that a task's account needs, and no more."""


class Submitted:
    """By spark-submit in a pod, with the command that the operator makes of what a task asks for."""

    runner = f"{NAME}-driver"
    """The pod that ends as the job does, and prints the driver's log."""

    def begin(self, cluster: Room, order: Order, environment: dict[str, str]) -> None:
        """Submit it, with these variables for the job."""
        file = f"{TEMPLATES}/pod.yaml"
        conf = {
            "spark.kubernetes.driver.podTemplateFile": file,
            "spark.kubernetes.executor.podTemplateFile": file,
        }
        extra = asked_for(cluster, {"sparkConf": conf})
        for part in ("driver", "executor"):
            extra["spec"][part]["env"] = variables(environment)
        application = submit.spark_application(order, extra, NAME)
        mounts = [AT_TMP, {"name": "templates", "mountPath": TEMPLATES}]
        container = {"args": words_of(application), "volumeMounts": mounts}
        volumes = [TMP, {"name": "templates", "configMap": {"name": "templates"}}]
        cluster.apply(
            config_map("templates", {"pod.yaml": yaml.safe_dump(template("spark", []))}),
            pod("submit", extra["image"], 1099, container, volumes=volumes, serviceAccountName="spark"),
        )

    def check(self, cluster: Room) -> None:
        """Nothing: what is submitted stays where it is."""


class Operated:
    """By a task in Airflow's image, and the Spark operator that the cluster has."""

    runner = "task"

    def begin(self, cluster: Room, order: Order, environment: dict[str, str]) -> None:
        """Run the task. The variables go into the templates: `env` needs the operator's webhook."""
        extra = asked_for(cluster, {})
        for part in ("driver", "executor"):
            container = f"spark-kubernetes-{part}"
            extra["spec"][part]["template"] = template(container, variables(environment))
        connections = {
            "TIDELINE_SPARK": {"conn_type": "generic", "extra": {"submit": "kubernetes", **extra}},
            "KUBERNETES_DEFAULT": {"conn_type": "kubernetes", "extra": {"in_cluster": True}},
        }
        settings = {
            "HOME": "/tmp",  # noqa: S108  inside the pod
            "AIRFLOW_HOME": "/tmp/airflow",  # noqa: S108
            "AIRFLOW__CORE__DAGS_FOLDER": WORK,
            **{f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()},
        }
        # one by one: the links of a whole ConfigMap look like a loop of folders to Airflow
        files = {TASK.name: TASK.read_text(), "order.txt": order.encode()}
        mounts = [{"name": "work", "mountPath": f"{WORK}/{name}", "subPath": name} for name in files]
        run = "airflow db migrate >/dev/null 2>&1 && exec airflow dags test spark_task"
        container = {
            "command": ["bash", "-ec", run],
            "env": variables(settings),
            "volumeMounts": [AT_TMP, *mounts],
        }
        volumes = [TMP, {"name": "work", "configMap": {"name": "work"}}]
        image = f"localhost/tideline:{cluster.tag}"
        cluster.apply(
            *account("task", TASK_MAY),
            config_map("work", files),
            pod(self.runner, image, 50000, container, volumes=volumes, serviceAccountName="task"),
        )

    def check(self, cluster: Room) -> None:
        """The task removes what it asked for."""
        kind = f"sparkapplications.{OPERATOR}"
        cluster.kubectl("wait", "--for=delete", "--all", kind, "--timeout=60s")


Way = Submitted | Operated


def asked_for(cluster: Room, spec: dict[str, Any]) -> dict[str, Any]:
    """The extra of the connection `tideline_spark`, for two small executors."""
    small = {"coreRequest": "100m", "memory": "512m"}
    parts = {
        "driver": {"serviceAccount": "spark", **small},
        "executor": {"instances": 2, "cores": 1, "memoryOverhead": "512m", **small},
    }
    image = f"localhost/tideline-spark:{cluster.tag}"
    return {"image": image, "namespace": cluster.namespace, "spec": {**spec, **parts}}


def template(container: str, env: list[dict[str, str]]) -> dict[str, Any]:
    """Of the driver or of the executors: what Spark does not set by itself."""
    own = {"name": container, "env": env, "securityContext": SECURITY, "volumeMounts": [AT_TMP]}
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [own], "volumes": [TMP]}}


def variables(values: dict[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def words_of(application: dict[str, Any]) -> list[str]:
    """The command that the Spark operator makes of a SparkApplication, of those keys that are used here."""
    spec = application["spec"]
    driver, executor = spec["driver"], spec["executor"]
    conf = {
        "spark.kubernetes.namespace": application["metadata"]["namespace"],
        "spark.kubernetes.driver.pod.name": Submitted.runner,
        "spark.kubernetes.container.image": spec["image"],
        "spark.kubernetes.pyspark.pythonVersion": spec["pythonVersion"],
        "spark.kubernetes.submission.waitAppCompletion": "false",
        **spec["sparkConf"],
        "spark.kubernetes.authenticate.driver.serviceAccountName": driver["serviceAccount"],
        "spark.kubernetes.driver.request.cores": driver["coreRequest"],
        "spark.driver.cores": driver["cores"],
        "spark.driver.memory": driver["memory"],
        **{f"spark.kubernetes.driverEnv.{each['name']}": each["value"] for each in driver["env"]},
        "spark.kubernetes.executor.request.cores": executor["coreRequest"],
        "spark.executor.instances": executor["instances"],
        "spark.executor.cores": executor["cores"],
        "spark.executor.memory": executor["memory"],
        "spark.executor.memoryOverhead": executor["memoryOverhead"],
        **{f"spark.executorEnv.{each['name']}": each["value"] for each in executor["env"]},
    }
    options = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    words = [
        "spark-submit",
        "--master",
        "k8s://https://kubernetes.default.svc",
        "--deploy-mode",
        spec["mode"],
    ]
    words += ["--name", application["metadata"]["name"], *options, spec["mainApplicationFile"]]
    return words + spec["arguments"]
