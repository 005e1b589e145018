"""Logging in with a token, and out again."""

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from projector.errors import DatabaseUnavailable
from projector.settings import Settings, refreshed, tokens
from projector.settings.dashboard import are_long
from projector.web.guard import LOOPBACK_COOKIE, SESSION_COOKIE, Tries, client_of, is_loopback, too_many
from projector.web.sessions import SESSION_SECONDS, OneTimeCode, is_token, new_session

log = logging.getLogger(__name__)

_MAX_FORM_BYTES = 8_192


class Login:
    """The page of the token. `tokens` are those that are valid now. `code` is the login of `--login-link`, if any."""

    def __init__(self, settings: Settings, render: Callable[..., Response], code: OneTimeCode | None = None) -> None:
        self._settings = settings
        self._render = render
        self._code = code
        self._last = tokens(settings.dashboard_tokens)
        self._is_told = False
        self.tries = Tries()

    def tokens(self) -> Sequence[str]:
        """The tokens, from their file as it is now.

        While it cannot be read, or has one that could be guessed, those of before stay valid: it may be half written.
        """
        with suppress(DatabaseUnavailable):
            found = tokens(refreshed(self._settings, DatabaseUnavailable).dashboard_tokens)
            if are_long(found):
                self._last = found
            elif not self._is_told:
                log.warning("a token of the new file is too short, so those of before stay valid")
            self._is_told = not are_long(found)
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
        valid = await run_in_threadpool(self.tokens)
        # Nothing is awaited from here to `failed`: else tokens that are tried at once would all be free.
        if wait := self.tries.wait_seconds(client):
            return await self._wait(request, target, wait)
        if not is_token(token, valid):
            self.tries.failed(client)
            return await self._page(request, target, "This token is not valid.", 401)
        return self._enter(request, target, token)

    async def link(self, request: Request) -> Response:
        """The link of `--login-link`. A wrong code counts as a wrong token. HEAD does not use the link up."""
        client = client_of(request.scope)
        valid = await run_in_threadpool(self.tokens)
        if wait := self.tries.wait_seconds(client):
            return await self._wait(request, "/", wait)
        if not _keeps_cookies(request) or request.method == "HEAD":
            return await self._page(request, "/")
        if self._code is None or not valid or not self._code.redeem(request.path_params["code"]):
            self.tries.failed(client)
            return await self._page(request, "/", "This link was used, or it is too old. Log in with a token.", 401)
        return self._enter(request, "/", valid[0])

    async def leave(self, request: Request) -> Response:
        """Forget the cookie."""
        response = RedirectResponse("/login", status_code=303)
        self._set_cookie(request, response, "", 0)
        return response

    def _enter(self, request: Request, target: str, token: str) -> Response:
        self.tries.succeeded(client_of(request.scope))
        response = RedirectResponse(_own_path(target), status_code=303)
        self._set_cookie(request, response, new_session(token), SESSION_SECONDS)
        return response

    async def _wait(self, request: Request, target: str, seconds: float) -> Response:
        response = await self._page(request, target, f"Too many wrong tokens. Wait {max(1, round(seconds))} s.", 429)
        response.headers["Retry-After"] = too_many(seconds).headers["retry-after"]
        return response

    async def _page(self, request: Request, target: str, error: str = "", status: int = 200) -> Response:
        return await run_in_threadpool(
            self._render,
            "login",
            status,
            page="login",
            error=error,
            next=_own_path(target),
            is_safe=_keeps_cookies(request),
        )

    def _set_cookie(self, request: Request, response: Response, value: str, seconds: int) -> None:
        loopback = is_loopback(request.scope)
        response.set_cookie(
            LOOPBACK_COOKIE if loopback else SESSION_COOKIE,
            value,
            max_age=seconds,
            path="/",
            secure=not loopback,
            httponly=True,
            samesite="strict",
        )


def _keeps_cookies(request: Request) -> bool:
    """Whether a browser keeps our cookie: with HTTPS, or on a loopback address."""
    return request.scope["scheme"] == "https" or is_loopback(request.scope)


def _own_path(target: str) -> str:
    """A path of this site, else the first page: a login must not lead to another site."""
    is_own = target.startswith("/") and not target.startswith(("//", "/\\"))
    return target if is_own and target.isprintable() else "/"
