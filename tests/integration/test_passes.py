"""The passes that the dashboard shows: what cannot be remembered stops no server."""

import logging
from collections.abc import Iterator

import psycopg
import pytest
from relaying import Relaying, passed, push_settings
from sweeping import platform
from topics import create_topic

from projector.push.relay import Relay
from projector.settings import Settings
from projector.sweep.one_pass import Mode
from projector.sweep.report import Skipped
from projector.sweep.sweeper import Sweeper

NOT_SHOWN = "the dashboard will not show this pass"


@pytest.fixture
def without_passes(database_url: str) -> Iterator[None]:
    """As for a role without rights on it: Postgres refuses the statement."""
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("ALTER TABLE projector.passes RENAME TO not_these")
        yield
        conn.execute("ALTER TABLE projector.not_these RENAME TO passes")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.usefixtures("without_passes")
def test_relay_sends_on(inbox_url: str, relaying: Relaying, caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(push_settings(inbox_url))
    try:
        for name in ("d-1", "d-2", "d-3"):
            relaying.answered(name)
            assert relay.send_due()._replace(seconds=0) == passed(sent=1)
    finally:
        relay.close()
    assert warnings(caplog) == [NOT_SHOWN]


@pytest.mark.usefixtures("without_passes")
def test_sweeper_sweeps_on(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    with platform(database_url) as it, Sweeper(Settings(database_url=database_url), Mode(writes=True)) as sweeper:
        it.is_alive().both(it.request(), it.beat(minutes=20))
        assert sum(sweeper.sweep().written.values()) == 1
        assert sweeper.sweep().repeated == 1
    assert warnings(caplog) == [NOT_SHOWN]


def test_dry_run_writes_no_pass_even_if_the_view_is_behind(database_url: str, kafka: str) -> None:
    settings = Settings(database_url=database_url, bootstrap_servers=kafka, topic=create_topic(kafka))
    with platform(database_url) as it:
        it.conn.execute(
            """
            INSERT INTO positions (topic, topic_id, partition, next_offset, moved_at)
            VALUES (%s, 'of a topic that was deleted', 0, 1, now())
            """,
            [settings.topic],
        )
        for writes, passes in ((False, 0), (True, 1)):
            with Sweeper(settings, Mode(writes=writes)) as sweeper:
                assert sweeper.sweep().skipped is Skipped.BEHIND
            assert it.conn.execute("SELECT count(*) FROM passes").fetchone() == (passes,)
