"""The target `inbox`: replies become rows of the platform's table `activity_logs`."""

import time
from collections.abc import Iterator, Sequence

from projector.domain.reply import Reply, State
from projector.postgres import outbox_inbox
from projector.postgres.connection import Connection, closed_on_error, connect, transaction
from projector.postgres.outbox_inbox import Sent
from projector.settings import Settings


def is_elsewhere(settings: Settings) -> bool:
    """Whether `activity_logs` is in another database than the outbox."""
    url = settings.activity_database_url.get_secret_value()
    return url not in ("", settings.database_url.get_secret_value())


class Inbox:
    """Inserts replies. In the outbox's database that is a part of the relay's transaction, else one of its own."""

    name = "inbox"

    def __init__(self, settings: Settings, conn: Connection) -> None:
        """`conn`: the relay's session. Raises DatabaseUnavailable; Misconfigured if the table is not writable."""
        self._own = connect(settings, url_setting="activity_database_url") if is_elsewhere(settings) else None
        self._conn = self._own or conn
        with closed_on_error(self._conn):
            outbox_inbox.require_writable(self._conn)
            self._statements = outbox_inbox.statements(self._conn)

    def deliver(self, replies: Sequence[Reply], until: float) -> Iterator[Sent]:
        """Insert the replies, in order. Stops at the time `until` (monotonic): the rest was not tried.

        If the row of one caller takes too long, for example because of a lock, its other rows are not tried now.
        """
        sent: list[Sent] = []
        slow: dict[str, Sent] = {}
        with transaction(self._conn):
            outbox_inbox.check_at_once(self._conn)
            now, told = outbox_inbox.told(self._conn, self._statements, replies)
            for reply in replies:
                if sent and time.monotonic() > until:
                    break
                if reply.delegation_id in told:
                    sent.append(Sent(State.TOLD_BY_PLATFORM))
                    continue
                sent.append(slow.get(reply.caller_id) or outbox_inbox.insert(self._conn, self._statements, reply, now))
                if sent[-1].is_slow:
                    slow[reply.caller_id] = sent[-1]
        return iter(sent)

    def close(self) -> None:
        """Close the session of its own, if there is one."""
        if self._own is not None:
            self._own.close()
