"""The oracle: an independent implementation of the event contract that folds a log and compares whole tables.

It shares no code with `projector` on purpose, so that an error in one of them shows as a difference.
"""

from testbed.oracle.comparison import differences, stored_rows
from testbed.oracle.fold import Expected, Oracle, ParkedEvent, RepeatedRequest, fold_in_order, fold_log
from testbed.oracle.groups import Undecided, order_not_told
from testbed.oracle.log import LogRecord, merge_partitions
from testbed.oracle.pushes import (
    EndsToTell,
    InboxRow,
    Reply,
    SwitchedOn,
    Told,
    ends_to_tell,
    inbox_differences,
    read_inbox,
)
from testbed.oracle.rows import Row
from testbed.oracle.sweeps import Judgement, Overdue, Rules, faults, judge, overdue
from testbed.oracle.truth import Truth, TruthRow, read_truth

__all__ = [
    "EndsToTell",
    "Expected",
    "InboxRow",
    "Judgement",
    "LogRecord",
    "Oracle",
    "Overdue",
    "ParkedEvent",
    "RepeatedRequest",
    "Reply",
    "Row",
    "Rules",
    "SwitchedOn",
    "Told",
    "Truth",
    "TruthRow",
    "Undecided",
    "differences",
    "ends_to_tell",
    "faults",
    "fold_in_order",
    "fold_log",
    "inbox_differences",
    "judge",
    "merge_partitions",
    "order_not_told",
    "overdue",
    "read_inbox",
    "read_truth",
    "stored_rows",
]
