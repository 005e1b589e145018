"""What the order between partitions may have decided (events/README.md, section 4, on groups).

Kafka orders the records of one partition only. If the records of a group (a delegation, and all that were requested
with its idempotency key) are in several partitions, the view may have been projected in another order than the source
is read.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from projector.contract.facts import TERMINAL, Heartbeat, Report, Verdict
from projector.domain.fold import TranslatedRecord

ORDER_COLUMNS = frozenset({"status", "result_preview", "error_detail", "last_heartbeat", "updated_at"})
"""The columns that the order of events decides."""


class Fact(NamedTuple):
    """What matters of one record. A request with a status is two facts.

    `kind` is `request`, `event` or `verdict`. `status` is a terminal one, and the key that of a request; '' for none.
    """

    delegation_id: str
    topic: str
    partition: int
    kind: str
    status: str
    caller_id: str
    idempotency_key: str


class Undecided(NamedTuple):
    """What the order may have decided for a delegation.

    | field | meaning |
    |---|---|
    | `columns` | ORDER_COLUMNS of a row that both sides have |
    | `presence` | whether it has a row: another delegation was requested with the same idempotency key |
    """

    columns: bool = False
    presence: bool = False


def facts(each: TranslatedRecord) -> Iterator[Fact]:
    """The facts of one record."""
    record, translation = each
    place = (translation.delegation_id, record.topic, record.partition)
    request = translation.request
    if request is not None:
        key = (request.caller_id, request.idempotency_key) if request.idempotency_key else ("", "")
        yield Fact(*place, "request", "", *key)
    yield Fact(*place, *_reported(translation.report), "", "")


def _reported(report: Report) -> tuple[str, str]:
    """The kind of an event, and its terminal status."""
    if isinstance(report, Heartbeat):
        return "event", ""
    return "verdict" if isinstance(report, Verdict) else "event", report.status if report.status in TERMINAL else ""


def undecided(delegation_id: str, group: Collection[Fact]) -> Undecided:
    """What the order may have decided for a delegation, by the facts of its group."""
    if len({(fact.topic, fact.partition) for fact in group}) < 2:
        return Undecided()
    statuses = {fact.status for fact in group if fact.status}
    keys = {(fact.caller_id, fact.idempotency_key) for fact in group if fact.delegation_id == delegation_id}
    others = {(fact.caller_id, fact.idempotency_key) for fact in group if fact.delegation_id != delegation_id}
    return Undecided(
        columns=len(statuses) > 1 or any(fact.kind == "verdict" for fact in group),
        presence=bool(keys & others - {("", "")}),
    )
