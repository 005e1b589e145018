"""One slice of the latency measurement: a contender under a steady load on a topic and a database of its own."""

import secrets
import time
from contextlib import closing
from typing import Any, NamedTuple

import psycopg
from kafka import KafkaAdminClient

from benchmarks.environment import Environment, Servers
from benchmarks.load import Load, Sent, number_at, prepare, send
from benchmarks.measurement import Failed
from benchmarks.processor import processor_seconds
from benchmarks.steady import Steady
from benchmarks.visibility import INDEX, Sampler, summary, visible_times

BACKLOG = 2_000, 20_000
"""The least and the most events before the slice. A contender catches up on 20 s of events, while Java compiles."""
WARM_UP_SECONDS = 3.0
START_TIMEOUT_SECONDS = 60.0
BEHIND_SECONDS = 30.0

Slice = dict[str, float]


class Bench(NamedTuple):
    """Both servers, and a process of its own that sends, so that it does not wait for the sampler."""

    servers: Servers
    sender: Any

    def measure(self, contender: Steady, rate: int, interval: float, seconds: float) -> Slice:
        """Return the figures of one slice, times in ms. Raises NotMeasured, Behind and Failed."""
        servers, topic = self.servers, f"steady-{secrets.token_hex(4)}"
        environment = Environment(*servers, topic, 0, 0, 0, 0)
        backlog = max(BACKLOG[0], min(BACKLOG[1], 20 * rate))
        warm_up, measured = round(rate * WARM_UP_SECONDS), round(rate * seconds)
        load = Load(servers.bootstrap_servers, topic, rate, backlog, warm_up, measured)
        url = environment.create_database()
        try:
            with psycopg.connect(url, autocommit=True) as conn:
                conn.execute(INDEX)
                expected = self.sender.apply(prepare, (load, contender.folded))
                with contender.start(environment, url, interval) as process:
                    sampler = Sampler(conn, process.raise_if_ended)
                    result = self._under_load(load, contender.folded, sampler, process.pid)
                _require_equal(conn, expected)
                return result
        finally:
            environment.drop_database(url)
            with closing(KafkaAdminClient(bootstrap_servers=servers.bootstrap_servers)) as admin:
                admin.delete_topics([topic])

    def _under_load(self, load: Load, fold: bool, sampler: Sampler, pid: int) -> Slice:
        sampler.until_visible(load.backlog, deadline=time.monotonic() + START_TIMEOUT_SECONDS)
        sampler.samples.clear()
        begin = time.monotonic() + 0.5
        end = begin + (load.warm_up + load.measured) / load.rate
        sending = self.sender.apply_async(send, (load, fold, begin))
        try:
            sampler.until(begin + load.warm_up / load.rate)
            before = processor_seconds(pid)
            sampler.until(end)
            sampler.until_visible(load.events, deadline=end + BEHIND_SECONDS)
            used = processor_seconds(pid) - before
        finally:
            sending.wait()  # it still needs the topic
        sent: Sent = sending.get()
        visible = visible_times(sampler.samples, load.backlog, load.events)
        return {**summary(sent, visible, load.warm_up, sampler.samples), "processor_seconds": used}


def _require_equal(conn: psycopg.Connection[Any], expected: dict[str, tuple[str, int]]) -> None:
    """Raises Failed unless each row has the status and the time of its delegation's last event."""
    rows = conn.execute("SELECT delegation_id, status, updated_at FROM public.delegations").fetchall()
    found = {delegation_id: (status, number_at(at)) for delegation_id, status, at in rows}
    if found != expected:
        wrong = [each for each in expected.keys() | found.keys() if expected.get(each) != found.get(each)]
        first = min(wrong)
        raise Failed(
            f"WRONG: {len(wrong):,} of {len(expected):,} rows, such as {first}: "
            f"expected {expected.get(first)}, found {found.get(first)}"
        )
