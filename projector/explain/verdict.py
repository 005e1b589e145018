"""The verdict: whether the view has the row that the records make, and if not, why; with what to do about it."""

from enum import StrEnum
from typing import NamedTuple

from projector.contract.unreadable import quoted
from projector.domain.lifecycle import Delegation, changed_columns
from projector.explain.dead_letters import RelatedLetter, likely_request, place_of, refused, remedy
from projector.explain.findings import Findings, PartitionLag, Repeated
from projector.texts import command, counted, named


class Agreement(StrEnum):
    """How the row in the view and the records agree; the values are part of `explain --json`."""

    EQUAL = "equal"
    BEHIND = "behind"
    ORDER_UNKNOWN = "order_unknown"
    DIFFERS = "differs"
    MISSING = "missing"
    REPEATED_REQUEST = "repeated_request"
    DEAD_LETTER = "dead_letter"
    NOT_REQUESTED = "not_requested"
    NOT_IN_LOG = "not_in_log"
    NOT_COVERED = "not_covered"
    NOT_FOUND = "not_found"
    PRUNED = "pruned"


class Verdict(NamedTuple):
    """`differences` are column names; they are all columns if one of the two rows is missing."""

    kind: Agreement
    differences: list[str]
    sentence: str
    advice: str | None


def build_verdict(findings: Findings) -> Verdict:
    """Compare the folded row with the stored row, and explain the result."""
    kind, reason, advice = _absent(findings) if findings.stored is None else _present(findings, findings.stored)
    notes = "" if kind is Agreement.DEAD_LETTER else _letters(findings)
    sentence = f"delegation {named(findings.delegation_id)} {reason}{notes}"
    return Verdict(kind, _differences(findings.folded, findings.stored), sentence, advice)


def _differences(folded: Delegation | None, stored: Delegation | None) -> list[str]:
    if folded is not None and stored is not None:
        return list(changed_columns(folded, stored))
    return [] if folded is None and stored is None else list(Delegation._fields)


def _is_behind(findings: Findings) -> bool:
    return bool(findings.lags) and findings.projected == findings.stored


_Found = tuple[Agreement, str, str | None]

# --- in the view


def _present(findings: Findings, stored: Delegation) -> _Found:
    source = findings.source.name
    differs = f"is in the view, but differs from {source} in {', '.join(_differences(findings.folded, stored))}"
    if findings.folded == stored:
        return Agreement.EQUAL, f"is in the view with status {stored.status}, in agreement with {source}", None
    if _is_behind(findings):
        reason = f"is in the view, in agreement with {source} up to the positions: the projector is {_lags(findings)}"
        return Agreement.BEHIND, reason, _AGAIN
    if findings.is_order_decisive:
        return Agreement.ORDER_UNKNOWN, f"{differs}. {_NO_ORDER}", None
    if findings.folded is None:
        return _not_requested_by(findings)
    if letter := refused(findings.letters):
        return Agreement.DIFFERS, f"{differs}, and Postgres refused a record", remedy(letter, findings.source.topic)
    advice = f"{_OTHER_WRITER} {_rebuild(findings, 'writes the row of the records')}"
    return Agreement.DIFFERS, differs + _also_behind(findings), advice


def _not_requested_by(findings: Findings) -> _Found:
    """The view has a row, and no record makes it."""
    if findings.repeated is not None:
        reason = f"is in the view, but in {findings.source.name} {_repeats(findings, findings.repeated)}"
        return Agreement.NOT_IN_LOG, reason + _also_behind(findings), _WRITTEN
    reason = f"is in the view, but no record of {findings.source.name} requests it"
    if findings.source.is_complete:
        return Agreement.NOT_IN_LOG, f"{reason}: the row was written directly{_also_behind(findings)}", _WRITTEN
    lost = f"{reason}, and {findings.source.name} does not have all records"
    return Agreement.NOT_COVERED, f"{lost}: the row is older, or was written directly", _ELSEWHERE


# --- not in the view


def _absent(findings: Findings) -> _Found:
    if at := findings.pruned_at:
        reason = f"is not in the view: it was pruned at {at:%Y-%m-%d %H:%M:%S} UTC. Its records change nothing any more"
        return Agreement.PRUNED, reason, None
    if findings.folded is not None:
        return _missing(findings, findings.folded)
    if findings.repeated is not None:
        return _repeated(findings, findings.repeated)
    if letter := likely_request(findings.letters):
        return _died(findings, letter, "its request" if letter.is_request else "what may be its request")
    if findings.events or findings.parked:
        older = "" if findings.source.is_complete else f". {_ELSEWHERE_OR_LATE}"
        reason = f"is not in the view, in agreement with {findings.source.name}: no record requests it"
        return Agreement.NOT_REQUESTED, f"{reason}{_parked(findings, 'are kept until a request comes')}{older}", None
    verb = "mentions" if findings.mentions == 1 else "mention"
    found = f"; {counted(findings.mentions, 'record')} only {verb} it" if findings.mentions else ""
    if findings.source.is_cut:
        reason = "was not found: it has no row and no parked event, and none of the newest records is about it"
        return Agreement.NOT_FOUND, reason + found, f"{_everywhere(findings)} {_ELSEWHERE}"
    reason = "was not found: it has no row and no parked event, and no record that was read is about it"
    return Agreement.NOT_FOUND, reason + found, _ELSEWHERE


def _missing(findings: Findings, folded: Delegation) -> _Found:
    if _is_behind(findings):
        return Agreement.BEHIND, f"is not in the view yet: the projector is {_lags(findings)}", _AGAIN
    request = f" ({place_of(findings.request, findings.source.topic)})" if findings.request else ""
    if (letter := refused(findings.letters)) and letter.is_request:
        return _died(findings, letter, "its request")
    if findings.is_order_decisive:
        if findings.repeated is not None:
            kind, reason, advice = _repeated(findings, findings.repeated)
            return kind, f"{reason}. {_NO_ORDER}", advice
        return Agreement.ORDER_UNKNOWN, f"is not in the view, and {findings.source.name} requests it. {_NO_ORDER}", None
    reason = f"is not in the view, although {findings.source.name} requests it{request}; its status is {folded.status}"
    return Agreement.MISSING, reason + _also_behind(findings), _rebuild(findings, "restores the row")


def _died(findings: Findings, letter: RelatedLetter, what: str) -> _Found:
    place, waiting = place_of(letter.place, findings.source.topic), _parked(findings, "wait for it")
    reason = f"is not in the view: {what} ({place}) is a dead letter, because {letter.reason}{waiting}"
    return Agreement.DEAD_LETTER, reason, remedy(letter, findings.source.topic)


def _repeated(findings: Findings, repeated: Repeated) -> _Found:
    waiting = _parked(findings, "will never be applied")
    reason = f"is not in the view, in agreement with {findings.source.name}: {_repeats(findings, repeated)}{waiting}"
    advice = f"{command('explain', repeated.holder_id)} shows the delegation that it repeats."
    if findings.parked:
        advice += f" {command('parked', 'discard', findings.delegation_id)} deletes its parked events."
    return Agreement.REPEATED_REQUEST, reason, advice


def _repeats(findings: Findings, repeated: Repeated) -> str:
    place = f" ({place_of(repeated.place, findings.source.topic)})" if repeated.place else ""
    key = "" if repeated.idempotency_key is None else f" {quoted(repeated.idempotency_key)}"
    caller = "" if repeated.caller_id is None else f" of caller {repeated.caller_id}"
    holder = named(repeated.holder_id)
    return f"its request{place} repeats the idempotency key{key}{caller}, which delegation {holder} holds"


# --- texts

_AGAIN = (
    "This is no drift yet. Run this command again when the projector has read these records (see `projector status`)."
)
_NO_ORDER = "Its records are in several partitions, and their order decides; the order between partitions is not known"
_OTHER_WRITER = "Another writer changed the row (the ledger, or by hand), or records were projected in another order."
_WRITTEN = "A service wrote it with the ledger, and its event is still to come; or it was written by hand."
_ELSEWHERE = "A recording or an export may have its records: `--recording FILE`."
_ELSEWHERE_OR_LATE = "The request may be older than the log"


def _everywhere(findings: Findings) -> str:
    return f"{command('explain', findings.delegation_id, '--everywhere')} searches the whole topic."


def _rebuild(findings: Findings, effect: str) -> str:
    return f"{command('rebuild', '--only', findings.delegation_id)} {effect}."


def _letters(findings: Findings) -> str:
    letters = findings.letters
    if not letters:
        return ""
    more = "" if len(letters) == 1 else f", and {len(letters) - 1} more"
    place = place_of(letters[0].place, findings.source.topic)
    return f". A dead letter mentions it ({place}): {letters[0].reason}{more}"


def _parked(findings: Findings, effect: str) -> str:
    return f". Events are parked for it ({findings.parked:,}); they {effect}" if findings.parked else ""


def _also_behind(findings: Findings) -> str:
    return f". The projector is also {_lags(findings)}" if findings.lags else ""


def _lags(findings: Findings) -> str:
    return " and ".join(map(_lag, findings.lags))


def _lag(lag: PartitionLag) -> str:
    position = "no position" if lag.position is None else f"position {lag.position:,}"
    return f"{counted(lag.records, 'record')} behind on partition {lag.partition} ({position})"
