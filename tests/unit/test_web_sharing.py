"""Open pages share what they refresh themselves by; a page that a person loads is a new one."""

from collections.abc import Iterator
from functools import partial
from itertools import count

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.testclient import TestClient

from projector.web.sharing import Refreshes

REFRESH = {"HX-Request": "true"}


class Pages:
    """A page that counts how often it is made."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.suffix = ""
        self._numbers = count(1)

    def make(self, request: Request) -> Response:
        if "fail" in request.url.query:
            raise ValueError("no page")
        return Response(f"{next(self._numbers)}{self.suffix}")


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def client(pages: Pages) -> Iterator[TestClient]:
    answer = partial(Refreshes(lambda: pages.seconds).answer, make=pages.make)
    with TestClient(Starlette(routes=[Route("/{path:path}", answer)])) as client:
        yield client


def test_refreshes_within_five_seconds_share_a_page(client: TestClient, pages: Pages) -> None:
    assert client.get("/a").text == "1"
    assert client.get("/a", headers=REFRESH).text == "1"
    pages.seconds += 4.9
    assert client.get("/a", headers=REFRESH).text == "1"
    pages.seconds += 0.1
    assert client.get("/a", headers=REFRESH).text == "2"
    assert client.get("/a", headers=REFRESH).text == "2"


def test_loaded_page_is_always_new(client: TestClient) -> None:
    assert [client.get("/a").text for _ in range(3)] == ["1", "2", "3"]


def test_each_url_has_its_own_page(client: TestClient) -> None:
    urls = ["/a", "/b", "/a?x=1", "/a?x=2"]
    assert [client.get(url, headers=REFRESH).text for url in urls] == ["1", "2", "3", "4"]
    assert [client.get(url, headers=REFRESH).text for url in urls] == ["1", "2", "3", "4"]


def test_error_is_not_kept(client: TestClient) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="no page"):
            client.get("/a?fail", headers=REFRESH)


def test_many_pages_and_large_ones_are_not_kept(client: TestClient, pages: Pages) -> None:
    for number in range(65):
        client.get(f"/{number}")
    assert client.get("/64", headers=REFRESH).text == "65"
    assert client.get("/0", headers=REFRESH).text == "66"
    pages.suffix = "x" * 262_144
    client.get("/large")
    assert client.get("/large", headers=REFRESH).text.startswith("68x")
