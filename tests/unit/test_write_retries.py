"""How often a batch is written again if another writer changed its rows in between."""

import math

import pytest

from projector.errors import WriteConflict
from projector.projection.transaction import with_retries


class Conflicts:
    """An attempt that ends in this number of conflicts, and then succeeds."""

    def __init__(self, number: int) -> None:
        self.left = number
        self.attempts = 0

    def __call__(self) -> str:
        self.attempts += 1
        if self.attempts <= self.left:
            raise WriteConflict("a row was changed")
        return "written"


def test_tenth_attempt_may_succeed() -> None:
    assert with_retries(Conflicts(9)) == "written"


@pytest.mark.parametrize(("until", "attempts", "counted"), [(math.inf, 10, "10 tries"), (0.0, 1, "1 try")])
def test_attempts_end_after_ten_or_with_the_time(until: float, attempts: int, counted: str) -> None:
    attempt = Conflicts(20)
    with pytest.raises(WriteConflict, match=f"^gave up after {counted}: a row was changed$"):
        with_retries(attempt, until)
    assert attempt.attempts == attempts
