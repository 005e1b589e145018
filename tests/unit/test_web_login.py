"""Logging in: by a token, and by the link that works once."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2 as httpx
import pytest
from clocks import Clock
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from projector.errors import Misconfigured
from projector.settings import Settings, load
from projector.web.guard import LOOPBACK_COOKIE, SESSION_COOKIE, Guard
from projector.web.login import Login
from projector.web.sessions import CODE_SECONDS, OneTimeCode

TOKEN = "a-token-of-the-operators"
HTML = {"accept": "text/html"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def code(clock: Clock) -> OneTimeCode:
    return OneTimeCode(clock)


@pytest.fixture
def client(code: OneTimeCode) -> Iterator[TestClient]:
    async def secret(request: Request) -> Response:
        return PlainTextResponse("secret")

    def render(name: str, status: int = 200, **values: object) -> Response:
        return PlainTextResponse(f"{name} {values['error']} {values['is_safe']}", status)

    login = Login(Settings(dashboard_tokens=TOKEN), render, code)
    routes = [
        Route("/", secret),
        Route("/login", login.form),
        Route("/login", login.submit, methods=["POST"]),
        Route("/login/{code}", login.link),
        Route("/logout", login.leave, methods=["POST"]),
    ]
    app = Guard(Starlette(routes=routes), login.tokens, login.tries)
    with TestClient(app, "http://127.0.0.1", follow_redirects=False) as client:
        yield client


def test_token_gives_a_session_and_logout_ends_it(client: TestClient) -> None:
    done = client.post("/login", data={"token": f" {TOKEN} ", "next": "/x?a=1"})
    assert (done.status_code, done.headers["location"]) == (303, "/x?a=1")
    assert {"httponly", "samesite=strict", "path=/", "max-age=43200"} <= set(
        done.headers["set-cookie"].lower().split("; ")
    )
    assert TOKEN not in done.headers["set-cookie"]
    assert client.get("/").text == "secret"
    assert client.post("/logout").headers["location"] == "/login"
    assert client.get("/").status_code == 401


def test_cookie_goes_over_https_alone_except_on_this_machine(client: TestClient) -> None:
    done = client.post("https://dashboard.example/login", data={"token": TOKEN})
    name, _, rest = done.headers["set-cookie"].partition("=")
    assert name == SESSION_COOKIE == "__Host-projector-session"
    assert {"Secure", "HttpOnly", "Path=/", "SameSite=strict"} <= set(rest.split("; "))
    assert "domain" not in rest.lower()
    here = client.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    assert here.startswith(f"{LOOPBACK_COOKIE}=")
    assert "secure" not in here.lower()


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\n/evil",
        "x",
        "//[",
        "http://[",
    ],
)
def test_login_leads_to_no_other_site(client: TestClient, target: str) -> None:
    assert client.post("/login", data={"token": TOKEN, "next": target}).headers["location"] == "/"


def test_cookie_is_secure_behind_a_proxy_that_writes_its_own_host(code: OneTimeCode, client: TestClient) -> None:
    """nginx sends the host of `proxy_pass`, unless it is told to pass on the one that it got."""
    with TestClient(client.app, "https://127.0.0.1:8080", follow_redirects=False) as browser:
        done = browser.post("/login", data={"token": TOKEN})
        assert done.headers["set-cookie"].startswith(f"{SESSION_COOKIE}=")
        assert "; Secure" in done.headers["set-cookie"]
        assert browser.get("/").text == "secret"


def test_tokens_that_are_tried_at_once_are_counted(client: TestClient) -> None:
    codes = Counter[int]()

    async def submit(browser: httpx.AsyncClient) -> None:
        codes[(await browser.post("/login", data={"token": "wrong"})).status_code] += 1

    async def submit_all() -> None:
        transport = httpx.ASGITransport(app=client.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(50):
                tasks.start_soon(submit, browser)

    anyio.run(submit_all)
    assert codes == {401: 5, 429: 45}


@pytest.mark.parametrize("data", [{"token": "wrong"}, {"token": ""}, {}, {"token": "\u00fc"}])
def test_wrong_token_is_refused(client: TestClient, data: dict[str, str]) -> None:
    done = client.post("/login", data=data)
    assert (done.status_code, "set-cookie" in done.headers) == (401, False)


def test_form_of_a_megabyte_is_refused(client: TestClient) -> None:
    assert client.post("/login", data={"token": "x" * 1_000_000}).status_code == 413


def test_login_waits_after_five_wrong_tokens(client: TestClient) -> None:
    for _ in range(5):
        client.post("/login", data={"token": "wrong"})
    done = client.post("/login", data={"token": TOKEN})
    assert (done.status_code, done.headers["retry-after"]) == (429, "1")


def test_link_logs_in_once(client: TestClient, code: OneTimeCode) -> None:
    done = client.get(f"/login/{code.code}", headers=HTML)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    assert LOOPBACK_COOKIE in client.cookies
    assert client.get("/").text == "secret"
    client.cookies.clear()
    again = client.get(f"/login/{code.code}", headers=HTML)
    assert (again.status_code, "set-cookie" in again.headers) == (401, False)


def test_link_is_worth_nothing_after_ten_minutes(client: TestClient, clock: Clock, code: OneTimeCode) -> None:
    clock.at += CODE_SECONDS
    assert client.get(f"/login/{code.code}").status_code == 401


def test_code_has_256_random_bits_and_is_no_token() -> None:
    one, other = OneTimeCode(), OneTimeCode()
    assert re.fullmatch(r"[\w-]{43}", one.code)
    assert one.code != other.code
    assert not one.redeem(other.code)
    assert one.redeem(one.code)


def test_wrong_codes_count_as_wrong_tokens(client: TestClient, code: OneTimeCode) -> None:
    for _ in range(5):
        assert client.get("/login/wrong").status_code == 401
    assert client.get(f"/login/{code.code}").status_code == 429
    assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 429


def test_link_stays_unused_where_it_is_not_a_login(client: TestClient, code: OneTimeCode) -> None:
    """A preview asks with HEAD. Without HTTPS a browser would not keep the cookie."""
    assert client.head(f"/login/{code.code}").status_code == 200
    elsewhere = client.get(f"/login/{code.code}", headers={"host": "dashboard.example"})
    assert (elsewhere.status_code, elsewhere.text) == (200, "login  False")
    assert client.get(f"/login/{code.code}").status_code == 303


@pytest.mark.parametrize("path", ["/login/", "/login/a/b", "/login//", "/loginx/a"])
def test_only_the_link_itself_is_open(client: TestClient, path: str) -> None:
    assert client.get(path).json() == {"error": "unauthorized"}


@pytest.mark.parametrize("content", ["a\n", f"{TOKEN}2\nshort\n", "", " \n", "\udcff" * 20])
def test_file_with_a_token_that_can_be_guessed_changes_nothing(tmp_path: Path, content: str) -> None:
    """At the start it is refused. While the process runs it may be half written."""
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    login = Login(load({}, {"PROJECTOR_DASHBOARD_TOKENS_FILE": str(file)}), lambda *_, **__: Response())
    file.write_text(content, errors="surrogateescape")
    assert login.tokens() == [TOKEN]
    file.write_text(f"{TOKEN} of tomorrow\n{TOKEN}\n")
    assert login.tokens() == [f"{TOKEN} of tomorrow", TOKEN]


@pytest.mark.parametrize("form", ["{}", "{}\n", " {}\nanother-token-that-is-long\n"])
def test_path_of_the_file_is_no_token(tmp_path: Path, form: str) -> None:
    """Who gives the path in place of the tokens would let in everybody who guesses it."""
    file = tmp_path / "dashboard-tokens"
    file.write_text(f"{TOKEN}\n")
    with pytest.raises(Misconfigured, match=r"a token is the path of a file, .*: set PROJECTOR_DASHBOARD_TOKENS_FILE"):
        load({}, {"PROJECTOR_DASHBOARD_TOKENS": form.format(file)})
