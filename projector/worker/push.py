"""Whether a member queues the results of the delegations that end (docs/pushing.md)."""

import logging

from projector.postgres.connection import Connection
from projector.postgres.push import switch_on, switched_on_at, warn_if_off
from projector.postgres.write_batch import prepare
from projector.settings import Settings

log = logging.getLogger(__name__)


class Push:
    """Prepares the sessions of a member. The first one with the setting switches the push of the topic on."""

    def __init__(self, settings: Settings) -> None:
        self._pushes = settings.pushes
        self._deadline_grace_seconds = settings.deadline_grace_seconds
        self._topic = settings.topic
        self._has_warned = False

    def prepare(self, conn: Connection) -> None:
        """Prepare a session for batches. Raises DatabaseUnavailable."""
        prepare(conn, push=self._pushes, deadline_grace_seconds=self._deadline_grace_seconds)
        if self._pushes:
            switch_on(conn, self._topic)
            warn_if_off(conn, self._topic)
        elif not self._has_warned and switched_on_at(conn, self._topic) is not None:
            self._has_warned = True
            log.warning(
                "results of this topic are pushed, and this member queues none of them, because PROJECTOR_RESULT_PUSH "
                "is off: `projector push missing` lists them",
                extra={"topic": self._topic},
            )
