"""`/metrics`, `/livez` and `/readyz` of a process, in threads of their own. Nothing here waits for a server."""

import io
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from projector.errors import Misconfigured
from projector.worker.exposition import ReportedMetrics, Reports
from projector.worker.health import Report
from projector.worker.metrics import State

log = logging.getLogger(__name__)

_MOST_CONNECTIONS = 32
_STOPS_WITHIN_SECONDS = 0.2
_GIVES_WAY_SECONDS = 0.2
_REQUEST_SECONDS = 5.0
_MOST_REQUEST_BYTES = 16_384
_Answer = Callable[[Any, Any], Iterable[bytes]]


@contextmanager
def serving(address: str | None, reports: Reports, *others: Collector) -> Iterator[str | None]:
    """Serve within the block, if an address is set; the address that clients use. Call it after every fork.

    `others`: what else is measured.

    Raises Misconfigured if the address cannot be used.
    """
    if address is None:
        yield None
        return
    host, _, port = address.rpartition(":")
    try:
        server = _Server(host.strip("[]"), int(port), _application(reports, *others))
    except OSError as error:
        raise Misconfigured(f"PROJECTOR_HTTP_ADDRESS: {address} cannot be used: {error.strerror}") from None
    thread = threading.Thread(
        target=server.serve_forever, args=(_STOPS_WITHIN_SECONDS,), name="metrics and probes", daemon=True
    )
    thread.start()
    shown = f"{host}:{server.server_port}"
    log.info("metrics and probes are served", extra={"address": f"http://{shown}/metrics"})
    try:
        yield shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per connection, so that a slow client keeps no probe waiting. Of too many, the oldest gives way."""

    daemon_threads = True

    def __init__(self, host: str, port: int, application: _Answer) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        self.address_family = found[0][0]
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._open: dict[socket.socket, None] = {}
        super().__init__((host, port), _Quiet)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind, and do not ask the resolver for a name of this address, as the base class does."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._free.acquire(blocking=False):
            with suppress(OSError, StopIteration, RuntimeError):  # it may end, or another, at this moment
                next(iter(self._open)).shutdown(socket.SHUT_RDWR)
            if not self._free.acquire(timeout=_GIVES_WAY_SECONDS):
                self.shutdown_request(request)
                return
        self._open[request] = None
        try:
            super().process_request(request, client_address)
        except BaseException:  # the system gives no thread
            self._ended(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._ended(request)

    def _ended(self, request: Any) -> None:
        del self._open[request]
        self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client went away, or is too slow: nothing to print."""
        log.debug("a request was not answered", exc_info=True)


class _Quiet(WSGIRequestHandler):
    """A request that does not come whole within a few seconds gets no answer. Nothing is logged."""

    timeout = _REQUEST_SECONDS

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BytesIO(_head(self.connection))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


def _head(connection: socket.socket) -> bytes:
    """The request without its body. Raises TimeoutError however often a byte comes, and ValueError if it is large."""
    head, until = b"", time.monotonic() + _REQUEST_SECONDS
    while b"\r\n\r\n" not in head and b"\n\n" not in head:
        connection.settimeout(max(until - time.monotonic(), 0.001))
        received = connection.recv(4_096)
        head += received
        if not received:
            break
        if len(head) > _MOST_REQUEST_BYTES:
            raise ValueError("a large request")
    connection.settimeout(_REQUEST_SECONDS)
    return head


def _application(reports: Reports, *others: Collector) -> _Answer:
    registry = CollectorRegistry()
    for collector in (ReportedMetrics(reports), *others):
        registry.register(collector)
    metrics = make_wsgi_app(registry)

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path not in ("/metrics", "/livez", "/readyz"):
            return _text(start_response, HTTPStatus.NOT_FOUND, "there are /metrics, /livez and /readyz")
        if method not in ("GET", "HEAD"):
            return _text(start_response, HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD", ("Allow", "GET, HEAD"))
        if path == "/metrics":
            asked = {**environ, "REQUEST_METHOD": "GET", "QUERY_STRING": "", "HTTP_ACCEPT": _accepted(environ)}
            found: Iterable[bytes] = metrics(asked, start_response)
        else:
            problem = not_alive(reports()) if path == "/livez" else not_ready(reports())
            status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
            found = _text(start_response, status, problem or "ok")
        return found if method == "GET" else [b""]

    def guarded(environ: Any, start_response: Any) -> Iterable[bytes]:
        try:
            return application(environ, start_response)
        except Exception:
            log.exception("the request failed", extra={"path": environ.get("PATH_INFO")})
            return _text(start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "the log has the error")

    return guarded


def _accepted(environ: Any) -> str:
    """The header `Accept`, if the client of Prometheus understands it."""
    accepted = str(environ.get("HTTP_ACCEPT", ""))
    try:
        choose_encoder(accepted)
    except Exception:  # whatever the library raises about a header that makes no sense
        return ""
    return accepted


def not_alive(reports: Mapping[str, Report | None]) -> str | None:
    """Which process hangs: its loop has not turned for half a minute. None if none does."""
    now = time.time()
    for name, report in reports.items():
        if report is None:
            return f"{name}: no report yet"
        if not report.is_fresh(now):
            return f"{name}: the last report is {now - report.at:.0f} s old: {report.state}"
    return None


def not_ready(reports: Mapping[str, Report | None]) -> str | None:
    """Which process is not ready: it hangs, it is not healthy, or its group has assigned nothing yet."""
    if problem := not_alive(reports):
        return problem
    for name, report in reports.items():
        if report and (not report.healthy or report.kind is State.JOINING):
            return f"{name}: {report.state}"
    return None


def _text(start_response: Any, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    body = f"{text}\n".encode(errors="replace")
    always = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", [*always, *headers])
    return [body]
