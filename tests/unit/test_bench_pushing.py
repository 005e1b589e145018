"""What the benchmark of the push expects of a member, and its arithmetic."""

from collections.abc import Iterable

from benchmarks.pushing import Cost, Logged, _line, _logged, expected
from benchmarks.recording import Record, generate
from projector.contract.facts import TERMINAL
from projector.domain.fold import WorkingSet, translate_batch

COUNT = 6_000


def test_every_delegation_that_ended_is_told() -> None:
    wanted = expected(generate(COUNT))
    view = WorkingSet()
    for record, translation in translate_batch([Polled(each) for each in _logged(generate(COUNT))]).records:
        view.apply(record, translation)
    ended = [row for row in view.rows.values() if row.status in TERMINAL]
    assert wanted.replies == len(ended) > 100
    assert wanted.replies < wanted.ends  # some ends come twice, and some before a request that is not in the log


def test_offsets_are_those_of_each_partition() -> None:
    log = [Record(place, None, b"{}", 0) for place in (1, 0, 1, 1)]
    assert [(each.partition, each.offset) for each in _logged(log)] == [(1, 0), (0, 0), (1, 1), (1, 2)]


def test_line_has_the_medians_per_record() -> None:
    costs: Iterable[Cost] = [Cost(0.002, 0.001), Cost(0.004, 0.002), Cost(0.006, 0.009)]
    assert _line("name", costs, 100) == ["name", "40.0", "20.0", "60.0"]


class Polled:
    """A record as a consumer returns it."""

    key = None

    def __init__(self, logged: Logged) -> None:
        self.topic, self.partition, self.offset, self.timestamp, self.value = logged
