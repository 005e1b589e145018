"""Errors by reaction: one class per `except` clause that exists. Each docstring describes what the caller does."""


class ProjectorError(Exception):
    """Something failed, and the message explains it in one sentence: print it and exit with 1."""


class Unavailable(ProjectorError):
    """A server is down or busy: wait, then try again."""


class BrokerUnavailable(Unavailable):
    """Kafka is unavailable, or its client is broken: close the consumer, wait, create another one."""


class TopicMissing(BrokerUnavailable):
    """Kafka answers, and has no such topic: `run` waits for it; other commands exit with 2."""


class DatabaseUnavailable(Unavailable):
    """Postgres is unavailable or busy: close the connection, keep polling to stay in the group, claim again."""


class LoginRefused(DatabaseUnavailable):
    """Postgres refuses the login: `run` waits, since an administrator may repair it; other commands exit with 2."""


class TruthAway(DatabaseUnavailable):
    """The platform's table cannot be asked: judge nobody, since the view alone does not decide."""


class WriteConflict(DatabaseUnavailable):
    """Another writer changed a row between our read and our write: roll back and repeat the batch."""


class StatementTimeout(DatabaseUnavailable):
    """A statement took longer than it may: write fewer records at once. Another statement: as its base class."""


class TooManyParked(StatementTimeout):
    """The requests of a batch have more parked events than fit in memory: write fewer records at once."""


class RecordTooSlow(StatementTimeout):
    """Postgres cannot write a single record in time: leave its partition for a while, and continue with the others."""

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        super().__init__(
            f"Postgres does not write the record at offset {offset} of partition {partition} of topic {topic} within "
            f"PROJECTOR_STATEMENT_TIMEOUT_MS: {reason}. Find what slows it down (a lock, a trigger, a disk), or raise "
            "the setting"
        )
        self.topic = topic
        self.partition = partition
        self.offset = offset


class BatchUnfinished(ProjectorError):
    """A batch needs more time than its member may spend between two polls: poll, then claim again."""


class Fenced(ProjectorError):
    """Another process owns the partition now: drop what was polled and claim again."""


class LogGap(ProjectorError):
    """Records between the position and the partition's first offset are gone: stop and print the remedy."""

    REMEDY = (
        "`projector rebuild --from activity-logs` repairs it: it restores from the platform's table what the topic "
        "lost, and lets the projector continue at the beginning of the topic"
    )

    def __init__(self, gap: str, remedy: str = REMEDY) -> None:
        """`gap`: what is lost, without a full stop."""
        super().__init__(f"{gap}. {remedy}")


class Misconfigured(ProjectorError):
    """A setting, an argument or the environment is wrong: name it and exit with 2."""


class NothingFound(ProjectorError):
    """What was named does not exist: name it and exit with 6."""


class Unwritable(ProjectorError):
    """Postgres refuses the content of a record: split the batch until it is alone, then keep it as a dead letter."""
