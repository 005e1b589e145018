"""The relay: it sends what is due, once or until a signal stops it. Several relays share the work."""

import logging
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import NamedTuple

from projector.domain.reply import NO_TEXT_DELAY, TEXT_DELAY, State
from projector.errors import DatabaseUnavailable, Misconfigured, Unavailable
from projector.postgres import outbox, queries
from projector.postgres.connection import Connection, mapped_errors, open_view, transaction
from projector.postgres.passes import Passes
from projector.postgres.push import switch_on
from projector.process.backoff import Backoff
from projector.process.shutdown import Shutdown
from projector.push.batch import Batch, Target, Unconfirmed, send_batch
from projector.push.inbox import Inbox
from projector.push.measures import Measures
from projector.push.topic import ReplyTopic
from projector.settings import Settings
from projector.worker import metrics
from projector.worker.health import Health
from projector.worker.http import serving

log = logging.getLogger(__name__)

_DONE = 0
_REPORT_SECONDS = 1.0
_REMEMBER_SECONDS = 60.0
"""A pass that sent nothing is remembered only so often."""
_LOCK_TIMEOUT_MS = 1_000
"""A lock that one reply waits for must not delay the others."""


class Pass(NamedTuple):
    """How the replies of a pass ended, and how many are due later. `retried_later` failed and are tried again."""

    sent: int
    told_by_platform: int
    given_up: int
    expired: int
    retried_later: int
    due_later: int
    seconds: float


class Relay:
    """One session with the outbox, and one with the target. Opened when it is needed, and again after an outage."""

    def __init__(
        self,
        settings: Settings,
        tick: Callable[[], object] = lambda: None,
        on_batch: Callable[[Batch], object] = lambda batch: None,
    ) -> None:
        """`tick` is called before each batch, `on_batch` after it. Raises Misconfigured if the push is off."""
        if not settings.pushes:
            raise Misconfigured("PROJECTOR_RESULT_PUSH is off: set it to inbox or topic, for `projector run` too")
        # A batch sends for a third of the time after which Postgres ends an idle transaction. Its last statement may
        # take another third. Then it is marked.
        self._seconds = settings.idle_in_transaction_timeout_ms / 3000
        self._settings = settings.model_copy(
            update={
                "lock_timeout_ms": min(settings.lock_timeout_ms, _LOCK_TIMEOUT_MS),
                "statement_timeout_ms": min(settings.statement_timeout_ms, int(self._seconds * 1000)),
            }
        )
        self._tick, self._on_batch = tick, on_batch
        self._max_age = timedelta(seconds=settings.push_max_age_seconds)
        self._conn: Connection | None = None
        self._target: Target | None = None
        self._passes, self._remember_at = Passes("push"), 0.0
        self.shutdown = Shutdown(settings.stop_within_seconds)

    def send_due(self) -> Pass:
        """Send what is due now. Raises Unavailable, Misconfigured: then close it."""
        began_at, ended = time.monotonic(), Counter[State]()
        conn, target = self._open()
        with mapped_errors():
            outbox.make_due(conn, text_delay=TEXT_DELAY, no_text_delay=NO_TEXT_DELAY)
        until = queries.clock(conn)
        while not self.shutdown.requested:
            self._tick()
            try:
                batch = send_batch(conn, target, until=until, max_age=self._max_age, seconds=self._seconds)
            except Unconfirmed as unconfirmed:
                batch = self._look_up(unconfirmed)
                conn, target = self._open()
            ended += batch.states
            _log(batch)
            self._on_batch(batch)
            if batch.is_last:
                break
        with mapped_errors():
            later = outbox.waiting(conn)
        done = Pass(
            sent=ended[State.SENT],
            told_by_platform=ended[State.TOLD_BY_PLATFORM],
            given_up=ended[State.GIVEN_UP],
            expired=ended[State.EXPIRED],
            retried_later=ended[State.DUE],
            due_later=max(0, later - ended[State.DUE]),
            seconds=time.monotonic() - began_at,
        )
        if ended or time.monotonic() >= self._remember_at:
            self._remember_at = time.monotonic() + _REMEMBER_SECONDS
            self._passes.remember(conn, started_at=until, result=done._asdict())
        return done

    def _open(self) -> tuple[Connection, Target]:
        if self._conn is None:
            self._conn = open_view(self._settings)
        if self._target is None:
            self._target = self._open_target(self._conn)
            switch_on(self._conn, self._settings.topic)  # only with a target that can be reached
        return self._conn, self._target

    def _open_target(self, conn: Connection) -> Target:
        if self._settings.result_push == "topic":
            return ReplyTopic(self._settings, conn, self._seconds)
        return Inbox(self._settings, conn)

    def _look_up(self, unconfirmed: Unconfirmed) -> Batch:
        """What became of a batch whose COMMIT was not answered. Raises Unavailable if Postgres does not say it."""
        self.close()
        if not isinstance(unconfirmed.__cause__, DatabaseUnavailable):
            raise unconfirmed.__cause__ or unconfirmed
        conn, _ = self._open()
        batch = unconfirmed.batch
        with transaction(conn):
            found = outbox.states(conn, [mark.delegation_id for mark in batch.marks])
        committed = [mark for mark in batch.marks if found.get(mark.delegation_id) is mark.state is not State.DUE]
        return batch._replace(marks=committed)

    def close(self) -> None:
        """Close both sessions."""
        target, self._target = self._target, None
        conn, self._conn = self._conn, None
        try:
            if target is not None:
                target.close()
        finally:
            if conn is not None:
                conn.close()


def once(settings: Settings) -> Pass:
    """Send what is due now. Raises Unavailable, Misconfigured."""
    relay = Relay(settings)
    try:
        return relay.send_due()
    finally:
        relay.close()


def run(settings: Settings) -> int:
    """Send what is due until a signal. Waits for servers that do not answer. Returns the exit code."""
    return _Loop(settings).run()


class _Loop:
    def __init__(self, settings: Settings) -> None:
        self._health = Health(settings.health_file)
        self._measures = Measures(self._health.meters, settings.result_push)
        self._relay = Relay(settings, self._report, self._measures.sent)
        self._shutdown = self._relay.shutdown
        self._target = settings.result_push
        self._interval_seconds = settings.push_interval_seconds
        self._http_address = settings.http_address
        self._backoff = Backoff()
        self._problem: str | None = None
        self._report_at = 0.0

    def run(self) -> int:
        log.info("relay started", extra={"target": self._target})
        state = "stopped"
        with self._shutdown.listening(), serving(self._http_address, lambda: {"push": self._health.latest}):
            try:
                while not self._shutdown.requested:
                    self._wait(self._pass())
            except Exception as error:
                state = f"stopped: {error}"
                raise
            finally:
                self._shutdown.begin_grace()
                self._relay.close()
                self._health.report(healthy=False, state=state, kind=metrics.State.STOPPED)
                self._shutdown.completed()
        log.info("relay stopped")
        return _DONE

    def _pass(self) -> float:
        """Send what is due. Returns how long to wait, in seconds."""
        try:
            self._relay.send_due()
            self._measures.passed()
        except Unavailable as error:
            self._relay.close()
            if self._problem is None:
                log.warning("the relay waits", extra={"reason": str(error)})
            self._problem = str(error)
            return self._backoff.failed()
        if self._problem is not None:
            log.info("the relay continues")
        self._problem = None
        self._backoff.succeeded()
        return self._interval_seconds

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._shutdown.requested and (left := until - time.monotonic()) > 0:
            self._report()
            self._shutdown.sleep(min(left, _REPORT_SECONDS))

    def _report(self) -> None:
        """Write the health report, at most once per second."""
        if time.monotonic() >= self._report_at:
            self._report_at = time.monotonic() + _REPORT_SECONDS
            state, kind = "sending replies", metrics.State.WORKING
            if self._problem:
                state, kind = f"the relay waits: {self._problem}", metrics.State.WAITING
            self._health.report(healthy=self._problem is None, state=state, kind=kind)


def _log(batch: Batch) -> None:
    """One line about a batch, and one for each state that needs a person, with the first reply in it."""
    if not batch.marks:
        return
    counts = {"retried_later" if state is State.DUE else str(state): count for state, count in batch.states.items()}
    log.info("replies", extra=counts)
    for state in (State.GIVEN_UP, State.EXPIRED):
        marks = [mark for mark in batch.marks if mark.state is state]
        if marks:
            fields = {"state": str(state), "replies": len(marks), "delegation_id": marks[0].delegation_id}
            log.warning("replies were not sent", extra={**fields, "reason": marks[0].error})
