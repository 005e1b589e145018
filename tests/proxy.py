"""A TCP proxy that misbehaves when told to: it cuts, goes deaf, delays, or cuts at the very bytes that a test names."""

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Self

Verdict = Literal["pass", "cut before", "cut after"]
_RESET = struct.pack("ii", 1, 0)
_LONGEST = 1 << 20


class _Passage:
    """One connection through the proxy: two sockets, and whether anything still passes."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.is_deaf = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                end.shutdown(socket.SHUT_RDWR)
            end.close()


class Proxy:
    """Listens at `address` for whoever wants the server; `server` may be named later."""

    def __init__(self, server: str = "") -> None:
        self.server = server
        self.seconds_each_way = 0.0
        self.look_at: Callable[[bytes], Verdict] = lambda _: "pass"
        """Asked of whatever a client sends: to pass it, or to cut the connection before or after it is passed on."""
        self._is_closed = False
        self._passages: list[_Passage] = []
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
        """Cut every connection, and each new one, until it is opened again."""
        self._is_closed = True
        self.cut()

    def open(self) -> None:
        """Let new connections through; those that are deaf stay deaf, as those of a NAT that forgot them."""
        self._is_closed = False

    def cut(self) -> None:
        """Cut what is connected now."""
        passages, self._passages = self._passages, []
        for passage in passages:
            passage.cut()

    def deafen(self) -> None:
        """Half-open: what is connected stays connected, and nothing that is sent arrives; new connections are well."""
        for passage in self._passages:
            passage.is_deaf = True

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
        passage = _Passage(client, server)
        if self._is_closed:
            passage.cut()
            return
        self._passages.append(passage)
        threading.Thread(target=self._carry, args=(passage, server, client, False), daemon=True).start()
        self._carry(passage, client, server, True)

    def _carry(self, passage: _Passage, source: socket.socket, sink: socket.socket, is_client: bool) -> None:
        with suppress(OSError):
            while sent := source.recv(_LONGEST):
                if passage.is_deaf:
                    continue
                time.sleep(self.seconds_each_way)  # what is asked for: a slow line
                verdict = self.look_at(sent) if is_client else "pass"
                if verdict != "cut before":
                    sink.sendall(sent)
                if verdict != "pass":
                    break
        if not passage.is_deaf:
            passage.cut()
