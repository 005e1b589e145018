"""The oracle: an independent implementation of the event contract that folds a log and compares whole tables.

It shares no code with `projector` on purpose, so that an error in one of them shows as a difference.
"""

from testbed.oracle.comparison import differences, stored_rows
from testbed.oracle.fold import Expected, Oracle, ParkedEvent, RepeatedRequest, fold_in_order, fold_log
from testbed.oracle.groups import Undecided, order_not_told
from testbed.oracle.log import LogRecord, merge_partitions
from testbed.oracle.rows import Row

__all__ = [
    "Expected",
    "LogRecord",
    "Oracle",
    "ParkedEvent",
    "RepeatedRequest",
    "Row",
    "Undecided",
    "differences",
    "fold_in_order",
    "fold_log",
    "merge_partitions",
    "order_not_told",
    "stored_rows",
]
