"""What the page hands to Airflow's forms: a DAG, the values to put in, the command that does the same. Pure.

Airflow 3.3 does not take the values of its trigger form from a URL (apache/airflow#54800; what was merged for
3.2 was taken back by #59769), so a link opens the DAG and the values are shown beside it, to be copied.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from typing import Any

from tideline.errors import SettingsError
from tideline.window import format_instant, parse_instant


@dataclass(frozen=True, slots=True)
class Form:
    """One of Airflow's forms with the values for it.

    Attributes:
        title: What it does.
        dag_id: The DAG whose form it is.
        where: Where in Airflow's page of the DAG the form is.
        values: What goes where, by the form's labels.
        conf: The run's configuration.
        commands: The same from a shell.
        note: What a person should know before.
        has_interval: Whether it takes an interval.
    """

    title: str
    dag_id: str
    where: str
    values: dict[str, str]
    conf: dict[str, Any]
    commands: tuple[str, ...]
    note: str = ""
    has_interval: bool = True

    @property
    def conf_json(self) -> str:
        """As the form's "Configuration JSON" takes it."""
        return json.dumps(self.conf, indent=2)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a link carries: a dataset, an interval (ISO 8601, may be empty), and of refused rows which."""

    dataset_id: str
    start: str = ""
    end: str = ""
    load: str = ""
    reason: str = ""


def form_of(verb: str, asked: Asked) -> Form:
    """The form of that verb: replay, refused, reconcile or backfill.

    Raises:
        SettingsError: There is no such verb, or an end of the interval is not an instant.
    """
    makers = {"replay": _replay, "refused": _refused, "reconcile": _reconcile, "backfill": _backfill}
    if verb not in makers:
        raise SettingsError(f"there is no form {verb!r}", remedy=f"choose one of {', '.join(makers)}")
    exact = replace(asked, start=_instant(asked.start), end=_instant(asked.end))
    return makers[verb](exact)


def _instant(text: str) -> str:
    return format_instant(parse_instant(text)) if text.strip() else ""


def _conf(**values: object) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _options(**values: str) -> list[str]:
    return [word for name, value in values.items() if value for word in (f"--{name}", value)]


def _trigger(dag_id: str, conf: dict[str, Any]) -> str:
    return shlex.join(["airflow", "dags", "trigger", dag_id, "--conf", json.dumps(conf)])


def _shown(conf: dict[str, Any]) -> dict[str, str]:
    return {
        name: ", ".join(value)
        if isinstance(value, list)
        else str(value).lower()
        if value is True
        else str(value)
        for name, value in conf.items()
    }


def _replay(asked: Asked) -> Form:
    interval = {"from": asked.start, "to": asked.end}
    conf = _conf(datasets=[asked.dataset_id], **interval)
    command = ["tideline", "replay", *_options(dataset=asked.dataset_id, **interval)]
    return Form(
        title="Replay from raw",
        dag_id="tideline_replay",
        where="Trigger ▸ Single Run",
        values=_shown(conf),
        conf=conf,
        commands=(shlex.join(command), _trigger("tideline_replay", conf)),
        note="Refines and merges once more what was landed for windows that end in this interval. The source "
        "is not asked. Twice does no harm.",
    )


def _refused(asked: Asked) -> Form:
    which = {"load": asked.load, "reason": asked.reason}
    conf = _conf(datasets=[asked.dataset_id], quarantined=True, **which)
    command = ["tideline", "replay", "--quarantined", *_options(dataset=asked.dataset_id, **which)]
    return Form(
        title="Try refused rows again",
        dag_id="tideline_replay",
        where="Trigger ▸ Single Run",
        values=_shown(conf),
        conf=conf,
        commands=(shlex.join(command), _trigger("tideline_replay", conf)),
        note="For when the catalog was mended: what conforms now is merged, the rest stays open.",
        has_interval=False,
    )


def _reconcile(asked: Asked) -> Form:
    conf = _conf(datasets=[asked.dataset_id])
    command = ["tideline", "reconcile", "--dataset", asked.dataset_id]
    return Form(
        title="Reconcile with the source",
        dag_id="tideline_reconcile",
        where="Trigger ▸ Single Run",
        values=_shown(conf),
        conf=conf,
        commands=(
            shlex.join([*command, "--dry-run"]),
            shlex.join(command),
            _trigger("tideline_reconcile", conf),
        ),
        note="Compares keys with the source: what vanished becomes a tombstone, what was missed is landed.",
        has_interval=False,
    )


def _backfill(asked: Asked) -> Form:
    conf = _conf(datasets=[asked.dataset_id])
    interval = {"start": asked.start, "end": asked.end}
    command = ["airflow", "backfill", "create", "--dag-id", "tideline_hourly"]
    command += _options(**{"from-date": asked.start, "to-date": asked.end})
    command += ["--reprocess-behavior", "completed", "--max-active-runs", "1"]
    command += ["--dag-run-conf", json.dumps(conf)]
    return Form(
        title="Backfill from the source",
        dag_id="tideline_hourly",
        where="Trigger ▸ Backfill",
        values={
            "From": asked.start,
            "To": asked.end,
            "Reprocess Behavior": "All Runs",
            "Max Active Runs": "1",
            **_shown(conf),
        },
        conf=conf,
        commands=(
            shlex.join(["tideline", "run", *_options(dataset=asked.dataset_id, **interval)]),
            shlex.join(command),
        ),
        note="Reads the hours again from the source. Rows that are there already count as unchanged.",
    )
