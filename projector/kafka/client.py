"""kafka-python's client of a cluster, with three faults of version 3.0.12 corrected.

This module and `record_batches` are the only ones that use private parts of the client, apart from a few attributes in
this folder.
"""

from contextlib import suppress
from typing import Any

from kafka.errors import KafkaError, KafkaTimeoutError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

_RECEIVE_BYTES = 65_536


class Client(KafkaNetClient):  # type: ignore[misc]  # the client ships no types
    """Keeps the authentication error, reads 64 KiB per receive, and drops the traceback of poll timeouts.

    - The library drops the bytes that arrive together with the end of a connection. While it looks for its first
      broker, it logs a refused login and tries again. `login_error` is the last one.
    - The library receives 4,096 bytes at a time. Per record that costs more time than the fold.
    - See `_Network` for the traceback.
    """

    def __init__(self, **configs: Any) -> None:
        super().__init__(net=_Network(**configs), **configs)
        self.login_error: KafkaError | None = None
        self._build = self._manager._build_transport
        self._manager._build_transport = self._build_patched

    async def _build_patched(self, *arguments: Any, **more: Any) -> Any:
        transport = await self._build(*arguments, **more)
        receive, abort = transport._sock_recv, transport.abort

        def receive_all() -> tuple[bytes, Exception | None]:
            chunks: list[bytes] = []
            # An error means that the socket is empty or closed. `receive` reports which.
            with suppress(Exception):
                while chunk := transport._sock.recv(_RECEIVE_BYTES):
                    chunks.append(chunk)
            # If bytes arrived, the end of the connection is reported by the next call.
            return (b"".join(chunks), None) if chunks else receive()

        def keep_login_error(error: Exception | None = None) -> object:
            if isinstance(error, SaslAuthenticationFailedError):
                self.login_error = error
            return abort(error)

        transport._sock_recv, transport.abort = receive_all, keep_login_error
        return transport


class _Network(NetworkSelector):  # type: ignore[misc]  # the client ships no types
    """Raises timeouts without their traceback.

    Each poll that returns nothing raises one inside the library. The library keeps the error. Its traceback refers to
    all callers and to the records that they polled. That is a reference cycle, which lives until the next full garbage
    collection.
    """

    def run(self, coro: Any, *arguments: Any) -> Any:
        try:
            return super().run(coro, *arguments)
        except KafkaTimeoutError as error:
            error.__traceback__ = None
            message = error.args
        raise KafkaTimeoutError(*message)
