"""kafka-python's client of a cluster, with what 3.0.12 does wrong and we cannot live with put right."""

from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

_RECEIVE_BYTES = 65_536


class Client(KafkaNetClient):  # type: ignore[misc]  # the client ships no types
    """Hears why a broker refuses a login, receives more at a time, and waits in vain without a trace.

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
    """Lets go of whoever waited in vain.

    A poll does, each time that it brings nothing. The error of it, kept where it was awaited, leads by its traceback to
    that place and to all callers, with what they had polled: a circle, until the next full collection of garbage.
    """

    def run(self, coro: Any, *arguments: Any) -> Any:
        try:
            return super().run(coro, *arguments)
        except KafkaTimeoutError as error:
            error.__traceback__ = None
            said = error.args
        raise KafkaTimeoutError(*said)
