"""The page's web application: routes, headers, and what a failure looks like. Knows FastAPI, not Airflow.

Who may read is decided by guards that are given; they stand before every route, also before those that do not
exist. Everything is read; nothing can be posted. What was asked is answered from a cache of a few seconds.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import FastAPI, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, Response

from tideline.errors import TidelineError
from tideline.health import answers
from tideline.health.cache import Cache
from tideline.health.forms import Asked
from tideline.health.pages import asset, render

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from contextlib import AbstractContextManager

    from starlette.middleware.base import RequestResponseEndpoint

    from tideline.pipeline import Deployment

log = logging.getLogger(__name__)
HEADERS = {
    "Cache-Control": "no-store, private",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_UNAVAILABLE, _NOT_FOUND = 503, 404
Text = Annotated[str, Query(max_length=2000)]


def build(
    open_deployment: Callable[[], AbstractContextManager[Deployment]], guards: Sequence[Any]
) -> FastAPI:
    """The application.

    Args:
        open_deployment: Opens what is read; called in threads, for one answer each.
        guards: FastAPI dependencies that let a request in or raise.
    """
    app = FastAPI(dependencies=list(guards), docs_url=None, redoc_url=None, openapi_url=None)
    pages = _Pages(open_deployment, Cache())
    for path, page in (
        ("/", pages.overview),
        ("/dataset", pages.dataset),
        ("/load", pages.load),
        ("/evidence", pages.evidence),
        ("/form", pages.form),
        ("/page.css", _style),
        ("/page.js", _script),
        ("/{path:path}", _nothing),
    ):
        app.add_api_route(path, page, methods=["GET"], response_class=HTMLResponse)
    app.middleware("http")(_with_headers)
    return app


async def _with_headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


async def _style() -> Response:
    return Response(asset("page.css"), media_type="text/css")


async def _script() -> Response:
    return Response(asset("page.js"), media_type="text/javascript")


async def _nothing(path: str) -> Response:
    raise HTTPException(_NOT_FOUND, f"there is no page {path[:100]!r}")


@dataclass(frozen=True)
class _Pages:
    """Answers requests, and says so where there is no answer."""

    open_deployment: Callable[[], AbstractContextManager[Deployment]]
    cache: Cache

    async def overview(self, request: Request) -> Response:
        return await self._page(request, "overview", answers.report_page)

    async def dataset(self, request: Request, dataset: Text) -> Response:
        return await self._page(request, "dataset", answers.dataset_page, dataset)

    async def load(self, request: Request, load: Text) -> Response:
        return await self._page(request, "load", answers.load_page, load)

    async def evidence(
        self, request: Request, load: Text = "", read: Text = "", reason: Text = ""
    ) -> Response:
        return await self._page(request, "evidence", answers.evidence_page, load, read, reason)

    async def form(
        self,
        request: Request,
        verb: Text,
        dataset: Text,
        start: Text = "",
        end: Text = "",
        load: Text = "",
        reason: Text = "",
    ) -> Response:
        asked = Asked(dataset, start, end, load, reason)
        return await self._page(request, "form", answers.form_page, verb, asked)

    async def _page(
        self, request: Request, name: str, make: Callable[..., dict[str, Any]], *asked: Hashable
    ) -> Response:
        def answer() -> dict[str, Any]:
            with self.open_deployment() as deployment:
                return make(deployment, *asked)

        root = str(request.scope.get("root_path", "")).rstrip("/")
        try:
            context = await self.cache.get((name, *asked), answer)
            return HTMLResponse(render(f"{name}.html", context, root))
        except TidelineError as error:
            log.warning("the health page has no answer: %s", error)
            return HTMLResponse(render("error.html", _told(error), root), _status_of(error))
        except Exception:  # what only the log may hold is not shown
            log.exception("the health page failed at %s %s", name, asked)
            return HTMLResponse(render("error.html", _UNKNOWN, root), _UNAVAILABLE)


def _status_of(error: TidelineError) -> int:
    """What a reader asked for in vain is 404; what the deployment cannot do now is 503."""
    return _NOT_FOUND if isinstance(error, answers.MissingError) else _UNAVAILABLE


_UNKNOWN = {"title": "The page failed", "message": "The log of the API server says why.", "remedy": None}


def _told(error: TidelineError) -> dict[str, Any]:
    """Without the place: statements and addresses are for the log."""
    where = ".".join(part for part in (error.source, error.dataset) if part)
    titles = {
        "WarehouseUnavailableError": "The warehouse does not answer",
        "WarehouseRefusedError": "The warehouse refuses to answer",
        "StoreUnavailableError": "The lake does not answer",
        "SettingsError": "The deployment is not set up",
    }
    return {
        "title": titles.get(type(error).__name__, "There is nothing to show"),
        "message": f"{where}: {error.message}" if where else error.message,
        "remedy": error.remedy,
    }
