"""What one pass found and did."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from projector.contract.facts import Status
from projector.domain.overdue import Rule, Verdict, as_text
from projector.postgres.sweep_candidates import Future
from projector.texts import counted


class Skipped(StrEnum):
    """Why a pass, or its stuck verdicts, were left out."""

    BEHIND = "behind"
    TRUTH_AWAY = "truth_away"
    NO_ACTIVITY = "no_activity"
    BRAKED = "braked"
    LOCKED = "locked"


@dataclass
class Report:
    """The counts of a pass.

    | field | meaning |
    |---|---|
    | `candidates` | rows that the scans of the view returned |
    | `written` | verdicts that were inserted, by status |
    | `repeated` | candidates whose verdict is in the table, and not projected yet |
    | `spared` | candidates for which the table, or a gap in all signs of life, speaks |
    | `unknown` | candidates without a request in the table |
    | `future` | delegations in flight whose last event has a time in the future |
    | `held` | stuck verdicts that the brake or the lack of any sign of life held back |
    | `unwritten` | verdicts of a dry run, which the next pass writes |
    """

    candidates: int = 0
    written: dict[Status, int] = field(default_factory=lambda: {Status.STUCK: 0, Status.FAILED: 0})
    repeated: int = 0
    spared: int = 0
    unknown: int = 0
    future: int = 0
    held: int = 0
    skipped: Skipped | None = None
    seconds: float = 0.0
    unwritten: list[Verdict] = field(default_factory=list)
    judged_at: datetime | None = None
    future_rows: Sequence[Future] = ()
    repeated_since: datetime | None = None
    """When the oldest verdict was written that is not projected yet."""
    is_capped: bool = False
    sentences: list[str] = field(default_factory=list)
    """What a person must know, each without a full stop."""

    def skip(self, reason: Skipped, sentence: str) -> "Report":
        """Note that something was left out, and why."""
        self.skipped = reason
        self.sentences.append(sentence)
        return self

    def as_json(self, *, dry_run: bool = False) -> dict[str, Any]:
        """The counts as a JSON object; of a dry run with the verdicts."""
        counts = {
            "candidates": self.candidates,
            "verdicts": {str(status): count for status, count in self.written.items()},
            "repeated": self.repeated,
            "spared": self.spared,
            "unknown": self.unknown,
            "future": self.future,
            "held": self.held,
            "skipped": self.skipped and str(self.skipped),
            "seconds": round(self.seconds, 3),
        }
        return counts | ({"would_write": [_as_json(each) for each in self.unwritten]} if dry_run else {})

    def __str__(self) -> str:
        stuck, failed = self.written[Status.STUCK], self.written[Status.FAILED]
        return (
            f"{counted(self.candidates, 'candidate')}: {counted(stuck + failed, 'verdict')} written ({stuck:,} stuck, "
            f"{failed:,} failed), {self.repeated:,} repeated, {self.spared:,} spared, {self.unknown:,} unknown, "
            f"{self.held:,} held; {self.future:,} dated in the future"
        )


def _as_json(verdict: Verdict) -> dict[str, str]:
    evidence = "deadline" if verdict.rule is Rule.DEADLINE else "silent_since"
    return {
        "delegation_id": verdict.row.delegation_id,
        "rule": str(verdict.rule),
        "status": str(verdict.status),
        evidence: as_text(verdict.evidence),
    }
