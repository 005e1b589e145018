"""Whether the order between partitions can have decided a row (events/README.md, section 4, on groups)."""

from projector.contract.facts import TERMINAL, Heartbeat, Verdict
from projector.contract.translate import Translation
from projector.domain.lifecycle import Delegation, changed_columns
from projector.explain.search import Search

_DECIDED_BY_ORDER = {"status", "last_heartbeat", "result_preview", "error_detail", "updated_at"}


def is_order_decisive(search: Search, stored: Delegation | None, folded: Delegation | None) -> bool:
    """Whether the rows differ only in what another order between the partitions can change.

    The group is the delegation and all that requested its idempotency key: what the search found.
    """
    events = [(match.record, match.meaning) for match in search.matches if isinstance(match.meaning, Translation)]
    if stored == folded or len({record.partition for record, _ in events}) < 2:
        return False
    own = [meaning for _, meaning in events if meaning.delegation_id == search.delegation_id]
    if stored is None or folded is None:
        own_requests = len(search.requests())
        return 0 < own_requests < sum(meaning.request is not None for _, meaning in events)
    reports = [meaning.report for meaning in own]
    ends = {report.status for report in reports if not isinstance(report, Heartbeat) and report.status in TERMINAL}
    has_verdict = any(isinstance(report, Verdict) for report in reports) and len(reports) > 1
    return (len(ends) > 1 or has_verdict) and _DECIDED_BY_ORDER.issuperset(changed_columns(stored, folded))
