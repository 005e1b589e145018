"""The log with large records, and the growth over the second half."""

import pytest
import zstandard

from benchmarks.memory import LARGE_BYTES, growth, with_large
from benchmarks.recording import generate


def test_growth_counts_the_second_half_only() -> None:
    rising_then_flat = [(float(x), min(float(x), 50.0)) for x in range(101)]
    rising = [(float(x), 2.0 * x) for x in range(101)]
    assert growth(rising_then_flat) == pytest.approx(0)
    assert growth(rising) == pytest.approx(100)


def test_one_record_in_a_thousand_is_large() -> None:
    log = list(with_large(5_000))
    large = [record.value for record in log if record.value and len(record.value) > LARGE_BYTES]
    assert len(large) == 5
    assert len(log) == 5_000
    assert sum(one != other for one, other in zip(log, generate(5_000), strict=True)) == 5
    for value in large:
        assert LARGE_BYTES / 3 < len(zstandard.compress(value)) < LARGE_BYTES * 2 / 3
