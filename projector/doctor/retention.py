"""The checks that need the positions and the topic: what is lost, what will be, and partitions that were added."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from projector.doctor.checks import Check, change, note, ok
from projector.domain.positions import Position
from projector.errors import LogGap
from projector.lag import Backlog, TopicState
from projector.texts import duration, plural, size

_SOON = 0.1
"""The share of the retention that is left when a person must act."""
_SHORT = timedelta(days=1)
_ADDED_AFTER_MS = 86_400_000
"""Partitions that exist from the beginning get their first records within a day, if callers are many."""


def log(state: TopicState) -> Check:
    """Whether the topic still has every record that is not projected."""
    name = "log"
    if state.gaps:
        return change(name, "; ".join(state.gaps.values()), LogGap.REMEDY)
    waiting = [str(each.open_transaction) for each in state.backlog.values() if each.open_transaction]
    if waiting:
        return note(name, "; ".join(waiting), "end one as docs/runbooks.md describes (Open transactions)")
    return ok(name, "it has every record from the positions on")


def retention(
    configs: Mapping[str, str], positions: Collection[int], state: TopicState, sizes: Mapping[int, int], now: float
) -> Check:
    """How long a projector may be stopped until records are deleted that it did not project.

    `positions`: the partitions that have one. `now`: seconds since 1970.
    """
    name = "retention"
    kept_ms, kept_bytes = (int(configs.get(each, -1)) for each in ("retention.ms", "retention.bytes"))
    found = [_by_size(kept_bytes, sizes)] if kept_bytes >= 0 else []
    if kept_ms < 0:
        return note(name, found[0], _MORE) if found else ok(name, "the topic keeps its records for ever")
    kept = kept_ms / 1000
    left = {number: kept - _age(each, now) for number, each in state.backlog.items() if number in positions}
    seconds = max(0.0, min(left.values(), default=kept))
    found.insert(
        0,
        f"retention.ms keeps records for {duration(kept)}; a projector that stops now loses records after "
        f"{duration(seconds)}",
    )
    if seconds < kept * _SOON:
        return change(name, "; ".join(found), f"start `projector run`, and {_MORE}")
    if found[1:] or kept < _SHORT.total_seconds():
        return note(name, "; ".join(found), _MORE)
    return ok(name, "; ".join(found))


_MORE = "give the topic a retention that is longer than your longest outage (retention.ms, retention.bytes)"


def _age(backlog: Backlog, now: float) -> float:
    """The age in seconds of the first record that is not projected; 0 without one."""
    return 0.0 if backlog.first_timestamp is None else max(0.0, now - backlog.first_timestamp / 1000)


def _by_size(kept: int, sizes: Mapping[int, int]) -> str:
    largest = max(sizes.values(), default=None)
    used = "" if largest is None else f" (the largest has {size(largest)})"
    return f"retention.bytes keeps {size(kept)} per partition{used}, however few are projected"


def partitions(positions: Mapping[int, Position], numbers: list[int], first_timestamps: Mapping[int, int]) -> Check:
    """Whether partitions were added after the first records: the key of a caller is then in another partition."""
    name = "partitions"
    if positions and (unclaimed := [number for number in numbers if number not in positions]):
        return note(name, f"no member has claimed {_listed(unclaimed)} yet, which may have been added", _ADDED)
    if added := _added(first_timestamps):
        return note(name, f"{_listed(added)} got the first record days after the others: probably added", _ADDED)
    return ok(name, "none seems to have been added")


_ADDED = (
    "records of one caller may now be in two partitions, and the order between them is not told (decision 0010): "
    "do not add partitions to this topic. `projector verify` shows what depends on that order"
)


def _added(first: Mapping[int, int]) -> list[int]:
    """The highest partitions, if all their first records are much later than those of all lower ones."""
    numbers = sorted(first)
    for place in range(1, len(numbers)):
        older, newer = numbers[:place], numbers[place:]
        if min(first[n] for n in newer) - max(first[n] for n in older) > _ADDED_AFTER_MS:
            return newer
    return []


def _listed(numbers: list[int]) -> str:
    return f"{plural(len(numbers), 'partition')} {', '.join(map(str, numbers))}"
