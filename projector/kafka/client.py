"""kafka-python's client of a cluster, with three faults of version 3.0.12 corrected.

This module and `record_batches` are the only ones that use private parts of the client, apart from a few attributes in
this folder.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from kafka.errors import KafkaConnectionError, KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.selector import NetworkSelector

from projector.errors import BrokerUnavailable
from projector.kafka.failures import Failure, broker_id, is_definite

_RECEIVE_BYTES = 65_536
_CLOSED_TIMES = 5
"""The search for a first broker ends if each address has closed this many connections."""


class Client(KafkaNetClient):  # type: ignore[misc]  # the client ships no types
    """Reads secrets again before each login, keeps why connections fail, and receives 64 KiB at a time.

    - The library drops the bytes that arrive together with the end of a connection. While it looks for its first
      broker, it logs every error and tries again. Here a definite answer, such as a refused login, ends that at once.
    - The library receives 4,096 bytes at a time. Per record that costs more time than the fold.
    - See `_Network` for the traceback of poll timeouts.

    `secrets` returns the arguments that a rotation changes. `unreachable`: broker → why there is no connection
    to it. `last`: the last failure of any connection. `refused`: the last definite answer. `is_starting`: whether it
    still looks for a first broker; `connection.started` sets it to false.
    """

    def __init__(self, secrets: Callable[[], Mapping[str, object]], **configs: Any) -> None:
        super().__init__(net=_Network(**configs), **configs)
        self.unreachable: dict[str, Failure] = {}
        self.last: Failure | None = None
        self.refused: Failure | None = None
        self.is_starting = True
        self._secrets = secrets
        self._closed: Counter[Any] = Counter()
        self._given_up: BaseException | None = None
        self._manager.maybe_raise_auth_failure = self._raise_given_up
        self._build = self._manager._build_transport
        self._manager._build_transport = self._build_patched

    async def _build_patched(self, node: Any, *arguments: Any, **more: Any) -> Any:
        used: Mapping[str, object] = {}
        if connection := self._manager._conns.get(node.node_id):
            self._refresh_before_login(connection)
            connection.init_future.add_callback(lambda _: self.unreachable.pop(broker_id(node.node_id), None))
        try:
            used = self._use_secrets(self._manager.config)
            transport = await self._build(node, *arguments, **more)
        except Exception as error:
            # The library replaces the error of a TLS handshake by its text.
            cause = error.__context__ if isinstance(error.__context__, OSError) else error
            self._note(node, cause, used, is_unreachable=True)
            raise
        receive, abort = transport._sock_recv, transport.abort

        def receive_all() -> tuple[bytes, Exception | None]:
            chunks: list[bytes] = []
            # An error means that the socket is empty or closed. `receive` reports which.
            with suppress(Exception):
                while chunk := transport._sock.recv(_RECEIVE_BYTES):
                    chunks.append(chunk)
            # If bytes arrived, the end of the connection is reported by the next call.
            return (b"".join(chunks), None) if chunks else receive()

        def keep_error(error: Exception | None = None) -> object:
            if error is not None:
                self._note(node, error, used, is_unreachable=is_definite(error))
            return abort(error)

        transport._sock_recv, transport.abort = receive_all, keep_error
        return transport

    def _refresh_before_login(self, connection: Any) -> None:
        """A long connection logs in more than once (KIP-368)."""
        authenticate = connection._sasl_authenticate

        async def authenticate_patched(*arguments: Any) -> None:
            self._use_secrets(connection.config)
            await authenticate(*arguments)

        connection._sasl_authenticate = authenticate_patched

    def _use_secrets(self, config: dict[str, object]) -> Mapping[str, object]:
        try:
            secrets = self._secrets()
        except BrokerUnavailable as error:
            raise KafkaConnectionError(str(error)) from error
        config.update(secrets)
        return secrets

    def _note(self, node: Any, error: BaseException, used: Mapping[str, object], *, is_unreachable: bool) -> None:
        self.last = Failure(node.node_id, f"{node.host}:{node.port}", error)
        if is_unreachable:
            self.unreachable[broker_id(node.node_id)] = self.last
        if is_definite(error) and not self._are_rotated(used):
            self.refused = self.last
            self._closed[node.node_id] = _CLOSED_TIMES
        if self.is_starting:
            self._count(node, error)

    def _count(self, node: Any, error: BaseException) -> None:
        self._closed[node.node_id] += 1
        bootstrap = [each.node_id for each in self._manager.cluster.bootstrap_brokers()]
        if all(self._closed[each] >= _CLOSED_TIMES for each in bootstrap):
            self._given_up = error

    def _raise_given_up(self, node: Any) -> None:
        """The library calls it before it uses a node."""
        if self.is_starting and self._given_up is not None and self._manager.cluster.is_bootstrap(node):
            raise self._given_up

    def _are_rotated(self, used: Mapping[str, object]) -> bool:
        """Whether another login may succeed: the files of the secrets changed, or are being replaced."""
        try:
            return self._secrets() != used
        except BrokerUnavailable:
            return True


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
