"""What an Airflow run asks for, from the context of its tasks. Knows params, not Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tideline.errors import FatalError, SettingsError
from tideline.plan import RunRequest
from tideline.window import parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tideline.plan import Kind

_NOT_DONE = ("failed", "upstream_failed", "skipped")
_KINDS: dict[str, Kind] = {"scheduled": "scheduled", "backfill": "backfill"}


def filled_form(context: Mapping[str, Any]) -> Mapping[str, Any]:
    """The params of an Airflow run. Airflow takes any others too, so that a `dryrun` would be none.

    Raises:
        SettingsError: The run was given one that its DAG has not.
    """
    known = context["dag"].params
    for name in context["dag_run"].conf or {}:
        if name not in known:
            raise SettingsError(
                f"the run was triggered with {name!r}, which is no param of {context['dag'].dag_id}",
                remedy=f"trigger it anew with {', '.join(known)}, or without params",
            )
    params: Mapping[str, Any] = context["params"]
    return params


def run_request(context: Mapping[str, Any]) -> RunRequest:
    """What an Airflow run asks for: its type, its interval if it has one, and the params of its form.

    Raises:
        SettingsError: A window param is not an instant, or a param is none of the form's.
    """
    params = filled_form(context)
    kind = _kind(context["dag_run"].run_type)
    return RunRequest(
        run_id=context["run_id"],
        kind=kind,
        interval=_interval(context, kind),
        datasets=tuple(params["datasets"]) or None,
        window=_override(params["window_start"], params["window_end"]),
        catch_up=bool(params["catch_up"]),
        now=datetime.now(UTC),
    )


def handed_over(left: Any) -> Any:  # noqa: ANN401  whatever a task leaves
    """What the task before left for this one.

    Raises:
        FatalError: Nothing, so it was not done, whatever its colour.
    """
    if left is None:
        raise FatalError(
            "the task before this one left nothing to go on with",
            remedy="was it marked as success by hand? clear it, with everything downstream",
        )
    return left


def handed_over_by_each(left: Any, tasks: int) -> list[Any]:  # noqa: ANN401  whatever tasks leave
    """What mapped tasks left, of as many as there are now.

    Where a plan that is cleared gives fewer than before, Airflow keeps what the others left, at the end. Of a
    task group with one range it gives what that one left, in no list.

    Raises:
        FatalError: They left nothing.
    """
    each = handed_over(left)
    return [each] if isinstance(each, Mapping) else list(each[:tasks])


def begin_anew(context: Mapping[str, Any], dataset_id: str, take_away: Callable[..., None]) -> None:
    """Take away what refine and merge left before this landing, in a run that is done again.

    Airflow keeps it until they begin, and for good where a person marks one of them as success before: what
    is landed now would count as merged. Behind a first try there is nothing, and Airflow would log an error.
    """
    ti = context["ti"]
    refine = "refine" if ti.map_index < 0 else "refine_range"
    for verb, map_index in ((refine, ti.map_index), ("merge", -1)) if ti.try_number > 1 else ():
        take_away(
            key="return_value",
            dag_id=ti.dag_id,
            task_id=f"{dataset_id}.{verb}",
            run_id=ti.run_id,
            map_index=map_index,
        )


def merged_by_now(
    context: Mapping[str, Any], merged: Iterable[Mapping[str, Any] | None]
) -> list[Mapping[str, Any]]:
    """What merges left, but for those that the last try of the run did not come to.

    Where a run is cleared, or done again by a backfill, and the source does not answer then, Airflow keeps
    what the merge left before: it is taken away only when the task begins.
    """
    run_id = context["run_id"]
    states = context["ti"].get_task_states(context["dag"].dag_id, run_ids=[run_id]).get(run_id, {})
    left = [summary for summary in merged if summary]
    return [summary for summary in left if states.get(f"{summary['dataset_id']}.merge") not in _NOT_DONE]


def _kind(run_type: object) -> Kind:
    """What made a run. Under a scheduler its type is an enum's member, whose `str` is not its value."""
    return _KINDS.get(str(getattr(run_type, "value", run_type)), "manual")


def _interval(context: Mapping[str, Any], kind: Kind) -> tuple[datetime, datetime] | None:
    """The run's data interval, if it has one; of a backfill also the hour that begins with its logical date.

    A backfill takes over a run of that date, whatever made it. One that was triggered by hand has the hour
    before the date: it is read too.
    """
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    if not start or not end:
        return None
    logical_date = context.get("logical_date")
    if kind == "backfill" and logical_date:
        return min(start, logical_date), max(end, logical_date + (end - start))
    return start, end


def _override(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    if start and end:
        return parse_instant(start), parse_instant(end)
    if start or end:
        raise SettingsError(
            f"only window_{'start' if start else 'end'} is given",
            remedy="give both ends of the window, or neither",
        )
    return None
