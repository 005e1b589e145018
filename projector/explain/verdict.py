"""The verdict: one sentence about whether the row in the view matches the row that the records make."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from projector.domain.lifecycle import Delegation, changed_columns


class Agreement(StrEnum):
    """How the row in the view and the records agree; the values are part of `explain --json`."""

    EQUAL = "equal"
    DIFFERS = "differs"
    NOT_IN_THE_VIEW = "not_in_the_view"
    NOT_IN_THE_LOG = "not_in_the_log"
    BEHIND = "behind"


class PartitionLag(NamedTuple):
    """A partition that has records of the delegation after its position; `position` is None if none is stored."""

    partition: int
    position: int | None
    records: int


class Findings(NamedTuple):
    """The facts from which the verdict follows.

    `folded` is the row that all records make, `projected` the row that the records before the positions make, and
    `stored` the row in the view.
    """

    folded: Delegation | None
    projected: Delegation | None
    stored: Delegation | None
    lags: Sequence[PartitionLag] = ()
    holder: str | None = None
    """The delegation that holds the idempotency key instead of this one."""
    events: int = 0
    """How many records are about the delegation."""
    is_cut_off: bool = False
    """Whether retention has deleted the beginning of a partition."""


class Verdict(NamedTuple):
    """`differences` are column names; they are all columns if one of the two rows is missing."""

    kind: Agreement
    differences: list[str]
    sentence: str


def build_verdict(findings: Findings) -> Verdict:
    """Compare the folded row with the stored row, and explain the result in one sentence."""
    differences = _differences(findings.folded, findings.stored)
    kind, sentence = _agreement(findings, differences)
    return Verdict(kind, differences, sentence)


def _differences(folded: Delegation | None, stored: Delegation | None) -> list[str]:
    if folded is not None and stored is not None:
        return list(changed_columns(folded, stored))
    return [] if folded is None and stored is None else list(Delegation._fields)


def _agreement(findings: Findings, differences: Sequence[str]) -> tuple[Agreement, str]:
    folded, stored = findings.folded, findings.stored
    if folded == stored:
        return (Agreement.NOT_IN_THE_VIEW, _absent(findings)) if stored is None else (Agreement.EQUAL, _EQUAL)
    if findings.lags and findings.projected == stored:
        return Agreement.BEHIND, _behind(findings)
    if stored is None:
        return Agreement.NOT_IN_THE_VIEW, _MISSING + _also_behind(findings)
    if folded is None:
        return Agreement.NOT_IN_THE_LOG, _not_requested(findings) + _also_behind(findings)
    return Agreement.DIFFERS, f"differs in {', '.join(differences)}: {_OTHER_VALUES}{_also_behind(findings)}"


_EQUAL = "equal: the row in the view matches the records"
_MISSING = (
    "not in the view, although the records make a row: the row was deleted, or its request became a dead letter when "
    "it was projected (see the dead letters)"
)
_OTHER_VALUES = (
    "the records that were read make another row. Either the row was written directly (by the ledger or by hand), or "
    "a record became a dead letter or was projected in another order"
)


def _absent(findings: Findings) -> str:
    if findings.holder is not None:
        reason = f"{findings.holder} holds its idempotency key, so its events stay parked"
    elif findings.events:
        reason = "no record that was read requests it, so its events are parked"
    else:
        reason = "no record that was read is about it"
    return f"not in the view, as expected: {reason}"


def _not_requested(findings: Findings) -> str:
    if findings.holder is not None:
        return f"not in the records: {findings.holder} holds its idempotency key there, but the view has a row for it"
    older = "is older than the topic, which no longer begins at offset 0, or " if findings.is_cut_off else ""
    return f"not in the records: no record that was read requests it. It {older}was written directly (by the ledger)"


def _behind(findings: Findings) -> str:
    return (
        f"the projector is {_lags(findings)}, so this is not drift yet: the row matches the records that are "
        "projected. Run this command again when the positions have passed the others (see `projector status`)"
    )


def _also_behind(findings: Findings) -> str:
    return f". The projector is also {_lags(findings)}" if findings.lags else ""


def _lags(findings: Findings) -> str:
    return " and ".join(map(_lag, findings.lags))


def _lag(lag: PartitionLag) -> str:
    position = "no position" if lag.position is None else f"position {lag.position:,}"
    return f"{lag.records:,} record{'s' * (lag.records != 1)} behind on partition {lag.partition} ({position})"
