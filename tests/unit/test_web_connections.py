"""Slow clients of the dashboard, over real sockets: uvicorn with our connections."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import uvicorn
from cluster import wait_until
from starlette.types import Receive, Scope, Send

from projector.web import connections
from projector.web.connections import Connection
from projector.web.serve import _listen

LARGE = 50_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the body of the request, or with many bytes."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    answer = b"x" * LARGE if scope["path"] == "/large" else body
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "_LOOK_SECONDS", 0.05)
    with _listen("127.0.0.1", 0) as listener:
        config = uvicorn.Config(app, http=Connection, ws="none", lifespan="off", log_config=None, log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = True
            thread.join()


def is_ended(client: socket.socket) -> bool:
    """Whether the server has ended the connection, to which the client goes on sending."""
    try:
        client.sendall(b"a")
    except OSError:
        return True
    return False


def has_ended(client: socket.socket) -> bool:
    """Whether the server has ended the connection, on which it sends nothing."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "beginning", [b"", b"GET / HTTP/1.1\r\nX-Slow: ", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n"]
)
def test_request_must_come_whole_within_a_time(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(connections, "_REQUEST_SECONDS", 0.5)
    with socket.create_connection(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")  # the first one is in time
        assert client.recv(12) == b"HTTP/1.1 200"
        client.sendall(beginning)
        wait_until(lambda: is_ended(client), "the end of a request that never ends")


def test_answer_must_be_taken_within_a_time(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_ANSWER_SECONDS", 0.5)
    with socket.create_connection(address) as client:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_until(lambda: is_ended(client), "the end of an answer that nobody takes")


def test_answer_is_taken_whole(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client, client.makefile("rb") as answer:
        client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert len(answer.read().partition(b"\r\n\r\n")[2]) == LARGE


def test_slowest_client_gives_way(address: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_MOST", 2)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(address)) for _ in range(5)]
        ended: set[socket.socket] = set()

        def are_three_ended() -> bool:
            ended.update(client for client in clients if has_ended(client))
            return len(ended) == 3

        wait_until(are_three_ended, "the end of three connections")
        for client in {*clients} - ended:
            client.setblocking(True)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"


def test_pipelined_requests_are_answered(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as client, client.makefile("rb") as answers:
        for number in range(3):
            close = "Connection: close\r\n" if number == 2 else ""
            client.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{close}Content-Length: 1\r\n\r\n{number}".encode())
        found = answers.read()
    assert [part[-1:] for part in found.split(b"HTTP/1.1 200")[1:]] == [b"0", b"1", b"2"]
