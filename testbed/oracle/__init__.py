"""The independent judge: folds what the log holds with code of its own, and compares whole tables.

It stands apart from `events` and the rest of `projector` on purpose: what both get wrong, they get wrong separately.
"""

from testbed.oracle.comparison import differences, stored_rows
from testbed.oracle.fold import Expected, Logged, Oracle, Row, fold_log

__all__ = ["Expected", "Logged", "Oracle", "Row", "differences", "fold_log", "stored_rows"]
