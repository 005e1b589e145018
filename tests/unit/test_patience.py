"""Work that is waited for, but not forever."""

import threading

import pytest

from projector.process.patience import within


def test_result_and_error_of_the_work_are_handed_on() -> None:
    assert within(60, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        within(60, lambda: 1 // 0)


def test_late_result_is_given_back() -> None:
    go, late = threading.Event(), threading.Event()
    results: list[int] = []

    def take(result: int) -> None:
        results.append(result)
        late.set()

    with pytest.raises(TimeoutError):
        within(0.01, lambda: go.wait(60) and 7, late=take)
    go.set()
    assert late.wait(60)
    assert results == [7]
