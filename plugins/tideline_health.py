"""The health page inside Airflow, behind Airflow's own login: who may read the hourly DAG may read it.

Airflow imports this module in every process, so everything but the plugin's own base class is imported when a
page is opened. What a page shows and how is in `tideline.health`.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from starlette.types import ASGIApp, Receive, Scope, Send

    from tideline.pipeline import Deployment

MOUNT = "/tideline"
DEADLINE_SECONDS = 15.0
"""How long a reader waits for a server that does not answer."""


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    """The ASGI application, made when it is first asked."""
    await _application()(scope, receive, send)


@cache
def _application() -> ASGIApp:
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import get_user, requires_access_dag
    from fastapi import Depends

    from tideline.health.app import build
    from tideline.health.pages import HOURLY

    may_read = requires_access_dag("GET", DagAccessEntity.TASK_LOGS, HOURLY)
    return build(_deployment, [Depends(get_user), Depends(may_read)])


def _deployment() -> AbstractContextManager[Deployment]:
    from dataclasses import replace

    from tideline import connections, settings

    found = settings.from_environment()
    return connections.open_deployment(
        replace(found, deadline_seconds=min(found.deadline_seconds, DEADLINE_SECONDS))
    )


def _base_path() -> str:
    """The path under which Airflow is served, with a trailing slash."""
    return urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/") + "/"


class TidelineHealthPlugin(AirflowPlugin):  # type: ignore[misc]  # Airflow's types are not followed
    """Mounts the page and puts it into the menu."""

    name = "tideline_health"
    fastapi_apps: ClassVar[list[dict[str, Any]]] = [
        {"app": page, "url_prefix": MOUNT, "name": "Tideline health"}
    ]
    external_views: ClassVar[list[dict[str, Any]]] = [
        {
            "name": "Tideline",
            "href": f"{_base_path()}{MOUNT.strip('/')}/",
            "destination": "nav",
            "category": "browse",
            "url_route": "tideline-health",
        }
    ]
