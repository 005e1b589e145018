"""The owners of the positions that this member lost: other members of its group, or members of a second group."""

import logging
import time
from collections.abc import Collection
from uuid import UUID

from projector.errors import ProjectorError
from projector.membership import two_groups
from projector.postgres import positions
from projector.postgres.connection import Connection, transaction
from projector.postgres.positions import Owner
from projector.texts import plural

log = logging.getLogger(__name__)

_REMEMBERED_SECONDS = 60.0


class Owners:
    """Explains why this member was fenced. A second group stays in the health report for a minute."""

    def __init__(self, topic: str, group_id: str, token: UUID) -> None:
        self._topic = topic
        self._group_id = group_id
        self._token = token
        self._sentence = ""
        self._until = 0.0

    @property
    def sentences(self) -> list[str]:
        """The sentence about a second group, while it takes positions from this member."""
        return [self._sentence] if time.monotonic() < self._until else []

    def explain(self, conn: Connection | None, read: Collection[int]) -> str | None:
        """Who owns the partitions that this member has read. None if that is unknown or nothing was lost."""
        if conn is None:
            return None
        try:
            with transaction(conn):
                owners = positions.owners(conn, self._topic)
        except ProjectorError as error:
            log.debug("the owners of the positions are unknown", extra={"reason": str(error)})
            return None
        lost = {partition: owners.get(partition) for partition in read}
        return self._explain({number: owner for number, owner in lost.items() if not self._is_ours(owner)})

    def _is_ours(self, owner: Owner | None) -> bool:
        return owner is not None and owner.token == self._token

    def _explain(self, lost: dict[int, Owner | None]) -> str | None:
        others = [owner for owner in lost.values() if owner and owner.group_id not in (self._group_id, None)]
        if others:
            theirs = str(others[0].group_id)
            members = [owner.member for owner in others if owner.group_id == theirs]
            self._sentence = two_groups(self._group_id, theirs, members)
            self._until = time.monotonic() + _REMEMBERED_SECONDS
            return self._sentence
        members = sorted({owner.member for owner in lost.values() if owner})
        numbers = f"{plural(len(lost), 'partition')} {', '.join(map(str, sorted(lost)))}"
        if members:
            return f"{numbers}: claimed by {', '.join(members)} of the same group"
        return f"{numbers}: moved by `projector rebuild`, or by hand" if lost else None
