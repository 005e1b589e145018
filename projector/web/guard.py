"""Around the whole application: nothing is answered to a stranger, and every answer has the headers of safety."""

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from projector.web.sessions import is_session, is_token

log = logging.getLogger(__name__)

SESSION_COOKIE = "__Host-projector-session"
LOOPBACK_COOKIE = "projector-session"
"""A browser refuses the first name without HTTPS. On the loopback address there is none."""

_OPEN = frozenset({"/livez", "/readyz", "/login"})
CSP_REPORT = "/csp-report"
_STATIC = "/static/"
_LOGIN_LINK = "/login/"
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d*)?", re.IGNORECASE)
_FREE_TRIES = 5
_MAX_DELAY_SECONDS = 60.0
_MAX_CLIENTS = 1_000
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    f"report-uri {CSP_REPORT}; report-to csp",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Reporting-Endpoints": f'csp="{CSP_REPORT}"',
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Tries:
    """The wrong tokens of each client. After five it must wait, each time longer, up to a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_seconds(self, client: str) -> float:
        """How long this client must wait before its next try."""
        count, until = self._failures.get(client, (0, 0.0))
        return max(0.0, until - self._clock()) if count >= _FREE_TRIES else 0.0

    def failed(self, client: str) -> None:
        """Count a wrong token."""
        count = self._failures.pop(client, (0, 0.0))[0] + 1
        delay = min(2.0 ** min(count - _FREE_TRIES, 9), _MAX_DELAY_SECONDS)
        self._failures[client] = (count, self._clock() + delay)
        log.warning("a wrong token was given", extra={"client": client, "tries": count})
        if len(self._failures) > _MAX_CLIENTS:
            self._failures.popitem(last=False)

    def succeeded(self, client: str) -> None:
        """Forget the wrong tokens."""
        self._failures.pop(client, None)


class Guard:
    """ASGI middleware. `tokens` returns those that are valid now: they may be replaced while the process runs."""

    def __init__(self, app: ASGIApp, tokens: Callable[[], Sequence[str]], tries: Tries) -> None:
        self._app = app
        self._tokens = tokens
        self._tries = tries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            answer = self._refusal(scope) or self._app
            is_answered = False

            async def sent(message: Message) -> None:
                nonlocal is_answered
                is_answered = True
                await send(_with_headers(scope["path"], message))

            try:
                await answer(scope, receive, sent)
            except Exception:
                if not is_answered:  # else the application has logged it, and uvicorn would log it again
                    raise

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] not in ("GET", "HEAD") and not is_own_origin(headers):
            return PlainTextResponse("This request comes from a page of another site.\n", status_code=403)
        if scope["path"] in _OPEN or scope["path"].startswith(_STATIC) or _is_login_link(scope["path"]):
            return None
        if (bearer := headers.get("authorization")) is not None:
            return self._refused_bearer(client_of(scope), bearer)
        if is_session(_cookie(scope, headers), self._tokens()):
            return None
        if "text/html" in headers.get("accept", ""):
            asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            return RedirectResponse(f"/login?next={quote(asked, safe='')}", status_code=303)
        return _unauthorized()

    def _refused_bearer(self, client: str, header: str) -> Response | None:
        if wait := self._tries.wait_seconds(client):
            return too_many(wait)
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and is_token(token.strip(), self._tokens()):
            self._tries.succeeded(client)
            return None
        self._tries.failed(client)
        return _unauthorized()


def is_own_origin(headers: Headers) -> bool:
    """Whether a request that changes something comes from our own page, or from no page of a browser at all."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is None or origin.partition("://")[2] == headers.get("host")


def _is_login_link(path: str) -> bool:
    return path.startswith(_LOGIN_LINK) and path.count("/") == 2 and path != _LOGIN_LINK


def is_loopback(scope: Scope) -> bool:
    """Whether the browser reached us by a loopback address and without HTTPS, which would protect nothing there."""
    host = Headers(scope=scope).get("host", "")
    return scope["scheme"] == "http" and _LOOPBACK.fullmatch(host) is not None


def client_of(scope: Scope) -> str:
    """The address of the client, as the server sees it, or its proxy."""
    return str(scope["client"][0]) if scope.get("client") else ""


def too_many(wait_seconds: float) -> Response:
    """The answer to a client that gave too many wrong tokens."""
    seconds = max(1, round(wait_seconds))
    return JSONResponse(
        {"error": f"too many wrong tokens: try again in {seconds} s"}, 429, {"Retry-After": str(seconds)}
    )


def _unauthorized() -> Response:
    return JSONResponse({"error": "unauthorized"}, 401, {"WWW-Authenticate": "Bearer"})


def _cookie(scope: Scope, headers: Headers) -> str:
    # Not the parser of http.cookies: one odd cookie of another program on this host, and it finds none.
    cookies = cookie_parser(headers.get("cookie", ""))
    return cookies.get(LOOPBACK_COOKIE if is_loopback(scope) else SESSION_COOKIE, "")


def _with_headers(path: str, message: Message) -> Message:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        headers.update(_HEADERS)
        if not path.startswith(_STATIC):
            headers["Cache-Control"] = "no-store"
    return message
