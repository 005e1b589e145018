"""The verdict: the row as folded beside the row as stored, and in one sentence what that means."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from projector.domain.lifecycle import Delegation


class Agreement(StrEnum):
    """How the log and the view agree on one delegation."""

    EQUAL = "equal"
    DIFFERS = "differs"
    NOT_IN_THE_VIEW = "not_in_the_view"
    NOT_IN_THE_LOG = "not_in_the_log"
    BEHIND = "behind"


class PartitionLag(NamedTuple):
    """A partition with records of the delegation that are not projected; `position` is None where nothing is."""

    partition: int
    position: int | None
    records: int


class Evidence(NamedTuple):
    """What the verdict is of. `reached` is the row as folded up to the projector's positions."""

    folded: Delegation | None
    reached: Delegation | None
    stored: Delegation | None
    behind: Sequence[PartitionLag] = ()
    holder: str | None = None
    """Who holds the idempotency key that it lost."""
    events: int = 0
    """How many records say something of it."""
    is_cut_off: bool = False
    """Whether the log begins after its first offset."""


class Verdict(NamedTuple):
    """`differences` are columns of the table, all of them where one of the rows is missing."""

    kind: Agreement
    differences: list[str]
    sentence: str


def differences(folded: Delegation | None, stored: Delegation | None) -> list[str]:
    """The columns in which the rows differ."""
    if folded == stored:
        return []
    if folded is None or stored is None:
        return list(Delegation._fields)
    return [name for name in Delegation._fields if getattr(folded, name) != getattr(stored, name)]


def verdict(evidence: Evidence) -> Verdict:
    """Judge the evidence."""
    kind, sentence = _judged(evidence)
    return Verdict(kind, differences(evidence.folded, evidence.stored), sentence)


def _judged(evidence: Evidence) -> tuple[Agreement, str]:
    folded, stored = evidence.folded, evidence.stored
    if folded == stored:
        return (Agreement.NOT_IN_THE_VIEW, _absent(evidence)) if stored is None else (Agreement.EQUAL, _EQUAL)
    if evidence.behind and evidence.reached == stored:
        return Agreement.BEHIND, _behind(evidence)
    if stored is None:
        return Agreement.NOT_IN_THE_VIEW, _MISSING + _besides(evidence)
    if folded is None:
        return Agreement.NOT_IN_THE_LOG, _unrequested(evidence) + _besides(evidence)
    columns = ", ".join(differences(folded, stored))
    return Agreement.DIFFERS, f"differs in {columns}: {_WRITTEN}{_besides(evidence)}"


_EQUAL = "equal: the row is what the log says"
_MISSING = (
    "not in the view, though the log says that it must be: the row was deleted, or its request died when it was "
    "projected (see the dead letters)"
)
_WRITTEN = (
    "no record that was looked at makes the row so; somebody wrote it directly (the ledger, or a hand), or a record "
    "of it died or came in another order when it was projected"
)


def _absent(evidence: Evidence) -> str:
    if evidence.holder is not None:
        return (
            f"not in the view, as the log says: its idempotency key is held by {evidence.holder}, and what comes for "
            "it stays parked"
        )
    if evidence.events:
        return "not in the view, as the log says: nothing that was looked at requests it, so what came for it is parked"
    return "not in the view, as the log says: no record that was looked at says anything of it"


def _unrequested(evidence: Evidence) -> str:
    if evidence.holder is not None:
        return (
            f"not in the log as a row: by the log its idempotency key went to {evidence.holder}, and yet the view has "
            "the row"
        )
    older = "it is older than the log, which no longer begins at offset 0; or " if evidence.is_cut_off else ""
    return f"not in the log: no record that was looked at requests it; {older}somebody wrote it directly (the ledger)"


def _behind(evidence: Evidence) -> str:
    return (
        f"the projector is {_places(evidence)}, so this is not drift yet: compare the positions (`projector status`), "
        "and ask again when they have passed. What is projected of it is in the row as the log says"
    )


def _besides(evidence: Evidence) -> str:
    return f". Besides, the projector is {_places(evidence)}" if evidence.behind else ""


def _places(evidence: Evidence) -> str:
    return " and ".join(
        f"{each.records:,} record{'s' * (each.records != 1)} behind on partition {each.partition} "
        + (f"(position {each.position:,})" if each.position is not None else "(no position)")
        for each in evidence.behind
    )
