"""Errors by reaction: one class for each `except` that exists; what a caller does about it is its docstring."""


class ProjectorError(Exception):
    """Something went wrong that one sentence explains."""


class Unavailable(ProjectorError):
    """A server is away or busy: wait, then try again."""


class BrokerUnavailable(Unavailable):
    """Kafka is away, or its client broke: close the consumer, wait, open another."""


class DatabaseUnavailable(Unavailable):
    """Postgres is away or busy: drop the session, keep polling so that the group keeps us, claim again."""


class WriteConflict(DatabaseUnavailable):
    """Another writer changed a row between our read and our write: roll back and do it again."""


class Fenced(ProjectorError):
    """Another process owns the partition now: drop what was polled and claim again."""


class LogGap(ProjectorError):
    """Records between the position and the log are gone: stop and name the remedy."""


class Misconfigured(ProjectorError):
    """A setting, an argument or the environment is wrong: say which, exit with 2."""


class Unwritable(ProjectorError):
    """The database refuses what the data says: split the batch until the one record is alone, and dead-letter it."""
