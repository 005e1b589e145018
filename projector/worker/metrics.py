"""The metrics: their names, which process exports each, and how the numbers of several processes become one."""

from enum import StrEnum
from typing import NamedTuple

from projector.contract.facts import IN_FLIGHT, TERMINAL
from projector.domain.outcomes import Outcome
from projector.domain.overdue import Rule

PREFIX = "projector_"


class Part(StrEnum):
    """The process that measures it."""

    EVERY = "every process"
    RUN = "run"
    SWEEP = "sweep"
    PUSH = "push"
    DASHBOARD = "dashboard"


class State(StrEnum):
    """What a process does, in one word."""

    JOINING = "joining"
    """A member that has no assignment from its group yet."""
    WORKING = "working"
    IDLE = "idle"
    """A member to which the group has assigned no partition."""
    WAITING = "waiting"
    """A server is unavailable."""
    TROUBLED = "troubled"
    STOPPED = "stopped"
    HUNG = "hung"
    """Its last report is too old. No process reports that of itself."""


class Kind(StrEnum):
    """How a metric is read. Two processes may export one gauge: then the largest or the smallest number counts."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    LARGEST = "largest"
    SMALLEST = "smallest"


class Metric(NamedTuple):
    """`name`: without the prefix. `label_values`: those that exist from the start of the process, with the number 0.

    `buckets`: upper limits, of a histogram.
    """

    name: str
    part: Part
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    label_values: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


_PARTITION = ("topic", "partition")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_RECORDS = (1.0, 10.0, 50.0, 100.0, 500.0, 1_000.0, 5_000.0, 10_000.0, 20_000.0)
_RULES = tuple(map(str, Rule))

_E, _R, _S, _P, _D = Part
_COUNTER, _HISTOGRAM, _LARGEST, _SMALLEST = Kind
_TABLE = (
    Metric("build_info", _E, _LARGEST, "1; the label has the release of the projector", ("version",)),
    Metric("healthy", _E, _SMALLEST, "1 if the process is healthy, else 0", ("process",)),
    Metric("state", _E, _LARGEST, "1 for what the process does now, else 0", ("process", "state")),
    Metric("records_total", _R, _COUNTER, "records, by how they ended", ("outcome",), tuple(map(str, Outcome))),
    Metric("ended_total", _R, _COUNTER, "delegations that ended", ("status",), tuple(map(str, sorted(TERMINAL)))),
    Metric("batch_seconds", _R, _HISTOGRAM, "time from sending a batch to its commit", buckets=_SECONDS),
    Metric("batch_records", _R, _HISTOGRAM, "records per batch", buckets=_RECORDS),
    Metric(
        "end_to_end_seconds",
        _R,
        _HISTOGRAM,
        "from the timestamp of the last record of each partition in a batch to the commit",
        buckets=_SECONDS,
    ),
    Metric("lag_records", _R, _LARGEST, "offsets up to the high watermark that are not projected", _PARTITION),
    Metric("lag_seconds", _R, _LARGEST, "the longest time for which a record waits to be projected", _PARTITION),
    Metric("position", _R, _LARGEST, "the first offset that is not projected", _PARTITION),
    Metric("log_idle_seconds", _R, _SMALLEST, "age of the newest projected record of any partition"),
    Metric("fenced_total", _R, _COUNTER, "batches that another owner of the position prevented"),
    Metric("rebalances_total", _R, _COUNTER, "generations of the group that the member has seen"),
    Metric("consumer_rebuilds_total", _R, _COUNTER, "consumers that were closed after an error of Kafka"),
    Metric(
        "retries_total",
        _R,
        _COUNTER,
        "batches that are read and written again",
        ("reason",),
        ("postgres", "slow_batch", "slow_record"),
    ),
    Metric("last_commit_timestamp_seconds", _R, _LARGEST, "when the last batch was committed"),
    Metric("sweep_verdicts_total", _S, _COUNTER, "verdicts that were written", ("rule",), _RULES),
    Metric("sweep_spared_total", _S, _COUNTER, "candidates that nothing was written about", ("rule",), _RULES),
    Metric("sweep_repeated_total", _S, _COUNTER, "verdicts that were there already", ("rule",), _RULES),
    Metric("sweep_unknown_total", _S, _COUNTER, "candidates without a request in the table", ("rule",), _RULES),
    Metric(
        "sweep_skipped_total",
        _S,
        _COUNTER,
        "passes that judged nobody, or not everybody",
        ("reason",),
        ("behind", "braked", "locked", "no_activity", "truth_away", "unavailable"),
    ),
    Metric("sweep_held_total", _S, _COUNTER, "stuck verdicts that were held back"),
    Metric("sweep_last_pass_timestamp_seconds", _S, _LARGEST, "when the last pass that judged ended"),
    Metric("sweep_interval_seconds", _S, _LARGEST, "the setting: time between two passes"),
    Metric("sweep_unconfirmed_seconds", _S, _LARGEST, "age of the oldest verdict that is not projected, else 0"),
    Metric("push_sent_total", _P, _COUNTER, "replies that were sent", ("target",)),
    Metric("push_told_by_platform_total", _P, _COUNTER, "replies that the platform had sent already", ("target",)),
    Metric("push_failed_total", _P, _COUNTER, "tries that sent no reply", ("target", "reason")),
    Metric("push_last_pass_timestamp_seconds", _P, _LARGEST, "when the last look for due replies ended"),
    Metric("delegations", _D, _LARGEST, "delegations in flight", ("status",), tuple(map(str, sorted(IN_FLIGHT)))),
    Metric("oldest_in_flight_seconds", _D, _LARGEST, "age of the oldest request in flight, else 0"),
    Metric("oldest_silent_seconds", _D, _LARGEST, "longest time without an event, of those in flight, else 0"),
    Metric("overdue", _D, _LARGEST, "delegations in flight after their deadline"),
    Metric("parked", _D, _LARGEST, "parked events, those of repeated requests aside"),
    Metric("parked_oldest_seconds", _D, _LARGEST, "age of the oldest of these parked events, else 0"),
    Metric("parked_of_repeated_requests", _D, _LARGEST, "parked events that no request will apply"),
    Metric("dead_letters", _D, _LARGEST, "dead letters"),
    Metric("dead_letters_newest_timestamp_seconds", _D, _LARGEST, "when the latest dead letter was written"),
    Metric("push_due", _D, _LARGEST, "replies that are due"),
    Metric("push_oldest_due_seconds", _D, _LARGEST, "how long the oldest due reply waits, else 0"),
    Metric("push_given_up", _D, _LARGEST, "replies that were given up"),
    Metric("push_expired", _D, _LARGEST, "replies that have expired"),
    Metric("verify_drift", _D, _LARGEST, "delegations that differed in the last comparison"),
    Metric("verify_last_success_timestamp_seconds", _D, _LARGEST, "when the view was last proved equal"),
    Metric("rebuild_progress_ratio", _D, _LARGEST, "share of the topic that the running verify or rebuild has read"),
    Metric("log_gap", _D, _LARGEST, "1 if a position is before the log's beginning, or of another topic"),
)

METRICS = {metric.name: metric for metric in _TABLE}
"""Name → metric. docs/metrics.md describes each."""
