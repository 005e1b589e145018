"""The sentences of the first page: which are said, how they are meant, and what an operator may type."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from lagging import MEMBER, NOW, TOPIC, group, partition

from projector.lag import Partition
from projector.membership import Groups
from projector.postgres.passes import FinishedPass
from projector.postgres.views_overview import Leftovers
from projector.view_state import findings
from projector.web.condition import Facts, Level, Sentence, condition
from projector.web.reader import TopicView
from projector.web.refreshed import Snapshot

CALM = Leftovers(dead_letters=0, parked=0, unsent=None, given_up=0)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def topic(
    *partitions: Partition,
    groups: Groups | None = None,
    kafka_error: str | None = None,
    is_kafka_silent: bool = False,
    age: float = 2,
    error: str | None = None,
) -> Snapshot[TopicView]:
    held = list(partitions or [partition()])
    found = findings(TOPIC, kafka_error, held, groups or group(MEMBER), NOW)
    return Snapshot(TopicView(held, [], None, kafka_error, is_kafka_silent, "delete", found), ago(age), error)


def finished(kind: str, age: float, **result: Any) -> dict[str, FinishedPass]:
    return {kind: FinishedPass(kind, ago(age + 1), ago(age), result)}


def said(**fields: Any) -> dict[str, Sentence]:
    usual: dict[str, Any] = {
        "topic": topic(),
        "passes": {},
        "in_flight": 1,
        "leftovers": CALM,
        "sweep_interval_seconds": 60.0,
    }
    return {each.text: each for each in condition(Facts(now=NOW, **usual | fields))}


def test_calm_view_has_no_warning() -> None:
    passes = finished("sweep", 31) | finished("verify", 3600, drift=0) | finished("proved", 3600, drift=0)
    found = said(passes=passes, leftovers=CALM._replace(unsent=0))
    assert list(found) == [
        "The view has every record of the log.",
        "The last record is 4.0 s old.",
        "The sweeper passed 31 s ago.",
        "0 results unsent for over a minute.",
        "The view was last proved equal to the log 1 h 0 min ago.",
    ]
    assert {each.level for each in found.values()} == {Level.GOOD}


@pytest.mark.parametrize(
    ("fields", "text", "level", "command"),
    [
        ({"topic": Snapshot()}, "The topic was not read yet.", Level.WARNING, "projector status"),
        ({"topic": topic(age=31)}, "The state of the topic is 31 s old.", Level.BAD, "projector status"),
        ({"topic": topic(error="x")}, "The state of the topic is 2.0 s old.", Level.BAD, "projector status"),
        (
            {"topic": topic(kafka_error="x", is_kafka_silent=True)},
            "Kafka does not answer, so the lag is unknown.",
            Level.BAD,
            "projector status",
        ),
        (
            {"topic": topic(kafka_error="x")},
            "The topic cannot be read, so the lag is unknown.",
            Level.BAD,
            "projector status",
        ),
        ({"topic": topic(groups=group())}, "No member runs: nothing is projected.", Level.BAD, "projector run"),
        (
            {"topic": topic(partition(3, gap="a gap", lag=None))},
            "Partition 3 stands at a gap of the log.",
            Level.BAD,
            "projector status",
        ),
        (
            {"topic": topic(partition(4, lost_records=7))},
            "Partition 4 stands at a gap of the log.",
            Level.BAD,
            "projector status",
        ),
        (
            {"topic": topic(*(partition(number, lag=1, seconds=11, moved_at=None) for number in (1, 2)))},
            "Partitions 1, 2 stand still.",
            Level.BAD,
            "projector status",
        ),
        (
            {"topic": topic(partition(lag=None))},
            "The lag of some partitions is unknown.",
            Level.BAD,
            "projector status",
        ),
        (
            {"topic": topic(partition(lag=1, seconds=2.0), partition(1, lag=4, seconds=60.0))},
            "The view is 1 min 0 s behind the log (5 records).",
            Level.GOOD,
            None,
        ),
        (
            {"topic": topic(partition(lag=1, seconds=61.0))},
            "The view is 1 min 1 s behind the log (1 record).",
            Level.BAD,
            None,
        ),
        ({"topic": topic(partition(record_at=ago(601)))}, "The last record is 10 min 1 s old.", Level.WARNING, None),
        (
            {"topic": topic(partition(record_at=ago(601))), "in_flight": 0},
            "The last record is 10 min 1 s old.",
            Level.GOOD,
            None,
        ),
        ({}, "The sweeper has not run.", Level.NOTE, "projector sweep --once --dry-run"),
        (
            {"passes": finished("sweep", 301)},
            "The sweeper passed 5 min 1 s ago.",
            Level.WARNING,
            "projector sweep --once --dry-run",
        ),
        (
            {"passes": finished("sweep", 5, skipped="behind", held=0)},
            "The sweeper passed 5.0 s ago, but skipped: behind.",
            Level.WARNING,
            "projector sweep --once --dry-run",
        ),
        (
            {"passes": finished("sweep", 5, skipped=None, held=30)},
            "The sweeper passed 5.0 s ago, and held back 30 verdicts.",
            Level.WARNING,
            "projector sweep --once --dry-run",
        ),
        ({}, "Results are not pushed.", Level.NOTE, None),
        (
            {"leftovers": CALM._replace(unsent=2, given_up=1)},
            "2 results unsent for over a minute.",
            Level.WARNING,
            "projector push list",
        ),
        (
            {"leftovers": CALM._replace(unsent=0, given_up=1)},
            "1 result given up.",
            Level.WARNING,
            "projector push list --state given_up",
        ),
        ({}, "The view was not compared with the log yet.", Level.NOTE, "projector verify"),
        (
            {"passes": finished("verify", 60, drift=2) | finished("proved", 90, drift=0)},
            "2 rows differed from the log 1 min 0 s ago.",
            Level.BAD,
            "projector rebuild --dry-run",
        ),
        (
            {"passes": finished("verify", 60, drift=2) | finished("proved", 30, drift=0)},
            "The view was last proved equal to the log 30 s ago.",
            Level.GOOD,
            "projector verify",
        ),
        (
            {"passes": finished("proved", 37 * 3600, drift=0)},
            "The view was last proved equal to the log 1 d 13 h ago.",
            Level.WARNING,
            "projector verify",
        ),
        (
            {"leftovers": CALM._replace(dead_letters=12)},
            "12 dead letters kept.",
            Level.WARNING,
            "projector dead-letters list",
        ),
        ({"leftovers": CALM._replace(parked=1)}, "1 event parked.", Level.NOTE, "projector parked list"),
    ],
)
def test_sentence_says_what_is_wrong(fields: dict[str, Any], text: str, level: Level, command: str | None) -> None:
    found = said(**fields)
    assert text in found, list(found)
    assert (found[text].level, found[text].command) == (level, command)


def test_cause_is_beside_its_sentence() -> None:
    found = said(topic=topic(kafka_error="no route to host", is_kafka_silent=True))
    assert next(iter(found.values())).detail == "no route to host"
    assert not [text for text in found if "every record" in text]


def test_what_matters_most_is_said_first() -> None:
    """The first sentence is the heading of the page."""
    gap = partition(2, gap="a gap", lag=None)
    assert next(iter(said(topic=topic(gap)))) == "Partition 2 stands at a gap of the log."
    assert next(iter(said(topic=topic(groups=group())))) == "No member runs: nothing is projected."


@pytest.mark.parametrize("seconds", [-5, 0])
def test_clock_that_is_ahead_gives_no_negative_age(seconds: float) -> None:
    found = said(topic=topic(partition(record_at=ago(seconds)), age=seconds), passes=finished("sweep", seconds))
    assert not [text for text in found if "-" in text]
