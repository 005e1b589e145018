"""One delegation: its row, its records, and whether its caller was told."""

from datetime import datetime
from typing import NamedTuple

from projector.postgres import queries, views_delegations
from projector.postgres.views_delegations import DelegationRow
from projector.web.parameters import BadParameter, Parameters
from projector.web.reader import Reader


class Detail(NamedTuple):
    """What is known of one delegation. `row` is None if the view has no row of this id."""

    as_of: datetime
    delegation_id: str
    row: DelegationRow | None


def detail(reader: Reader, given: Parameters) -> Detail:
    """Read one delegation. Raises BadParameter without an id."""
    delegation_id = given.text("id")
    given.refuse_unknown()
    if delegation_id is None:
        raise BadParameter("id is missing: /delegation?id=…")
    with reader.connection() as conn:
        return Detail(queries.clock(conn), delegation_id, views_delegations.one(conn, delegation_id))
