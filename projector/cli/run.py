"""`projector run`: one member of the consumer group, or several of them on one machine."""

import argparse
from typing import Any

from projector.kafka.connection import KafkaSettings
from projector.kafka.consumer import GroupConsumer
from projector.kafka.security import security
from projector.postgres.connection import Timeouts
from projector.settings import Settings
from projector.worker.health import Health
from projector.worker.loop import Worker, WorkerSettings
from projector.worker.supervisor import member_file, run_members


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "run",
        parents=[settings],
        help="project the topic into the view until told to stop",
        description="Joins the consumer group and projects what arrives, each record exactly once. Run as many as the "
        "topic has partitions. SIGTERM finishes the batch in hand, leaves the group and exits with 0.",
    )
    parser.add_argument(
        "--members",
        metavar="N",
        type=_at_least_one,
        default=1,
        help="so many members, each a process, under one parent: for a machine with several cores",
    )
    parser.set_defaults(command=run)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    """Run a member, or several, until told to stop."""
    if arguments.members == 1:
        return _run_one(settings)
    return run_members(arguments.members, lambda number: _run_one(_of(settings, number)), settings.health_file)


def _run_one(settings: Settings) -> int:
    Worker(source(settings), worker_settings(settings), Health(settings.health_file)).run()
    return 0


def _of(settings: Settings, number: int) -> Settings:
    """One member's settings: a report of its own, and a name of its own where members have names."""
    own: dict[str, object] = {}
    if settings.health_file:
        own["health_file"] = member_file(settings.health_file, number)
    if settings.group_instance_id:
        own["group_instance_id"] = f"{settings.group_instance_id}-{number}"
    return settings.model_copy(update=own)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, found {text}")
    return int(text)


def source(settings: Settings) -> GroupConsumer:
    """The topic, as the settings say."""
    return GroupConsumer(kafka_settings(settings))


def kafka_settings(settings: Settings) -> KafkaSettings:
    """How to reach the topic."""
    return KafkaSettings(
        bootstrap_servers=settings.bootstrap_servers,
        topic=settings.topic,
        group_id=settings.group_id,
        group_instance_id=settings.group_instance_id,
        session_timeout_ms=settings.session_timeout_ms,
        heartbeat_interval_ms=settings.heartbeat_interval_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        metadata_max_age_ms=settings.metadata_max_age_ms,
        max_partition_fetch_bytes=settings.max_partition_fetch_bytes,
        security=security(settings),
    )


def worker_settings(settings: Settings) -> WorkerSettings:
    """A member's own settings."""
    return WorkerSettings(
        database_url=settings.database_url.get_secret_value(),
        batch_records=settings.batch_records,
        batch_bytes=settings.batch_bytes,
        synchronous_commit=settings.synchronous_commit,
        timeouts=timeouts(settings),
        heartbeat_seconds=settings.heartbeat_interval_ms / 1000,
        poll_within_seconds=settings.max_poll_interval_ms / 3000,
        stalled_after_seconds=settings.stalled_after_seconds,
        summary_seconds=settings.summary_seconds,
        stop_within_seconds=settings.stop_within_seconds,
    )


def timeouts(settings: Settings) -> Timeouts:
    """How long a session may hold things up."""
    return Timeouts(settings.idle_in_transaction_timeout_ms, settings.lock_timeout_ms, settings.statement_timeout_ms)
