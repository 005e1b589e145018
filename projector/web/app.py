"""The application: its routes, and what it answers when something is wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from projector.errors import DatabaseUnavailable, ProjectorError, StatementTimeout, Unavailable
from projector.web import admin
from projector.web.guard import CSP_REPORT, Guard
from projector.web.hiding import without_texts
from projector.web.login import Login
from projector.web.pages import API, PAGES, Page, description
from projector.web.parameters import BadParameter, Parameters
from projector.web.plain import as_csv, as_json
from projector.web.reader import Reader
from projector.web.reports import CspReports
from projector.web.sessions import OneTimeCode
from projector.web.story import detail
from projector.web.templating import environment, static_files

log = logging.getLogger(__name__)

ModelT = TypeVar("ModelT")

_OF_STARLETTE = {"Not Found": "there is no such page", "Method Not Allowed": "this page can only be read"}
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}


class Dashboard:
    """The handlers. Each blocks in a thread of the pool."""

    def __init__(self, reader: Reader) -> None:
        names, self._static = static_files()
        self._templates = environment(names)
        self._reader = reader
        self._csp_reports = CspReports()
        self._readiness: asyncio.Future[bool] | None = None

    def routes(self, login: Login) -> list[Route]:
        """Every route of the application."""
        return [
            *(route for page in PAGES for route in self._page_routes(page)),
            Route("/admin/delegations", self._api(admin.listed)),
            Route("/admin/delegations/stats", self._api(admin.stats)),
            *(Route(path, self._answer(page, self._as_json)) for path, page in API.items()),
            Route("/admin/delegations/{id:path}", self._one),
            Route("/login", login.form, methods=["GET"]),
            Route("/login", login.submit, methods=["POST"]),
            Route("/login/{code}", login.link, methods=["GET"]),
            Route("/logout", login.leave, methods=["POST"]),
            Route("/openapi.json", self._description),
            Route(CSP_REPORT, self._csp_reports.take, methods=["POST"]),
            Route("/livez", self._live),
            Route("/readyz", self._ready),
            Route("/static/{name}", self._file),
        ]

    def render(self, name: str, status: int = 200, **values: Any) -> Response:
        """A page of a template."""
        text = self._templates.get_template(f"{name}.html").render(**values)
        return Response(text.encode(errors="replace"), status, media_type="text/html; charset=utf-8")

    def _page_routes(self, page: Page) -> list[Route]:
        routes = [
            Route(page.path, self._answer(page, self._as_page), name=page.name),
            Route(f"{page.base}.json", self._answer(page, self._as_json), name=f"{page.name}.json"),
        ]
        if page.lists:
            routes.append(Route(f"{page.base}.csv", self._answer(page, self._as_csv), name=f"{page.name}.csv"))
        return routes

    def _answer(self, page: Page, form: Callable[[Page, Any, Request], Response]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            given = Parameters(request.query_params.multi_items())
            return form(page, self._shown(page.read(self._reader, given)), request)

        answer.__name__ = page.name
        return answer

    def _api(self, handler: Callable[[Reader, Request], Response]) -> Callable[[Request], Response]:
        return partial(handler, self._reader)

    def _shown(self, model: ModelT) -> ModelT:
        return without_texts(model) if self._reader.hides_texts else model

    def _one(self, request: Request) -> Response:
        model = self._shown(detail(self._reader, Parameters([("id", request.path_params["id"])])))
        if model.row is None:
            raise HTTPException(404, "there is no such delegation")
        return Response(as_json(model), media_type="application/json")

    def _as_page(self, page: Page, model: Any, request: Request) -> Response:
        return self.render(page.name, page=page.name, model=model, now=model.as_of, query=request.query_params)

    def _as_json(self, page: Page, model: Any, _: Request) -> Response:
        return Response(as_json(model), media_type="application/json")

    def _as_csv(self, page: Page, model: Any, _: Request) -> Response:
        headers = {"Content-Disposition": f'attachment; filename="{page.name}.csv"'}
        return Response(
            as_csv(getattr(model, page.lists or ""), page.columns),
            media_type="text/csv; charset=utf-8",
            headers=headers,
        )

    def _description(self, _: Request) -> Response:
        return Response(as_json(description()), media_type="application/json")

    async def _live(self, _: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _ready(self, _: Request) -> Response:
        """All who ask at the same time share one answer: strangers shall not take the threads of the pages."""
        if self._readiness is None or self._readiness.done():
            self._readiness = asyncio.ensure_future(run_in_threadpool(self._is_ready))
        if await asyncio.shield(self._readiness):
            return PlainTextResponse("ok\n")
        return PlainTextResponse("Postgres is not available\n", 503)  # strangers get no detail

    def _is_ready(self) -> bool:
        try:
            with self._reader.connection():
                return True
        except ProjectorError:
            return False

    async def _file(self, request: Request) -> Response:
        found = self._static.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        return Response(found.content, media_type=found.media_type, headers=_FOREVER)

    async def failed(self, request: Request, error: Exception) -> Response:
        """The answer to a request that cannot be served: a page for browsers, JSON for others."""
        status, sentence = _described(error)
        if status >= 500:
            fields = {"method": request.method, "path": request.scope["path"], "status": status, "reason": str(error)}
            level = logging.ERROR if status == 500 else logging.WARNING
            log.log(level, "a request failed", extra=fields, exc_info=error if status == 500 else None)
        headers = {"Retry-After": "5"} if status == 503 else None
        if "text/html" not in request.headers.get("accept", ""):
            return Response(as_json({"error": sentence}), status, headers, "application/json")
        response = await run_in_threadpool(
            self.render, "error", status, page="error", status_code=status, error=sentence
        )
        response.headers.update(headers or {})
        return response


def _described(error: Exception) -> tuple[int, str]:
    if isinstance(error, BadParameter):
        return 400, str(error)
    if isinstance(error, ClientDisconnect):
        return 400, "the request did not come whole"  # nobody reads it, and it is no error of ours
    if isinstance(error, HTTPException):
        return error.status_code, _OF_STARLETTE.get(error.detail, error.detail)
    if isinstance(error, StatementTimeout):
        return 503, "Postgres took too long for this page: narrow the filter, or try again later"
    if isinstance(error, DatabaseUnavailable):
        return 503, f"{'' if str(error).startswith('Postgres') else 'Postgres is not available: '}{error}"
    if isinstance(error, Unavailable):
        return 503, str(error)
    return 500, "the page failed; the log of the dashboard has the details"


def create_app(reader: Reader, login: Login, dashboard: Dashboard) -> ASGIApp:
    """The whole application, behind its guard."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(reader.start)
        try:
            yield
        finally:
            await run_in_threadpool(reader.close)

    handlers: Mapping[Any, Any] = dict.fromkeys(
        (ProjectorError, ClientDisconnect, HTTPException, 404, 405, 500), dashboard.failed
    )
    app = Starlette(routes=dashboard.routes(login), exception_handlers=handlers, lifespan=lifespan)
    app.router.redirect_slashes = False
    return Guard(app, login.tokens, login.tries)


def build(reader: Reader, code: OneTimeCode | None = None) -> ASGIApp:
    """The application over these sources. `code` is a login that works once."""
    dashboard = Dashboard(reader)
    return create_app(reader, Login(reader.settings, dashboard.render, code), dashboard)
