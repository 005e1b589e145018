"""The server: uvicorn, with the application of the dashboard."""

import ipaddress
import logging
import socket
from collections.abc import Callable

import uvicorn

from projector.errors import Misconfigured
from projector.process.shutdown import on_stop
from projector.settings import Settings, tokens, variable
from projector.web.app import build
from projector.web.connections import Connection
from projector.web.metrics import ViewMetrics
from projector.web.reader import Reader
from projector.web.sessions import OneTimeCode
from projector.worker.http import serving

log = logging.getLogger(__name__)


def serve(settings: Settings, announce: Callable[[str], object] | None = None) -> None:
    """Serve until a signal. `announce` is called with a link that logs in once.

    Raises Misconfigured without a token, or if the address cannot be used.
    """
    if not tokens(settings.dashboard_tokens):
        raise Misconfigured(
            f"{variable('dashboard_tokens')} is not set, and without a token nobody may read: write one into a file, "
            f"as `openssl rand -hex 24 > tokens`, and name the file by {variable('dashboard_tokens')}_FILE"
        )
    host, _, port = settings.dashboard_address.rpartition(":")
    listener = _listen(host.strip("[]"), int(port))
    reader, code = Reader(settings), OneTimeCode() if announce else None
    config = uvicorn.Config(
        build(reader, code),
        http=Connection,
        ws="none",
        log_config=None,
        log_level="error",  # its warnings are about requests of strangers that make no sense
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    address = _address(listener)
    log.info("dashboard started", extra={"address": address})
    if announce and code:
        announce(f"{address}/login/{code.code}")

    def stop(_: int) -> None:
        server.should_exit = True

    # uvicorn raises a signal again when it has ended: then this handler has nothing left to do.
    with listener, serving(settings.http_address, dict, ViewMetrics(reader)), on_stop(stop):
        server.run(sockets=[listener])
    log.info("dashboard stopped")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise Misconfigured(
            f"{variable('dashboard_address')}: {host}:{port} cannot be used: {error.strerror}"
        ) from None
    # asyncio sets it only on sockets that know their protocol. Without it, each answer waits 40 ms for the client's
    # acknowledgement of its headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(listener: socket.socket) -> str:
    """The URL by which a browser on this machine finds the listener."""
    host, port = listener.getsockname()[:2]
    place = ipaddress.ip_address(host)
    if place.is_unspecified:
        place = ipaddress.ip_address("127.0.0.1" if place.version == 4 else "::1")
    return f"http://[{place}]:{port}" if place.version == 6 else f"http://{place}:{port}"
