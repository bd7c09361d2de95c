"""What the Dockerfile's images are, and what the one for Spark does when Kubernetes calls it."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tideline.spark import submit
from tideline.spark.submit import spark_application

ROOT = Path(__file__).parents[3]
LOCK = ROOT / "include/spark/requirements.txt"
ENTRYPOINT = ROOT / "include/spark/entrypoint.sh"
IMAGES = {"tideline": 50000, "demo": 50000, "spark": 1099, "dataproc": 1099}
"""The images that are made, and the users that they run as."""


@dataclass
class Stage:
    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def read(text: str) -> tuple[dict[str, str], dict[str, Stage]]:
    """The arguments before the first stage with their defaults, and the stages."""
    joined = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    arguments: dict[str, str] = {}
    stages: dict[str, Stage] = {}
    for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip()):
        if word == "FROM":
            base, name = re.fullmatch(r"(\S+) AS (\S+)", rest).groups()
            stages[name] = Stage(name, base)
        elif stages:
            list(stages.values())[-1].steps.append((word, rest))
        else:
            assert word == "ARG", word
            name, _, default = rest.partition("=")
            arguments[name] = default
    return arguments, stages


ARGUMENTS, STAGES = read((ROOT / "Dockerfile").read_text())


def steps(image: str, word: str) -> list[str]:
    """Such steps of an image, those of the stages it is built on first."""
    stage = STAGES[image]
    inherited = steps(stage.base, word) if stage.base in STAGES else []
    return inherited + [rest for each, rest in stage.steps if each == word]


def test_all_images_are_read():
    assert IMAGES.keys() <= STAGES.keys()
    assert list(STAGES)[-1] == "tideline", "`docker build .` builds the last one"


@pytest.mark.parametrize(("image", "user"), IMAGES.items())
def test_an_image_does_not_run_as_root(image, user):
    words = steps(image, "USER")
    assert words, f"{image} leaves its user to the base"
    assert words[-1].split(":")[0] == str(user)


def test_a_base_is_a_stage_or_an_argument_with_a_version():
    for stage in STAGES.values():
        named = re.fullmatch(r"\$\{(\w+)\}", stage.base)
        assert stage.base in STAGES or named, f"{stage.name} is from {stage.base}"
        if named:
            assert re.fullmatch(r"[\w/.-]+:\d[\w.-]+", ARGUMENTS[named[1]]), "a base without a version"


def test_python_packages_come_from_hashed_locks():
    installs = [
        (stage.name, command.strip())
        for stage in STAGES.values()
        for word, rest in stage.steps
        if word == "RUN"
        for command in re.split(r"&&|\|\|", rest)
        if re.search(r"\bpip\s+install|lock/install|\bpip3\b", command)
    ]
    assert {name for name, _ in installs} >= {"python", "spark-python"}
    for name, command in installs:
        is_ours = "--no-deps" in command and command.endswith("/tmp/wheels/*.whl")
        is_locked = re.fullmatch(r"bash /tmp/lock/install \S.* /tmp/lock/\w+\.txt", command)
        is_uv = re.fullmatch(r"pip install --no-cache-dir uv==[\d.]+", command)
        assert is_ours or is_locked or is_uv, f"{name}: {command}"
    assert "--require-hashes" in (ROOT / ".ci/image/install").read_text()
    assert "include/spark/requirements.txt" in " ".join(steps("spark-python", "COPY"))


def test_the_lock_has_a_hash_for_everything():
    text = re.sub(r"\\\n", " ", LOCK.read_text())
    pinned = [line for line in text.splitlines() if re.match(r"[a-z]", line)]
    assert len(pinned) > 20
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)


@pytest.mark.parametrize("image", ["spark", "dataproc"])
def test_the_program_is_where_jobs_look_for_it(image):
    copied = [shlex.split(words) for words in steps(image, "COPY")]
    job = submit.JOB.relative_to(ROOT)
    assert [str(job), submit.IMAGE_JOB] in copied


@pytest.mark.parametrize("image", ["spark", "dataproc"])
def test_what_dataproc_asks_of_an_image(image):
    run = " ".join(steps(image, "RUN"))
    assert re.search(r"groupadd --gid 1099 spark\b", run)
    assert re.search(r"useradd --uid 1099 --gid 1099 --create-home spark\b", run)
    installed = re.findall(r"apt-get install -y --no-install-recommends ([^&]+)", run)
    assert {"procps", "tini"} <= set(" ".join(installed).split())
    environment = dict(word.split("=", 1) for words in steps(image, "ENV") for word in shlex.split(words))
    assert environment["PYSPARK_PYTHON"] == environment["PYSPARK_DRIVER_PYTHON"] == "/opt/venv/bin/python"


def test_dataproc_mounts_spark_and_java_so_its_image_has_neither():
    assert not re.search("jdk|jre", " ".join(steps("dataproc", "RUN")))
    (source,) = [words for words in steps("dataproc", "COPY") if "/opt/venv /opt/venv" in words]
    stage = STAGES[source.split()[0].removeprefix("--from=")]
    assert stage.base == "spark-python"
    assert re.search(r"pip uninstall .*\bpyspark py4j$", stage.steps[-1][1])


def test_the_operator_is_told_the_version_that_the_image_has(order):
    (locked,) = re.findall(r"^pyspark==([\d.]+)", LOCK.read_text(), re.MULTILINE)
    assert spark_application(order, {"image": "i"}, "name")["spec"]["sparkVersion"] == locked


@pytest.fixture
def called(tmp_path):
    """What the entrypoint would run, of its arguments and variables."""
    tini = tmp_path / "tini"
    tini.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    tini.chmod(0o755)

    def call(*words, **variables):
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SPARK_HOME": "/opt/spark", **variables}
        command = ["bash", str(ENTRYPOINT), *words]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout.splitlines() if done.returncode == 0 else done.stderr

    return call


EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@driver:7078",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "1024m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_EXECUTOR_POD_IP": "10.1.2.3",
    "SPARK_EXECUTOR_POD_NAME": "job-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
}


def test_a_driver_submits_in_its_own_pod(called):
    words = called("driver", "--properties-file", "/opt/spark/conf/spark.properties", "local:///job.py", "an order",
                   SPARK_DRIVER_BIND_ADDRESS="10.1.2.3")  # fmt: skip
    assert words == [
        "-s", "--", "spark-submit", "--deploy-mode", "client", "--conf", "spark.driver.bindAddress=10.1.2.3",
        "--properties-file", "/opt/spark/conf/spark.properties", "local:///job.py", "an order",
    ]  # fmt: skip


def test_an_executor_finds_its_driver(called):
    options = {"SPARK_JAVA_OPT_0": "-Dspark.driver.port=7078", "SPARK_JAVA_OPT_1": "-Da=b c"}
    words = called("executor", **EXECUTOR, **options)
    assert words[:7] == ["-s", "--", "java", "-Xms1024m", "-Xmx1024m", "-Dspark.driver.port=7078", "-Da=b c"]
    assert words[7:9] == ["-cp", "/opt/spark/conf:/opt/spark/jars/*"]
    assert words[9].endswith(".k8s.KubernetesExecutorBackend")
    said = dict(zip(words[10::2], words[11::2], strict=True))
    assert said == {
        "--driver-url": EXECUTOR["SPARK_DRIVER_URL"],
        "--executor-id": "3",
        "--cores": "2",
        "--app-id": "spark-1",
        "--hostname": "10.1.2.3",
        "--podName": "job-exec-3",
        "--resourceProfileId": "0",
    }


def test_options_beyond_nine_are_there_in_order_and_a_class_path_comes_before_sparks(called):
    options = {f"SPARK_JAVA_OPT_{number}": f"-Dn={number}" for number in range(12)}
    words = called("executor", **EXECUTOR, **options, SPARK_CLASSPATH="/extra/*")
    assert words[5:17] == [f"-Dn={number}" for number in range(12)]
    assert words[18] == "/opt/spark/conf:/extra/*:/opt/spark/jars/*"


@pytest.mark.parametrize("missing", ["SPARK_DRIVER_URL", "SPARK_EXECUTOR_POD_IP"])
def test_an_executor_that_was_not_told_enough_says_so(called, missing):
    told = {name: value for name, value in EXECUTOR.items() if name != missing}
    assert missing in called("executor", **told)


def test_anything_else_is_a_command(called):
    assert called("spark-submit", "--version") == ["-s", "--", "spark-submit", "--version"]
    assert called() == ["-s", "--", "bash"]
