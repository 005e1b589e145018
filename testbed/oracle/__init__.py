"""The oracle: an independent implementation of the event contract that folds a log and compares whole tables.

It shares no code with `projector` on purpose, so that an error in one of them shows as a difference.
"""

from testbed.oracle.comparison import differences, stored_rows
from testbed.oracle.fold import Expected, LogRecord, Oracle, Row, fold_log

__all__ = ["Expected", "LogRecord", "Oracle", "Row", "differences", "fold_log", "stored_rows"]
