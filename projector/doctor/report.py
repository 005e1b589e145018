"""All checks: each server in a thread of its own, then what needs several of them."""

import time
from collections.abc import Iterator, Mapping
from functools import partial

from projector.doctor import activity, kafka, postgres
from projector.doctor.activity import Feed
from projector.doctor.checks import Check, Checks, Part
from projector.doctor.clocks import clocks
from projector.doctor.groups import check_groups
from projector.doctor.kafka import Broker
from projector.doctor.machine import health_file, versions
from projector.doctor.postgres import Database
from projector.doctor.retention import log, partitions, retention
from projector.domain.positions import Position
from projector.lag import topic_state
from projector.settings import Settings

SECONDS = 30.0
"""The time for all checks of one server. No timeout of the clients ends each wait for a server that is frozen."""


def examine(settings: Settings, *, seconds: float = SECONDS) -> list[Check]:
    """Make every check that is possible, within twice these seconds. It changes nothing, and joins no group."""
    database, broker, feed = Database(settings), Broker(settings), Feed(settings)

    def check_database(checks: Checks) -> None:
        database.check(checks)
        if not feed.has_own_database:
            feed.check(checks)

    parts = [
        Part(postgres.NAME, check_database, postgres.REMEDY),
        *([Part(activity.NAME, feed.check, activity.REMEDY)] if feed.has_own_database else []),
        Part(kafka.NAME, broker.check, kafka.REMEDY),
    ]
    until = time.monotonic() + seconds
    made = [check for part in parts for check in part.wait(until)]
    return [*made, *_of_positions(settings, database, broker, seconds), *_of_machine(settings, database, broker)]


def _of_positions(settings: Settings, database: Database, broker: Broker, seconds: float) -> list[Check]:
    """The checks that compare the positions with the group and with the topic."""
    parts = []
    if broker.answers:
        parts.append(Part("consumer group", partial(check_groups, settings, database.claims), kafka.REMEDY))
    if broker.topic is not None and database.positions is not None:
        parts.append(Part("log", partial(_check_log, settings, database.positions, broker), kafka.REMEDY))
    until = time.monotonic() + seconds
    return [check for part in parts for check in part.wait(until)]


def _check_log(settings: Settings, positions: Mapping[int, Position], broker: Broker, checks: Checks) -> None:
    state = topic_state(settings, positions, groups=None)
    checks.append(log(state))
    if broker.configs is not None:
        checks.append(retention(broker.configs, positions.keys(), state, broker.sizes, time.time()))
    if broker.topic is not None:
        checks.append(partitions(positions, broker.topic.partitions, broker.first_timestamps))


def _of_machine(settings: Settings, database: Database, broker: Broker) -> Iterator[Check]:
    readings = [reading for reading in (database.clock, broker.clock) if reading]
    newest = max(broker.newest_timestamps.values(), default=None)
    yield clocks(readings, None if newest is None else newest / 1000)
    yield health_file(settings.health_file)
    yield versions(database.server.version if database.server else None, broker.version)
