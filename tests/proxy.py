"""A TCP proxy with faults: it cuts connections, drops or delays bytes, or cuts at bytes that a test chooses."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Self
from urllib.parse import urlsplit

Action = Literal["pass", "cut before", "cut after"]
_RESET = struct.pack("ii", 1, 0)
_RECEIVE_BYTES = 1 << 20


class _Connection:
    """One connection through the proxy: the sockets of both sides."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.drops_bytes = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens at `address` and connects to `server`, which may be set later."""

    def __init__(self, server: str = "") -> None:
        self.server = server
        self.delay_seconds = 0.0
        self.decide: Callable[[bytes], Action] = lambda _: "pass"
        """Decides about all bytes of a client: pass them, or cut the connection before or after they are passed on."""
        self._is_closed = False
        self._connections: list[_Connection] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.close()

    def close(self) -> None:
        """Cut every connection, and each new one, until `open`."""
        self._is_closed = True
        self.cut()

    def open(self) -> None:
        """Accept new connections; half-open ones stay half-open, as after a NAT has lost them."""
        self._is_closed = False

    def cut(self) -> None:
        """Cut the current connections."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.cut()

    def make_half_open(self) -> None:
        """Make the current connections half-open: they stay connected, and no byte arrives. New ones work."""
        for connection in self._connections:
            connection.drops_bytes = True

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        host, _, port = self.server.rpartition(":")
        try:
            server = socket.create_connection((host, int(port)))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(client, server)
        if self._is_closed:
            connection.cut()
            return
        self._connections.append(connection)
        threading.Thread(target=self._forward, args=(connection, server, client, False), daemon=True).start()
        self._forward(connection, client, server, True)

    def _forward(self, connection: _Connection, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_RECEIVE_BYTES):
                if connection.drops_bytes:
                    continue
                time.sleep(self.delay_seconds)  # a slow network
                action = self.decide(data) if is_client else "pass"
                if action != "cut before":
                    sink.sendall(data)
                if action != "pass":
                    break
        if not connection.drops_bytes:
            connection.cut()


def server_of(url: str) -> str:
    """The server that a URL names, as host:port."""
    return urlsplit(url).netloc.rpartition("@")[2]


def through(proxy: Proxy, url: str) -> str:
    """The same URL, with the proxy in place of the server."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@{proxy.address}").geturl()
