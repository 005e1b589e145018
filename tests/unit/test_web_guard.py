"""The guard of the dashboard: who gets an answer, and what every answer has."""

from collections.abc import Iterator

import pytest
from clocks import Clock
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from projector.web.guard import LOOPBACK_COOKIE, SESSION_COOKIE, Guard, Tries
from projector.web.sessions import SESSION_SECONDS, is_session, is_token, new_session

TOKEN = "a-token-of-the-operators"
OTHER = "another-token-of-theirs"
HTML = {"accept": "text/html"}


async def answer(request: Request) -> Response:
    return PlainTextResponse("secret")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens() -> list[str]:
    return [TOKEN]


@pytest.fixture
def client(clock: Clock, tokens: list[str]) -> Iterator[TestClient]:
    methods = ["GET", "POST"]
    paths = ("/", "/livez", "/readyz", "/login", "/static/a.css", "/staticky", "/loginx", "/x")
    app = Starlette(routes=[Route(path, answer, methods=methods) for path in paths])
    with TestClient(Guard(app, lambda: tokens, Tries(clock)), "http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/x", "/staticky", "/loginx", "/nosuch", "//", "/login/", "/static"])
def test_stranger_gets_nothing(client: TestClient, path: str) -> None:
    done = client.get(path)
    assert (done.status_code, done.json()) == (401, {"error": "unauthorized"})
    assert done.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/login", "/static/a.css"])
def test_open_paths_need_no_token(client: TestClient, path: str) -> None:
    assert client.get(path).text == "secret"


def test_browser_is_sent_to_the_login_and_back(client: TestClient) -> None:
    done = client.get("/x?a=1&b=%2F", headers=HTML)
    assert (done.status_code, done.headers["location"]) == (303, "/login?next=%2Fx%3Fa%3D1%26b%3D%252F")


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_token_is_accepted_as_bearer(client: TestClient, header: str) -> None:
    assert client.get("/x", headers={"authorization": header}).text == "secret"


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00fc", TOKEN])
def test_wrong_bearer_is_refused(client: TestClient, header: str) -> None:
    assert client.get("/x", headers=[(b"authorization", header.encode())]).status_code == 401


def test_token_in_the_query_is_ignored(client: TestClient) -> None:
    assert client.get(f"/x?token={TOKEN}&access_token={TOKEN}").status_code == 401


def test_clients_wait_after_five_wrong_tokens(client: TestClient, clock: Clock) -> None:
    wrong, right = ({"authorization": f"Bearer {token}"} for token in ("wrong", TOKEN))
    for _ in range(5):
        assert client.get("/x", headers=wrong).status_code == 401
    refused = client.get("/x", headers=right)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    clock.at += 1.1
    assert client.get("/x", headers=wrong).status_code == 401
    assert client.get("/x", headers=right).headers["retry-after"] == "2"
    clock.at += 2.1
    assert client.get("/x", headers=right).text == "secret"
    assert client.get("/x", headers=wrong).status_code == 401
    assert client.get("/x", headers=right).text == "secret"


def test_wait_is_a_minute_at_most_and_of_one_client(clock: Clock) -> None:
    tries = Tries(clock)
    for _ in range(40):
        tries.failed("a")
    assert (tries.wait_seconds("a"), tries.wait_seconds("b")) == (60.0, 0.0)


def test_wait_stays_however_many_tokens_were_wrong(clock: Clock) -> None:
    """Two to the power of a thousand is no number of seconds."""
    tries = Tries(clock)
    for _ in range(1_100):
        tries.failed("a")
    assert tries.wait_seconds("a") == 60.0


def test_many_clients_do_not_fill_the_memory(clock: Clock) -> None:
    tries = Tries(clock)
    for number in range(5_000):
        tries.failed(str(number))
    assert len(tries._failures) == 1_000


def test_session_is_accepted_as_cookie(client: TestClient) -> None:
    client.cookies.set(LOOPBACK_COOKIE, new_session(TOKEN))
    assert client.get("/x", headers=HTML).text == "secret"


def test_cookie_of_the_loopback_is_no_session_elsewhere(client: TestClient) -> None:
    session = new_session(TOKEN)
    headers = {"host": "dashboard.example", "cookie": f"{LOOPBACK_COOKIE}={session}"}
    assert client.get("/x", headers=headers).status_code == 401
    headers["cookie"] = f"{SESSION_COOKIE}={session}"
    assert client.get("/x", headers=headers).text == "secret"


@pytest.mark.parametrize("other", ['prefs={"a": 1}', "a b=c", "\u00fc=1", "=", "x=[1,2]; y=@", "bad"])
def test_cookies_of_other_programs_on_the_same_host_change_nothing(client: TestClient, other: str) -> None:
    """A browser sends the cookies of every port of a host."""
    cookie = f"{other}; {LOOPBACK_COOKIE}={new_session(TOKEN)}; z={{}}"
    assert client.get("/x", headers=[(b"cookie", cookie.encode())]).text == "secret"


@pytest.mark.parametrize(
    "host", ["[", "[::1", "a:b:c", "]", "", "\u2100", "127.0.0.1.evil.example", "evil.example#127.0.0.1"]
)
def test_odd_host_is_no_loopback_address(client: TestClient, host: str) -> None:
    headers = [(b"host", host.encode()), (b"cookie", f"{LOOPBACK_COOKIE}={new_session(TOKEN)}".encode())]
    assert client.get("/x", headers=headers).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080", "LOCALHOST:1", "[::1]", "[::1]:8080"])
def test_loopback_addresses_have_their_own_cookie(client: TestClient, host: str) -> None:
    headers = {"host": host, "cookie": f"{LOOPBACK_COOKIE}={new_session(TOKEN)}"}
    assert client.get("/x", headers=headers).text == "secret"


def test_session_ends_with_its_token(client: TestClient, tokens: list[str]) -> None:
    client.cookies.set(LOOPBACK_COOKIE, new_session(TOKEN))
    tokens[:] = [OTHER, TOKEN]
    assert client.get("/x").text == "secret"
    tokens[:] = [OTHER]
    assert client.get("/x").status_code == 401


def test_session_ends_after_twelve_hours(clock: Clock) -> None:
    session = new_session(TOKEN, clock)
    clock.at += SESSION_SECONDS - 1
    assert is_session(session, [TOKEN], clock)
    clock.at += 1
    assert not is_session(session, [TOKEN], clock)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: "",
        lambda value: value.partition(".")[0],
        lambda value: value[:-1],
        lambda value: "9" + value,
        lambda value: value.replace(".", ".\u00fc"),
        lambda value: "\u0663" + value,
        lambda value: "9" * 400 + ".x",
    ],
)
def test_changed_session_is_refused(change: "Iterator[str]") -> None:
    assert not is_session(change(new_session(TOKEN)), [TOKEN])  # type: ignore[operator]


def test_no_token_means_nobody() -> None:
    assert not is_token("", [])
    assert not is_session(new_session(""), [])


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": ""}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://127.0.0.1"}, 200),
        ({}, 200),
    ],
)
def test_other_sites_cannot_post(client: TestClient, headers: dict[str, str], code: int) -> None:
    assert client.post("/login", headers=headers).status_code == code


@pytest.mark.parametrize("path", ["/", "/login", "/nosuch", "/livez"])
def test_every_answer_has_the_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
    assert rules == {
        **dict.fromkeys(("default-src", "base-uri", "frame-ancestors"), "'none'"),
        **dict.fromkeys(("script-src", "style-src", "connect-src", "form-action"), "'self'"),
        "img-src": "'self' data:",
        "report-uri": "/csp-report",
        "report-to": "csp",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
