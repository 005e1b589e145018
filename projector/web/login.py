"""Logging in with a token, and out again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from projector.errors import DatabaseUnavailable
from projector.settings import Settings, refreshed, tokens
from projector.web.guard import LOOPBACK_COOKIE, SESSION_COOKIE, Tries, client_of, is_loopback, too_many
from projector.web.sessions import SESSION_SECONDS, is_token, new_session

_MAX_FORM_BYTES = 8_192


class Login:
    """The page of the token. `tokens` are those that are valid now."""

    def __init__(self, settings: Settings, render: Callable[..., Response]) -> None:
        self._settings = settings
        self._render = render
        self._last = tokens(settings.dashboard_tokens)
        self.tries = Tries()

    def tokens(self) -> Sequence[str]:
        """The tokens, from their file as it is now. While it cannot be read, those of before stay valid."""
        with suppress(DatabaseUnavailable):
            self._last = tokens(refreshed(self._settings, DatabaseUnavailable).dashboard_tokens)
        return self._last

    async def form(self, request: Request) -> Response:
        """The form, or a sentence where a browser would not keep the cookie."""
        return await self._page(request, request.query_params.get("next", "/"))

    async def submit(self, request: Request) -> Response:
        """A right token gives a cookie. A wrong one is counted."""
        client = client_of(request.scope)
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                return await self._page(request, "/", "This is not a token.", 413)
        given = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
        target, token = given.get("next", ["/"])[0], given.get("token", [""])[0].strip()
        if wait := self.tries.wait_seconds(client):
            response = await self._page(request, target, f"Too many wrong tokens. Wait {max(1, round(wait))} s.", 429)
            response.headers["Retry-After"] = too_many(wait).headers["retry-after"]
            return response
        valid = await run_in_threadpool(self.tokens)
        if not is_token(token, valid):
            self.tries.failed(client)
            return await self._page(request, target, "This token is not valid.", 401)
        self.tries.succeeded(client)
        response = RedirectResponse(_own_path(target), status_code=303)
        self._set_cookie(request, response, new_session(token), SESSION_SECONDS)
        return response

    async def leave(self, request: Request) -> Response:
        """Forget the cookie."""
        response = RedirectResponse("/login", status_code=303)
        self._set_cookie(request, response, "", 0)
        return response

    async def _page(self, request: Request, target: str, error: str = "", status: int = 200) -> Response:
        is_safe = request.url.scheme == "https" or is_loopback(request.headers)
        return await run_in_threadpool(
            self._render, "login", status, page="login", error=error, next=_own_path(target), is_safe=is_safe
        )

    def _set_cookie(self, request: Request, response: Response, value: str, seconds: int) -> None:
        loopback = is_loopback(request.headers)
        response.set_cookie(
            LOOPBACK_COOKIE if loopback else SESSION_COOKIE,
            value,
            max_age=seconds,
            path="/",
            secure=not loopback,
            httponly=True,
            samesite="strict",
        )


def _own_path(target: str) -> str:
    """A path of this site, else the first page: a login must not lead to another site."""
    parts = urlsplit(target)
    is_own = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.netloc and not parts.scheme
    return target if is_own and target.isprintable() else "/"
