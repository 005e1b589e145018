"""The server: uvicorn, with the application of the dashboard."""

import logging
import socket

import uvicorn

from projector.errors import Misconfigured
from projector.settings import Settings, tokens, variable
from projector.web.app import build
from projector.web.metrics import ViewMetrics
from projector.web.reader import Reader
from projector.worker.http import serving

log = logging.getLogger(__name__)

_DONE = 0


def serve(settings: Settings) -> int:
    """Serve until a signal. Raises Misconfigured without a token, or if the address cannot be used."""
    if not tokens(settings.dashboard_tokens):
        raise Misconfigured(
            f"{variable('dashboard_tokens')} is not set, and without a token nobody may read: write one into a file, "
            f"as `openssl rand -hex 24 > tokens`, and name the file by {variable('dashboard_tokens')}_FILE"
        )
    host, _, port = settings.dashboard_address.rpartition(":")
    listener = _listen(host.strip("[]"), int(port))
    reader = Reader(settings)
    config = uvicorn.Config(
        build(reader),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    place = listener.getsockname()
    shown = f"[{place[0]}]" if ":" in place[0] else place[0]
    log.info("dashboard started", extra={"address": f"http://{shown}:{place[1]}"})
    with listener, serving(settings.http_address, dict, ViewMetrics(reader)):
        uvicorn.Server(config).run(sockets=[listener])
    log.info("dashboard stopped")
    return _DONE


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
