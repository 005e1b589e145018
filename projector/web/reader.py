"""What the pages read from: Postgres at each request, and in the background the topic and counts over whole tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from projector.errors import BrokerUnavailable, Misconfigured, TopicMissing
from projector.lag import Partition, TopicState, partitions, topic_state
from projector.membership import Groups, notes
from projector.postgres import positions, queries, views_delegations, views_overview
from projector.postgres.connection import Connection, connect
from projector.postgres.read_pool import ReadPool
from projector.postgres.views_overview import Hour
from projector.process.patience import within
from projector.settings import PostgresSettings, Settings
from projector.view_state import Finding, findings
from projector.web.refreshed import Refreshed

_TOPIC_SECONDS = 5.0
_KAFKA_SECONDS = 10.0
_STATS_SECONDS = 60.0
_STATS_TIMEOUT = timedelta(seconds=50)
"""All rows are counted: with ten million this takes seconds."""


class TopicView(NamedTuple):
    """The partitions as `projector status` has them. `kafka_error`: why Kafka's part is missing, if it is.

    `is_kafka_silent`: no broker answers. Else the topic does not exist, or Kafka refuses access. `findings`: what
    `projector status` finds too, what matters most first.
    """

    partitions: list[Partition]
    notes: list[str]
    members: int | None
    kafka_error: str | None
    is_kafka_silent: bool
    cleanup_policy: str | None
    findings: list[Finding]


class Reader:
    """The sources of all pages. `start` begins the background work, `close` ends it.

    `topic` is a few seconds old. `stats` (status → delegations) and `last_day` are up to a minute old, less if they are
    cheap.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._pool = ReadPool(settings)
        is_elsewhere = bool(settings.activity_database_url.get_secret_value())
        self._activity = ReadPool(settings, _open_activity) if is_elsewhere else self._pool
        self.topic = Refreshed("state of the topic", self._read_topic, _TOPIC_SECONDS)
        self.stats = Refreshed("counts by status", self._read_stats, _STATS_SECONDS)
        self.last_day = Refreshed("the last day by hour", self._read_last_day, _STATS_SECONDS)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A read-only connection. Raises DatabaseUnavailable within a second."""
        with self._pool.connection() as conn:
            yield conn

    @contextmanager
    def activity(self) -> Iterator[Connection]:
        """As `connection`, to the database that has the platform's table."""
        with self._activity.connection() as conn:
            yield conn

    @property
    def hides_texts(self) -> bool:
        """Whether no text of an agent is shown."""
        return self.settings.dashboard_texts == "hide"

    def start(self) -> None:
        """Begin to read in the background."""
        self.topic.start()
        self.stats.start()
        self.last_day.start()

    def close(self) -> None:
        """End the background work, and close the connections."""
        self.topic.stop()
        self.stats.stop()
        self.last_day.stop()
        self._pool.close()
        self._activity.close()

    def _read_stats(self) -> dict[str, int]:
        with self._pool.connection(_STATS_TIMEOUT.total_seconds() + 5) as conn:
            return views_delegations.stats(conn, timeout=_STATS_TIMEOUT)

    def _read_last_day(self) -> list[Hour]:
        with self.connection() as conn:
            return views_overview.last_day(conn)

    def _read_topic(self) -> TopicView:
        with self.connection() as conn:
            details = queries.positions(conn, topic=self.settings.topic)
            known = positions.read(conn, self.settings.topic)
        kafka_error, is_silent, state = None, False, TopicState(None, {}, {}, Groups(self.settings.group_id))
        try:
            others = {each.group_id for each in details if each.group_id}
            state = within(_KAFKA_SECONDS, lambda: topic_state(self.settings, known, others))
        except (BrokerUnavailable, Misconfigured) as error:
            kafka_error, is_silent = str(error), not isinstance(error, TopicMissing | Misconfigured)
        except TimeoutError:
            kafka_error, is_silent = f"Kafka did not answer within {_KAFKA_SECONDS:.0f} s", True
        topic, groups, now = self.settings.topic, state.groups, datetime.now(UTC)
        found = partitions(details, state.backlog, at=now, gaps=state.gaps, assigned=groups.assigned(topic))
        return TopicView(
            found,
            notes(topic, details, groups),
            None if groups.ours is None else len(groups.ours.members),
            kafka_error,
            is_silent,
            state.cleanup_policy,
            findings(topic, kafka_error, found, groups, now),
        )


def _open_activity(settings: PostgresSettings) -> Connection:
    return connect(settings, url_setting="activity_database_url")
