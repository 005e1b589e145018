"""How long until the overview says that Postgres, Kafka or the members do not run. On small servers of its own."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.dashboard import Dashboard, dashboard
from benchmarks.environment import Environment, create_topic
from benchmarks.measurement import Failed
from benchmarks.projecting import Command, running
from testbed.servers.start import Kafka, Postgres, start_kafka, start_postgres

_TOPIC = "outages"
_GROUP = "outages"
_EVERY_SECONDS = 0.1
_TIMEOUT_SECONDS = 60.0
_NO_MEMBER = b"No member runs"


class Outage(NamedTuple):
    """`seconds` until the overview said so, and until it said that all is well again. `slowest`: of its answers."""

    name: str
    goal: str
    seconds: float
    slowest: float
    recovered: float | None


class Place(NamedTuple):
    """Both servers, a dashboard, and the member that runs."""

    postgres: Postgres
    kafka: Kafka
    shown: Dashboard
    environment: Environment
    url: str


def outages(folder: Path) -> Iterator[Outage]:
    """Yield each outage, after it is over. Raises Failed if the overview does not say so within a minute."""
    with _place(folder) as place:
        with _member(place):
            _until(place, is_calm)
            for name, goal, begin, end, said in _of_servers(place):
                seconds, slowest = _until(place, said, begin)
                end()
                recovered, _ = _until(place, is_calm)
                yield Outage(name, goal, seconds, slowest, recovered)
        for name, goal, is_killed in (("the member stopped", "≤ 10", False), ("the member killed", "≤ 20", True)):
            with _member(place) as member:
                _until(place, is_calm)
                end_member = member.process.kill if is_killed else member.process.terminate
                seconds, slowest = _until(place, lambda _, body: _NO_MEMBER in body, end_member)
                member.process.wait()
                yield Outage(name, goal, seconds, slowest, None)


Said = Callable[[int, bytes], bool]


def is_calm(status: int, body: bytes) -> bool:
    """Whether the overview says that all is well, and knows it: the state of the topic has just been read."""
    is_known = b"The view has every record of the log." in body and b"The state of the topic is" not in body
    return status == 200 and is_known and _NO_MEMBER not in body


def _of_servers(place: Place) -> Iterator[tuple[str, str, Callable[[], object], Callable[[], object], Said]]:
    def without_postgres(status: int, body: bytes) -> bool:
        return status == 503 and (b"Postgres" in body or b"PROJECTOR_DATABASE_URL" in body)

    def without_kafka(status: int, body: bytes) -> bool:
        return b"Kafka does not answer" in body

    postgres, kafka = place.postgres, place.kafka
    yield "Postgres stopped", "≤ 2", lambda: postgres.stop("immediate"), postgres.start, without_postgres
    yield "Postgres frozen", "≤ 5", postgres.pause, postgres.resume, without_postgres
    yield "Kafka killed", "≤ 20", kafka.kill, kafka.start, without_kafka
    yield "Kafka frozen", "≤ 30", kafka.pause, kafka.resume, without_kafka


def _until(place: Place, said: Said, begin: Callable[[], object] = lambda: None) -> tuple[float, float]:
    """Call `begin`, and load the overview until it says so; returns the seconds, and those of the slowest answer."""
    began_at, slowest = time.monotonic(), 0.0
    begin()
    with place.shown.client() as client:
        while True:
            try:
                answer = client.get("/")
            except TimeoutError:
                raise Failed(f"after {_TIMEOUT_SECONDS:.0f} s the overview has not answered") from None
            slowest = max(slowest, answer.seconds)
            if said(answer.status, answer.body):
                return time.monotonic() - began_at, slowest
            if time.monotonic() > began_at + _TIMEOUT_SECONDS:
                raise Failed(f"after {_TIMEOUT_SECONDS:.0f} s the overview says {answer.status}: {answer.text}")
            time.sleep(_EVERY_SECONDS)


@contextmanager
def _member(place: Place) -> Iterator[Command]:
    with running(place.environment, place.url, group=_GROUP) as member:
        member.wait_for_log("partition claimed")
        yield member


@contextmanager
def _place(folder: Path) -> Iterator[Place]:
    folder.mkdir()
    folder.chmod(0o755)  # the server runs as another user
    with ExitStack() as stack:
        postgres = stack.enter_context(start_postgres(folder, own=True))
        kafka = stack.enter_context(start_kafka(folder, own=True))
        create_topic(kafka.bootstrap_servers, _TOPIC)
        environment = Environment(kafka.bootstrap_servers, postgres.url, _TOPIC, 0, 0, 0, 0)
        url = environment.create_database()
        yield Place(postgres, kafka, stack.enter_context(dashboard(environment, url, _GROUP)), environment, url)
