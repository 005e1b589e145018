"""Outages in the log: each reason once, and in the health report: always the last one."""

import logging
from pathlib import Path

import pytest

from projector.errors import DatabaseUnavailable, ProjectorError
from projector.worker.health import Health, check
from projector.worker.outages import Outages


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def lines(logged: pytest.LogCaptureFixture) -> list[tuple[str, str | None]]:
    return [(entry.message, entry.__dict__.get("reason")) for entry in logged.records]


def begin(outages: Outages, *reasons: str, server: str = "Postgres") -> None:
    for reason in reasons:
        outages.begin(server, DatabaseUnavailable(reason))


def test_changed_reason_is_logged(logged: pytest.LogCaptureFixture) -> None:
    outages = Outages(Health(None))
    begin(outages, "Connection refused", "Connection refused", "password authentication failed")
    assert lines(logged) == [
        ("waiting for Postgres", "Connection refused"),
        ("still waiting for Postgres", "password authentication failed"),
    ]


def test_alternating_reasons_are_logged_once_each(logged: pytest.LogCaptureFixture) -> None:
    begin(Outages(Health(None)), *["Connection refused", "starting up"] * 50)
    assert len(logged.records) == 2


def test_reasons_that_differ_in_numbers_are_one(logged: pytest.LogCaptureFixture) -> None:
    begin(Outages(Health(None)), *[f'server at "10.0.0.{n}", port {n} failed after {n}.5s' for n in range(50)])
    assert len(logged.records) == 1


def test_number_of_logged_reasons_is_limited(logged: pytest.LogCaptureFixture) -> None:
    begin(Outages(Health(None)), *["x" * n for n in range(1, 100)])
    assert len(logged.records) == 20


def test_next_outage_logs_its_reason_again(logged: pytest.LogCaptureFixture) -> None:
    outages = Outages(Health(None))
    for _ in range(2):
        begin(outages, "Connection refused")
        outages.end("Postgres")
        outages.end("Postgres")
    assert [message for message, _ in lines(logged)] == ["waiting for Postgres", "Postgres is back"] * 2


def test_report_names_every_open_outage(tmp_path: Path) -> None:
    file = tmp_path / "health"
    outages = Outages(Health(file))
    outages.report()
    assert not file.exists()
    begin(outages, "Connection refused", "starting up")
    begin(outages, "no answer", server="Kafka")
    with pytest.raises(ProjectorError, match="waiting for Postgres: starting up; waiting for Kafka: no answer"):
        check(file)
