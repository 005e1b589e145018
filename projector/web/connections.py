"""Connections of clients: a slow one is ended, and of too many the slowest gives way."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 256
_REQUEST_SECONDS = 15.0
_ANSWER_SECONDS = 60.0
_LOOK_SECONDS = 1.0


class Connection(H11Protocol):
    """A request must come whole within some seconds, and its answer be taken: else clients could hold every socket."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._asks_since: float | None = self.loop.time()  # None while the server has the whole request
        self._takes_since: float | None = None
        self._next_look = self.loop.call_later(_LOOK_SECONDS, self._look)
        if len(self.connections) > _MOST:
            _give_way([each for each in self.connections if isinstance(each, Connection)])

    def connection_lost(self, exc: Exception | None) -> None:
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_incomplete():
            self._asks_since = None

    def on_response_complete(self) -> None:
        super().on_response_complete()  # it may begin with a request that came meanwhile
        is_next_whole = not self.cycle.response_complete and not self._is_incomplete()
        self._asks_since = None if is_next_whole else self.loop.time()

    def _is_incomplete(self) -> bool:
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._takes_since = self.loop.time()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._takes_since = None

    def _look(self) -> None:
        now = self.loop.time()
        asks, takes = (now if since is None else since for since in (self._asks_since, self._takes_since))
        if now - asks > _REQUEST_SECONDS or now - takes > _ANSWER_SECONDS:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(_LOOK_SECONDS, self._look)


def _give_way(connections: list[Connection]) -> None:
    """End the one whose request is awaited for the longest time. The latest is among them."""
    still_open = [each for each in connections if not each.transport.is_closing()]
    if len(still_open) > _MOST:
        asking = {each: since for each in still_open if (since := each._asks_since) is not None}
        min(asking, key=lambda each: asking[each]).transport.abort()
