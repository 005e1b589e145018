"""The arithmetic of the latency benchmark, and that its events advance the rows as it assumes."""

import os
import subprocess
import sys
from subprocess import PIPE

import pytest

from benchmarks.jdbc_sink import folded
from benchmarks.latency import GOAL_RATE, Line, goals
from benchmarks.load import Sent, events, number_at
from benchmarks.processor import processor_seconds
from benchmarks.recording import Record
from benchmarks.steady import JDBC, PRODUCT, QUIX, Steady
from benchmarks.visibility import Sample, keeps_up, summary, visible_times
from projector.domain.fold import WorkingSet, translate_batch

COUNT = 2_000
BEHIND_IN_ROUND = 3


def test_every_event_advances_its_row_to_its_number() -> None:
    log = list(events(COUNT))
    view = WorkingSet()
    for number, event in enumerate(log):
        for polled, translation in translate_batch([_Polled(number, event.record)]).records:
            view.apply(polled, translation)
        row = view.rows[event.delegation_id]
        assert (row.status, number_at(row.updated_at)) == (event.status, number)
    assert len(list(folded(each.record for each in log))) == COUNT
    assert {event.status for event in log} == {"queued", "in_progress", "completed"}


def test_event_is_visible_at_the_first_sample_beyond_it() -> None:
    samples = [
        Sample(1.0, [-1] * 6),
        Sample(2.0, [12, -1, 8, -1, -1, -1]),  # callers 0 and 2
        Sample(3.0, [12, 13, 8, 9, 10, 11]),
    ]
    assert visible_times(samples, 6, 14) == [2.0, 3.0, 2.0, 3.0, 3.0, 3.0, 2.0, 3.0]


def test_visible_times_start_at_any_number() -> None:
    assert visible_times([Sample(1.0, [6, 7, 8, 9, 10, 11])], 8, 12) == [1.0] * 4


def test_constant_latency_keeps_up_and_a_growing_one_does_not() -> None:
    assert keeps_up([5.0, 9.0, 7.0] * 100, 20_000)
    assert keeps_up([float(number % 1_000) for number in range(20_000)], 20_000)  # an interval of one second
    behind = [0.05 * number for number in range(20_000)]  # 5 % slower than the load
    assert not keeps_up(behind, 20_000)
    assert keeps_up(behind[::-1], 20_000)


def test_summary_leaves_out_the_warm_up() -> None:
    at = [0.1 * number for number in range(110)]
    sent = Sent(at, [each + 0.002 for each in at], cores=0.5)
    visible = [each + (9.0 if number < 10 else 0.010) for number, each in enumerate(at)]
    result = summary(sent, visible, 10, [Sample(0.0, []), Sample(0.001, []), Sample(0.003, [])])
    assert result["p50"] == pytest.approx(10)
    assert result["max"] == pytest.approx(10)
    assert result["acknowledged_p99"] == pytest.approx(2)
    assert result["added_p50"] == pytest.approx(8)
    assert result["sent_per_second"] == pytest.approx(10)
    assert result["sample_interval"] == pytest.approx(1.5)
    assert result["events"] == 100


def test_goals_take_the_better_peer_where_it_keeps_up() -> None:
    lines = [
        _line(PRODUCT, {0: (4.0, 1.0), 1: (6.0, 1.0), 2: (9.0, 3.0), 3: (1.0, 1.0)}),
        _line(QUIX, {0: (40.0, 4.0), 1: (40.0, 2.0), 2: (40.0, 3.0), 3: (1.0, 1.0)}),
        _line(JDBC, {0: (8.0, 9.0), 2: (9.0, 9.0)}),
    ]
    added, processor = goals(lines)
    assert list(added.values) == [0.5, 1.0]
    assert list(processor.values) == [0.25, 0.5, 1.0]


def test_goals_without_the_rate_are_not_measured() -> None:
    assert [goal.reached for goal in goals([])] == [None, None]


def test_peer_without_a_slice_is_not_the_better_one() -> None:
    lines = [_line(PRODUCT, {0: (4.0, 1.0)}), _line(QUIX, {0: (16.0, 4.0)}), _line(JDBC, {})]
    added, _ = goals(lines)
    assert list(added.values) == [0.25]


def test_processor_seconds_include_running_and_ended_children() -> None:
    burn = "import sys, time\nwhile time.process_time() < 0.5: pass\nprint(flush=True)\nsys.stdin.read()"
    before = processor_seconds(os.getpid())
    with subprocess.Popen([sys.executable, "-c", burn], stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert processor_seconds(os.getpid()) - before > 0.4
    assert processor_seconds(os.getpid()) - before > 0.4


def _line(contender: Steady, rounds: dict[int, tuple[float, float]]) -> Line:
    line = Line(contender, GOAL_RATE)
    for number, (added, processor) in rounds.items():
        keeps_up = number != BEHIND_IN_ROUND
        line.slices[number] = {"added_p50": added, "processor_seconds": processor, "keeps_up": keeps_up}
    return line


class _Polled:
    topic = "topic"

    def __init__(self, number: int, record: Record) -> None:
        self.offset = number
        self.partition, self.key, self.value, self.timestamp = record
