"""kafka-python's client of a cluster, with what 3.0.12 does wrong and we cannot live with put right."""

from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

_RECEIVE_BYTES = 65_536


class Client(KafkaNetClient):  # type: ignore[misc]  # the client ships no types
    """Hears why a broker refuses a login, receives more at a time, and leaves no garbage behind.

    The library throws away what it receives together with the end of the connection, and while it looks for its first
    broker it logs a refusal and tries again: `refusal` is the last one. It receives 4,096 bytes at a time, which costs
    us more of a record's time than to fold it.
    """

    def __init__(self, **configs: Any) -> None:
        super().__init__(net=_Network(**configs), **configs)
        self.refusal: KafkaError | None = None
        self._build = self._manager._build_transport
        self._manager._build_transport = self._build_attentive

    async def _build_attentive(self, *arguments: Any, **more: Any) -> Any:
        transport = await self._build(*arguments, **more)
        receive, abort = transport._sock_recv, transport.abort

        def receive_all() -> tuple[bytes, Exception | None]:
            pieces: list[bytes] = []
            with suppress(Exception):  # nothing is left, or the connection ended: `receive` tells which
                while piece := transport._sock.recv(_RECEIVE_BYTES):
                    pieces.append(piece)
            return (b"".join(pieces), None) if pieces else receive()  # an end comes again at the next reading

        def note_why(error: Exception | None = None) -> object:
            if isinstance(error, SaslAuthenticationFailedError):
                self.refusal = error
            return abort(error)

        transport._sock_recv, transport.abort = receive_all, note_why
        return transport


class _Network(NetworkSelector):  # type: ignore[misc]  # the client ships no types
    """Raises an error without where it came from: that leads back to the error, in a circle.

    A poll that waited in vain is such an error, and the circle holds on to its callers and to all that they had polled
    or were about to poll: it kept some 6 MiB of 200,000 records, until the next full garbage collection.
    """

    def run(self, coro: Any, *arguments: Any) -> Any:
        try:
            return super().run(coro, *arguments)
        except KafkaError as error:
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
