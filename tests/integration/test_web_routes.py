"""Every route of the dashboard: without a token, with every method, and against its description."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import anyio
import pytest
from cluster import wait_until
from dashboards import HTML, NOBODY, TOKEN, Site, ago, browser, dashboard, insert
from jsonschema import Draft202012Validator
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import Message, Scope

from projector.settings import load
from projector.web.app import Dashboard
from projector.web.login import Login
from projector.web.openapi import PARAMETERS
from projector.web.pages import PAGES, description
from projector.web.reader import Reader

OPEN = {"/livez", "/readyz", "/login", "/login/{code}", "/static/{name}"}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")


def _routes() -> list[Route]:
    reader = Reader(load({"dashboard_tokens": TOKEN, "bootstrap_servers": NOBODY}, {}))
    try:
        app = Dashboard(reader)
        return app.routes(Login(reader.settings, app.render))
    finally:
        reader.close()


ROUTES = _routes()
PATHS = sorted({route.path for route in ROUTES})


@pytest.fixture(scope="module")
def site(shared_database_url: str) -> Iterator[Site]:
    rows = [
        {"delegation_id": f"d-{number}", "status": status, "created_at": ago(600), "updated_at": ago(number)}
        | ({"error_detail": f"no money: {number}"} if status in ("failed", "stuck") else {})
        for number, status in enumerate(("queued", "dispatched", "in_progress", "completed", "failed", "stuck"))
    ]
    insert(shared_database_url, *rows)
    with dashboard(shared_database_url) as site:
        yield site


@pytest.fixture(scope="module")
def stranger(site: Site) -> TestClient:
    return TestClient(site.client.app, "http://127.0.0.1", follow_redirects=False)


def _filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "d-1", path)


@pytest.mark.parametrize("path", [path for path in PATHS if path not in OPEN])
def test_route_without_a_token_answers_nothing(stranger: TestClient, path: str) -> None:
    for method in METHODS:
        plain, html = (stranger.request(method, _filled(path), headers=headers) for headers in ({}, HTML))
        assert plain.status_code == 401
        assert plain.content in (b"", b'{"error":"unauthorized"}')
        assert html.status_code == 303
        assert html.headers["location"] == f"/login?next={quote(_filled(path), safe='')}"
        assert html.content == b""


@pytest.mark.parametrize("path", PATHS)
def test_route_answers_only_its_methods(site: Site, path: str) -> None:
    allowed = {method for route in ROUTES if route.path == path for method in route.methods or ()}
    for method in {*METHODS} - allowed:
        assert site.client.request(method, _filled(path)).status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "//delegations",
        "/delegations//",
        "/delegations/",
        "/./delegations",
        "/static/../delegations",
        "/static/..%2fdelegations",
        "/%2e%2e/delegations",
        "/login%2f..%2fdelegations",
        "/login/../delegations",
        "/livez/../delegations",
        "/livez/",
        "/livez%00",
        "/Livez",
        "/login;/delegations",
        "/static",
        "/static/",
        "/delegations.json/",
        "/.env",
        "*",
        "http://127.0.0.1/delegations",
    ],
)
def test_odd_path_gives_a_stranger_nothing(stranger: TestClient, site: Site, path: str) -> None:
    """The scope is made by hand, as a client may send any bytes as its path."""
    for headers, allowed in (([], {401, 404}), ([(b"accept", b"text/html")], {303, 404})):
        status, body = _asked(site, path, headers)
        assert status in allowed, (path, status)
        assert b"d-1" not in body
        assert b"In flight" not in body


def _asked(site: Site, path: str, headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes]:

    sent: list[dict[str, object]] = []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(path),
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    async def ask() -> None:
        await site.client.app(scope, receive, send)  # type: ignore[arg-type]

    anyio.run(ask)
    body = b"".join(each.get("body", b"") for each in sent[1:])  # type: ignore[misc]
    return sent[0]["status"], body  # type: ignore[return-value]


def test_head_has_the_headers_of_get_and_no_body(site: Site) -> None:
    for path in ("/", "/delegations", "/delegations.json", "/delegations.csv", "/admin/delegations", "/openapi.json"):
        head, get = site.client.head(path), site.client.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]


# --- the description


def _resolved(document: Any, schema: Any) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


def test_every_route_with_json_is_described(site: Site) -> None:
    described = set(site.json("/openapi.json")["paths"])
    others = {
        "/login",
        "/login/{code}",
        "/logout",
        "/livez",
        "/readyz",
        "/static/{name}",
        "/openapi.json",
        "/csp-report",
    }
    routes = {path.replace("{id:path}", "{id}") for path in PATHS} - others
    assert described == {path for path in routes if not path.endswith(".csv")} - {page.path for page in PAGES}


@pytest.mark.parametrize("path", description()["paths"])
def test_answers_are_as_described(site: Site, path: str) -> None:
    document = site.json("/openapi.json")
    operation = document["paths"][path]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    names = {each["name"] for each in operation["parameters"]}
    queries = ["id=d-4"] if path == "/delegation.json" else ["", "status=failed", "caller=&sort=age", "limit=1&id=d"]
    if path == "/admin/delegations/stats":
        wait_until(lambda: site.reader.stats.snapshot.value, "the first count")
    for query in queries:
        given = "&".join(each for each in query.split("&") if each.partition("=")[0] in names)
        done = site.client.get(f"{path.replace('{id}', 'd-4')}?{given}")
        assert done.status_code == 200, done.text
        assert [error.message for error in _resolved(document, schema).iter_errors(done.json())] == []


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "delegation"], ids=lambda page: page.name)
def test_described_parameters_are_those_that_a_page_knows(site: Site, page: object) -> None:
    name, base = page.name, page.base  # type: ignore[attr-defined]
    sentence = site.json(f"{base}.json?no_such_parameter=1", 400)["error"]
    known = ", ".join(sorted(PARAMETERS[name])) or "none"
    assert sentence == f"unknown parameter no_such_parameter: use {known}"


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/admin/delegations", "cursor=x", 400),
        ("/admin/delegations", "status=x", 400),
        ("/delegations.json", "until=x", 400),
        ("/admin/delegations/failures", "hours=0", 400),
        ("/admin/delegations/{id}", "", 404),
    ],
)
def test_errors_are_as_described(site: Site, path: str, query: str, status: int) -> None:
    document = site.json("/openapi.json")
    done = site.json(f"{path.replace('{id}', 'nosuch')}?{query}", status)
    response = document["paths"][path]["get"]["responses"][str(status)]
    assert _resolved(document, response["content"]["application/json"]["schema"]).is_valid(done)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("/nosuch", "there is no such page"), ("/admin/delegations/nosuch", "there is no such delegation")],
)
def test_what_does_not_exist_is_named(site: Site, path: str, sentence: str) -> None:
    assert site.json(path, 404) == {"error": sentence}


# --- reports of the browser


def test_report_of_a_browser_needs_its_session(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    report = {"csp-report": {"effective-directive": "script-src", "blocked-uri": "inline", "document-uri": "/x"}}
    stranger = TestClient(site.client.app, "http://127.0.0.1")
    assert stranger.post("/csp-report", json=report).status_code == 401
    client = browser(site)
    assert client.post("/csp-report", json=report, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    for _ in range(30):
        assert client.post("/csp-report", json=report).status_code == 204
    lines = [each for each in caplog.records if each.message == "a browser refused a part of a page"]
    assert 1 <= len(lines) <= 20  # ten per minute
    assert (lines[0].directive, lines[0].blocked) == ("script-src", "inline")  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", [b"", b"[]", b"[1]", b"{", b'{"csp-report": 1}', b"[" * 8_000, b"\xff"])
def test_odd_report_is_accepted(site: Site, body: bytes) -> None:
    assert browser(site).post("/csp-report", content=body).status_code == 204


def test_report_of_a_megabyte_is_refused(site: Site) -> None:
    assert browser(site).post("/csp-report", content=b"x" * 1_000_000).status_code == 413


@pytest.mark.parametrize("path", ["/login", "/csp-report"])
def test_client_that_leaves_in_the_middle_is_no_error(site: Site, path: str, caplog: pytest.LogCaptureFixture) -> None:
    """Each would write thirty lines to the log, and strangers may do it to /login."""
    sent: list[Message] = []
    scope: Scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {TOKEN}".encode())],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    anyio.run(site.client.app, scope, receive, send)
    assert sent[0]["status"] == 400
    assert not caplog.records
