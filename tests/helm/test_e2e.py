"""The proof on a cluster, without one: kubectl, helm and Airflow's API answer from memory. A step that fails, fails it."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest
from charts import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(ROOT / "helm"))
HOUR = "2026-01-31T10:00:00+00:00"


class World:
    """A cluster on which everything goes as it must, but for what is set otherwise."""

    equal = True
    run_state = "success"
    stranger_phase = "Succeeded"
    left_over = ""
    log = "tideline.land landed shop_mongodb.orders"

    def __init__(self) -> None:
        self.helm_calls: list[tuple[str, ...]] = []
        self.kubectl_calls: list[tuple[str, ...]] = []
        self.triggered = 0

    def kubectl(self, *arguments: str, **_: Any) -> str:
        self.kubectl_calls.append(arguments)
        said = " ".join(arguments)
        answers = {
            "get secret ": json.dumps({"data": {"username": base64.b64encode(b"admin").decode()}}),
            "get pod -l app.kubernetes.io/component=demo": "pod/tideline-demo-1",
            "exec pod/tideline-demo-1 -- cat": json.dumps({"anchor": "2026-01-31T08:00:00+00:00", "hour": 1}),
            "exec pod/tideline-demo-1 -- env": json.dumps(
                {"equal": self.equal, "datasets": {"orders": {"rows": 3}}}
            ),
            "get pods -l dag_id=tideline_hourly --field-selector": "pod/land-1",
            "get pods -l dag_id=tideline_hourly -o name": "",
            "get pods --field-selector=status.phase=Running": "pod/airflow-scheduler-1-2",
            "exec pod/airflow-scheduler-1-2": "100 200",
            "get pod stranger": self.stranger_phase,
            "delete pod -l": 'pod "x" deleted\n',
            "get pods --field-selector=status.phase!=Succeeded": self.left_over,
            "get secret,pvc": "secret/tideline-airflow",
        }
        return next((answer for start, answer in answers.items() if said.startswith(start)), "")

    def helm(self, *arguments: str) -> str:
        self.helm_calls.append(arguments)
        return "deployed"

    def call(self, method: str, path: str, _: Any = None) -> Any:
        task = {
            "task_id": "shop.orders.land",
            "state": "running" if "offset=0" in path else "success",
            "try_number": 2,
        }
        if path.endswith("/dagRuns"):
            self.triggered += method == "POST"
            return {"dag_run_id": "manual", "dag_runs": [{"dag_run_id": "first", "data_interval_end": HOUR}]}
        if "/logs/" in path:
            return {"content": self.log + " shop.orders"}
        if "/taskInstances" in path:
            whole = path.endswith("offset=0")
            return {"task_instances": [task, {**task, "state": "success"}] if whole else []}
        return {"state": self.run_state}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    from proof import airflow, cluster, shop

    made = World()

    @contextlib.contextmanager
    def forwarded(_: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(cluster.Cluster, "kubectl", lambda _, *a, **k: made.kubectl(*a, **k))
    monkeypatch.setattr(cluster.Cluster, "helm", lambda _, *a: made.helm(*a))
    monkeypatch.setattr(airflow.Airflow, "call", lambda _, *a: made.call(*a))
    monkeypatch.setattr(airflow.Airflow, "forwarded", forwarded)
    monkeypatch.setattr(shop.time, "sleep", lambda _: None)
    return made


def prove(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    import e2e

    monkeypatch.setattr(sys, "argv", ["e2e.py", *arguments])
    return e2e.main()


def test_it_installs_upgrades_twice_hurts_and_removes(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prove(monkeypatch, "--tag", "abc") == 0
    verbs = [call[0] for call in world.helm_calls]
    assert verbs == ["upgrade", "upgrade", "upgrade", "test", "uninstall"]
    assert all("airflow.images.airflow.tag=abc" in call for call in world.helm_calls[:3])
    killed = [call[3] for call in world.kubectl_calls if call[:2] == ("delete", "pod") and "--force" in call]
    assert killed == ["component=scheduler", "component=api-server", "dag_id=tideline_hourly"]
    table = capsys.readouterr().out
    assert table.count("3 rows equal in 1 tables") >= 2
    assert "100 MiB, at most 200" in table
    assert world.kubectl_calls[-1][:2] == ("delete", "namespace")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("equal", False, "the warehouse is not the shop"),
        ("run_state", "failed", "first is failed"),
        ("stranger_phase", "Failed", "a pod outside the policy reached"),
        ("log", "nothing of the kind", "the log does not hold"),
    ],
)
def test_what_does_not_hold_ends_it(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: Any,
    said: str,
) -> None:
    setattr(world, name, value)
    assert prove(monkeypatch, "--keep") == 1
    assert said in capsys.readouterr().err
    assert not [call for call in world.kubectl_calls if call[:2] == ("delete", "namespace")]
