"""One run of the hourly DAG through Airflow's API: triggers it, waits for its end, says what each task did."""

import json
import os
import sys
import time
import urllib.request

URL, DAG = os.environ["API_URL"], "tideline_hourly"


def call(method, path, body=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{URL}{path}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


user = {"username": os.environ["API_USER"], "password": os.environ["API_PASSWORD"]}
token = call("POST", "/auth/token", user)["access_token"]
call("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False}, token)
body = {"logical_date": None, "conf": {"catch_up": True}}
run = call("POST", f"/api/v2/dags/{DAG}/dagRuns", body, token)["dag_run_id"]
print(f"triggered {run}", flush=True)
deadline = time.monotonic() + 60 * float(os.environ["MINUTES"])
state = "queued"
while state in ("queued", "running") and time.monotonic() < deadline:
    time.sleep(5)
    state = call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}", token=token)["state"]
tasks = call("GET", f"/api/v2/dags/{DAG}/dagRuns/{run}/taskInstances?limit=200", token=token)[
    "task_instances"
]
for task in tasks:
    if task["state"] != "success":
        print(task["task_id"], task["state"])
print(json.dumps({"run": run, "state": state, "tasks": len(tasks)}))
sys.exit(state != "success")
