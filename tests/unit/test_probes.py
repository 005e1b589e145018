"""`/metrics`, `/livez` and `/readyz`, over real sockets."""

import errno
import logging
import socket
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress

import pytest
from cluster import wait_until
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from scraping import Scrape, get

from projector.cli import run
from projector.errors import Misconfigured
from projector.settings import Settings
from projector.worker import http
from projector.worker.health import FRESH_SECONDS, Report
from projector.worker.http import serving
from projector.worker.metrics import State

ANY_PORT = "127.0.0.1:0"


def report(*, age: float = 0.0, healthy: bool = True, kind: State = State.WORKING) -> Report:
    return Report(at=time.time() - age, healthy=healthy, state="the sentence", kind=kind)


def working() -> dict[str, Report | None]:
    return {"run": report()}


Kinds = dict[str, tuple[bool, State] | None]
WORKS = (True, State.WORKING)


@pytest.mark.parametrize(
    ("kinds", "alive", "ready"),
    [
        ({}, "ok", "ok"),
        ({"run": WORKS}, "ok", "ok"),
        ({"run": (True, State.IDLE)}, "ok", "ok"),
        ({"run": (True, State.JOINING)}, "ok", "run: the sentence"),
        ({"run": (False, State.WAITING)}, "ok", "run: the sentence"),
        ({"run": None}, "run: no report yet", "run: no report yet"),
        ({"member 1": WORKS, "member 2": None}, "member 2: no report yet", "member 2: no report yet"),
    ],
    ids=["no process", "working", "idle", "joining", "waiting", "started", "one started"],
)
def test_probes_answer_for_every_process(kinds: Kinds, alive: str, ready: str) -> None:
    reports = {name: each and report(healthy=each[0], kind=each[1]) for name, each in kinds.items()}
    with serving(ANY_PORT, lambda: reports) as address:
        assert address
        for path, text in (("/livez", alive), ("/readyz", ready)):
            assert get(address, path)[:2] == (200 if text == "ok" else 503, f"{text}\n")


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_one_hung_process_is_named(path: str) -> None:
    reports = {"member 1": report(), "member 2": report(age=FRESH_SECONDS + 5)}
    with serving(ANY_PORT, lambda: reports) as address:
        assert address
        status, text, _ = get(address, path)
    assert status == 503
    assert text.startswith("member 2: the last report is ")


def test_without_an_address_nothing_listens() -> None:
    with serving(None, dict) as address:
        assert address is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/metrics.txt", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/livez", 405),
    ],
)
def test_other_requests_are_refused(method: str, path: str, status: int) -> None:
    with serving(ANY_PORT, working) as address:
        assert address
        assert get(address, path, method).status == status


@pytest.mark.parametrize("path", ["/livez", "/metrics"])
def test_answer_to_head_has_no_body(path: str) -> None:
    with serving(ANY_PORT, working) as address:
        assert address
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as client, client.makefile("rb") as answer:
            client.sendall(f"HEAD {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = answer.read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200")
    assert body == b""


def test_openmetrics_is_served_to_those_who_ask() -> None:
    with serving(ANY_PORT, working) as address:
        assert address
        assert get(address, "/metrics", Accept="application/openmetrics-text; version=1.0.0").text.endswith("# EOF\n")
        assert Scrape(address).value("healthy", process="run") == 1


def test_silent_client_keeps_no_probe_waiting() -> None:
    with serving(ANY_PORT, working) as address:
        assert address
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as silent:
            silent.sendall(b"GET /metrics HTTP/1.1\r\n")
            assert get(address, "/livez").status == 200
            silent.setblocking(False)
            with pytest.raises(BlockingIOError):  # it is not closed: the answer came before its timeout
                silent.recv(1)


def test_slow_clients_give_way_to_a_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a few of them would make Kubernetes end a process that is well."""
    monkeypatch.setattr(http, "_MOST_CONNECTIONS", 2)
    with serving(ANY_PORT, working) as address, ExitStack() as clients:
        assert address
        host, _, port = address.rpartition(":")
        slow = [clients.enter_context(socket.create_connection((host, int(port)))) for _ in range(6)]
        for each in slow[:2]:
            each.sendall(b"GET /livez HTTP/1.0\r\nX-Slow: ")
        assert get(address, "/livez").status == 200
        assert [each.recv(1) for each in slow[:5]] == [b""] * 5
        slow[5].sendall(b"GET /livez HTTP/1.0\r\n\r\n")
        assert slow[5].recv(12) == b"HTTP/1.0 200"


def test_request_must_come_whole_within_a_time_and_a_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a byte comes."""
    monkeypatch.setattr(http, "_REQUEST_SECONDS", 0.5)
    with serving(ANY_PORT, working) as address:
        assert address
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port))) as dripping:
            dripping.sendall(b"GET /livez HTTP/1.0\r\nX-Slow: ")

            def is_ended() -> bool:
                try:
                    dripping.sendall(b"a")
                except OSError:
                    return True
                return False

            wait_until(is_ended, "the end of a request that never ends")
        with socket.create_connection((host, int(port))) as large, suppress(OSError):
            for _ in range(100):
                large.sendall(b"X-Large: %s\r\n" % (b"a" * 10_000))
            assert large.recv(1) == b""


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text; version=x", "text/plain; version=1.0.0.0; q=\u00fc", ";;,=", "\u00ff"]
)
def test_odd_accept_gets_the_usual_text(accept: str, caplog: pytest.LogCaptureFixture) -> None:
    with serving(ANY_PORT, working) as address:
        assert address
        answer = get(address, "/metrics?name[]=x", Accept=accept)
    assert (answer.status, "projector_healthy" in answer.text) == (200, True)
    assert not caplog.records


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as any_port:
            any_port.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_address_of_ipv6() -> None:
    with serving("[::1]:0", dict) as address:
        assert address
        assert get(address, "/livez").status == 200


@pytest.mark.parametrize("address", ["{taken}", "no-such-host.invalid:9464"])
def test_address_that_cannot_be_used_is_named(address: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = address.format(taken=f"127.0.0.1:{taken.getsockname()[1]}")
        with (
            pytest.raises(Misconfigured, match=f"PROJECTOR_HTTP_ADDRESS: {address} cannot be used"),
            serving(address, dict),
        ):
            pass


def test_error_while_measuring_is_logged_and_the_probes_work(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Collector):
        def collect(self) -> Iterable[Metric]:
            raise ZeroDivisionError

        def describe(self) -> Iterable[Metric]:
            return []

    with serving(ANY_PORT, dict, Broken()) as address:
        assert address
        assert get(address, "/metrics")[:2] == (500, "the log has the error\n")
        assert get(address, "/livez").status == 200
    assert [each.message for each in caplog.records if each.levelno >= logging.ERROR] == ["the request failed"]


def test_processes_without_a_folder_for_their_reports_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with a read-only root."""

    def refuse(prefix: str) -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(run, "mkdtemp", refuse)
    with pytest.raises(Misconfigured, match=r"set PROJECTOR_HEALTH_FILE, or make .* writable: No usable temporary"):
        run.run(Settings(http_address=ANY_PORT), members=2, with_sweep=False, with_push=False)
