"""The rows of the profile add up to the wall time, and its timers find every function."""

from types import ModuleType

import pytest
from builders import record
from rows import delegate, verdict

from benchmarks.profile import COMPLETE, REST, ROWS, time_all, time_translation
from benchmarks.stopwatch import Stopwatch
from projector.contract import fast, translate
from projector.kafka.consumer import GroupConsumer
from projector.projection import gathering, transaction


def test_time_is_charged_to_innermost_function() -> None:
    now = [0.0]
    work = ModuleType("work")

    def takes(seconds: float) -> None:
        now[0] += seconds

    def outer() -> None:
        takes(1)
        work.inner()
        takes(2)

    vars(work).update(outer=outer, inner=lambda: takes(4))
    watch = Stopwatch("rest", clock=lambda: now[0])
    watch.time(work, "outer", "outside")
    watch.time(work, "inner", "inside")
    takes(8)
    work.outer()
    takes(16)
    assert watch.stop() == 31
    assert watch.seconds == {"rest": 24, "outside": 3, "inside": 4}
    assert watch.calls == {"outside": 1, "inside": 1}


def test_failures_and_empty_results_are_charged() -> None:
    now = [0.0]
    work = ModuleType("work")

    def poll(records: list[int], seconds: float) -> list[int]:
        now[0] += seconds
        return records

    def fail() -> None:
        now[0] += 4
        raise LookupError

    vars(work).update(poll=poll, fail=fail)
    watch = Stopwatch("rest", clock=lambda: now[0])
    watch.time(work, "poll", "poll", row_if_empty="waiting")
    watch.time(work, "fail", "failing")
    assert work.poll([1], 1) == [1]
    assert work.poll([], 2) == []
    with pytest.raises(LookupError):
        work.fail()
    assert watch.stop() == 7
    assert watch.seconds == {"rest": 0, "poll": 1, "waiting": 2, "failing": 4}


def test_timers_charge_exactly_the_known_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner in (transaction, gathering, fast, translate, GroupConsumer, transaction.PendingBatch):
        for name, value in list(vars(owner).items()):
            if callable(value):
                monkeypatch.setattr(owner, name, value)  # restored after the test
    charged: set[str] = {REST}

    class RecordingStopwatch(Stopwatch):
        def time(self, owner: ModuleType | type, name: str, row: str, row_if_empty: str | None = None) -> None:
            super().time(owner, name, row, row_if_empty)
            charged.update({row, row_if_empty or row})

    time_all(RecordingStopwatch(REST))
    assert charged == set(ROWS)


def test_records_that_the_fast_path_refuses_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((translate, "is_unrelated"), (fast, "translate"), (translate, "translate_completely")):
        monkeypatch.setattr(owner, name, getattr(owner, name))  # restored after the test
    watch = Stopwatch(REST)
    time_translation(watch)
    for value in (delegate(0), delegate(0) | {"activity_type": "tool_call"}, verdict(1), verdict(1, "failed")):
        translate.translate(record(value))
    assert watch.calls == {"unrelated?": 4, "fast translation": 3, COMPLETE: 2}
