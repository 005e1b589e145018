"""`/metrics`, `/livez` and `/readyz` of a process, in a thread of its own. Nothing here waits for a server."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from projector.errors import Misconfigured
from projector.settings import variable
from projector.worker.health import FRESH_SECONDS, Report
from projector.worker.metrics import METRICS, PREFIX, Kind, Metric, merged

log = logging.getLogger(__name__)

Reports = Callable[[], Mapping[str, Report | None]]
"""Returns the latest report of each process; None for one that has written none yet."""


class _Metrics(Collector):
    """Reads the reports at each scrape. A report that is too old is left out: no number beats a wrong one."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Family]:
        now = time.time()
        reports = {name: each for name, each in self._reports().items() if each and now - each.at <= FRESH_SECONDS}
        numbers = merged(each.metrics for each in reports.values())
        numbers |= {("healthy", (name,)): [float(each.healthy)] for name, each in reports.items()}
        for metric in METRICS.values():
            found = {labels: value for (name, labels), value in numbers.items() if name == metric.name}
            if found:
                yield _family(metric, found)
        info = GaugeMetricFamily(f"{PREFIX}build_info", "the release of the projector", labels=["version"])
        info.add_metric([version("delegations-projector")], 1.0)
        yield info


def _family(metric: Metric, found: Mapping[tuple[str, ...], list[float]]) -> Family:
    name, labels = PREFIX + metric.name, list(metric.labels)
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(name, metric.text, labels=labels)
        limits = [*map(str, metric.buckets), "+Inf"]
        for values, numbers in found.items():
            histogram.add_metric(list(values), list(zip(limits, numbers[:-1], strict=True)), numbers[-1])
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, metric.text, labels=labels)
    else:
        family = GaugeMetricFamily(name, metric.text, labels=labels)
    for values, numbers in found.items():
        family.add_metric(list(values), numbers[0])
    return family


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
        server = make_server(host.strip("[]"), int(port), _application(reports, *others), handler_class=_Quiet)
    except OSError as error:
        raise Misconfigured(f"{variable('http_address')}: {address} cannot be used: {error.strerror}") from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    shown = f"{host}:{server.server_port}"
    log.info("metrics and probes are served", extra={"address": f"http://{shown}/metrics"})
    try:
        yield shown
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(WSGIRequestHandler):
    """A request that stalls ends after a few seconds, so that it does not keep others waiting. Nothing is logged."""

    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


def _application(reports: Reports, *others: Collector) -> Callable[[Any, Any], Iterable[bytes]]:
    registry = CollectorRegistry()
    for collector in (_Metrics(reports), *others):
        registry.register(collector)
    metrics = make_wsgi_app(registry)

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            found: Iterable[bytes] = metrics(environ, start_response)
            return found
        if path in ("/livez", "/readyz"):
            problem = _problem(reports(), alive=path == "/livez")
            status = "503 Service Unavailable" if problem else "200 OK"
            return _text(start_response, status, problem or "ok")
        return _text(start_response, "404 Not Found", "there are /metrics, /livez and /readyz")

    return application


def _problem(reports: Mapping[str, Report | None], *, alive: bool) -> str | None:
    """Why a process is not alive (it has reported nothing for half a minute), or not ready (it is not healthy)."""
    now = time.time()
    for name, report in reports.items():
        if report is None:
            return f"{name}: no report yet"
        if now - report.at > FRESH_SECONDS:
            return f"{name}: the last report is {now - report.at:.0f} s old: {report.state}"
        if not alive and not report.healthy:
            return f"{name}: {report.state}"
    return None


def _text(start_response: Any, status: str, text: str) -> Iterable[bytes]:
    body = f"{text}\n".encode(errors="replace")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response(status, headers)
    return [body]
