"""The independent judge: folds what the log holds with code of its own, and compares whole tables.

It stands apart from `events` and the rest of `projector` on purpose: what both get wrong, they get wrong separately.
"""

from projector.demo.judge.comparison import differences, stored_rows
from projector.demo.judge.fold import Judge, Logged, Row, Verdict, judge

__all__ = ["Judge", "Logged", "Row", "Verdict", "differences", "judge", "stored_rows"]
