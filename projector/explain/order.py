"""Whether the order between partitions can have decided a row."""

from projector.contract.facts import Translation
from projector.domain.fold import TranslatedRecord
from projector.domain.lifecycle import Delegation, changed_columns
from projector.domain.order import ORDER_COLUMNS, facts, undecided
from projector.explain.search import Search


def is_order_decisive(search: Search, stored: Delegation | None, folded: Delegation | None) -> bool:
    """Whether the rows differ only in what another order between the partitions can change.

    The group is what the search found: the records of the delegation, and the other requests of its idempotency key.
    """
    if stored == folded:
        return False
    found = [
        fact
        for record, meaning in search.matches
        if isinstance(meaning, Translation)
        for fact in facts(TranslatedRecord(record, meaning))
    ]
    by_order = undecided(search.delegation_id, found)
    if stored is None or folded is None:
        return by_order.presence
    return by_order.columns and ORDER_COLUMNS.issuperset(changed_columns(stored, folded))
