"""The metrics: their names, the numbers of one process, and those of several as one."""

import time
from collections.abc import Callable
from functools import partial

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from projector.worker.exposition import ReportedMetrics
from projector.worker.health import FRESH_SECONDS, Health, Report
from projector.worker.meters import Meters, Sample, merged
from projector.worker.metrics import METRICS, Kind, Part, State

Key = tuple[str, tuple[str, ...]]


def shown(reports: dict[str, Report | None], collector: ReportedMetrics | None = None) -> dict[Key, float]:
    """The series of a scrape: name without prefix and label values, in the order of their names → number."""
    registry = CollectorRegistry()
    registry.register(collector or ReportedMetrics(lambda: reports))
    families = text_string_to_metric_families(generate_latest(registry).decode())
    return {
        (
            sample.name.removeprefix("projector_"),
            tuple(value for _, value in sorted(sample.labels.items())),
        ): sample.value
        for family in families
        for sample in family.samples
    }


def report(*samples: Sample, age: float = 0.0, healthy: bool = True, kind: State = State.WORKING) -> Report:
    return Report(at=time.time() - age, healthy=healthy, state="projecting", kind=kind, metrics=list(samples))


def test_counted_things_are_added_up() -> None:
    one: list[Sample] = [("records_total", ("stale",), [3.0]), ("batch_records", (), [1.0] * 11)]
    other: list[Sample] = [("records_total", ("stale",), [4.0]), ("batch_records", (), [2.0] * 11)]
    assert merged([one, other]) == {("records_total", ("stale",)): [7.0], ("batch_records", ()): [3.0] * 11}


def test_of_a_gauge_one_number_counts() -> None:
    one: list[Sample] = [("lag_records", ("t", "0"), [3.0]), ("log_idle_seconds", (), [3.0])]
    other: list[Sample] = [("lag_records", ("t", "0"), [4.0]), ("log_idle_seconds", (), [4.0])]
    assert merged([one, other]) == {("lag_records", ("t", "0")): [4.0], ("log_idle_seconds", ()): [3.0]}


def test_names_of_another_release_are_left_out() -> None:
    assert merged([[("records_of_tomorrow", (), [1.0])]]) == {}


def test_old_report_keeps_its_counters_and_loses_its_gauges() -> None:
    counted: Sample = ("records_total", ("stale",), [3.0])
    lag: Sample = ("lag_records", ("t", "0"), [9.0])
    reports: dict[str, Report | None] = {"member 1": report(counted), "member 2": report(counted, lag)}
    assert shown(reports)["lag_records", ("0", "t")] == 9.0
    reports["member 2"] = report(counted, lag, age=FRESH_SECONDS + 1)
    found = shown(reports)
    assert found["records_total", ("stale",)] == 6.0
    assert ("lag_records", ("0", "t")) not in found


def test_report_of_a_clock_that_was_set_back_is_not_shown() -> None:
    found = shown({"run": report(("lag_records", ("t", "0"), [9.0]), age=-FRESH_SECONDS - 10)})
    assert ("lag_records", ("0", "t")) not in found
    assert found["healthy", ("run",)] == 0.0


def test_counters_never_go_down_while_the_process_lives() -> None:
    """The file of a member that hangs is old, and one that is lost cannot be read."""
    reports: dict[str, Report | None] = {}
    collector, totals = ReportedMetrics(lambda: reports), []
    counted: Sample = ("records_total", ("stale",), [3.0])
    for latest in (report(counted), report(counted, age=99), None, report(("records_total", ("stale",), [5.0]))):
        reports["member 1"], reports["member 2"] = report(counted), latest
        totals.append(shown(reports, collector)["records_total", ("stale",)])
    assert totals == [6.0, 6.0, 6.0, 8.0]


@pytest.mark.parametrize(
    ("latest", "state", "healthy"),
    [
        (report, State.WORKING, 1.0),
        (partial(report, healthy=False, kind=State.WAITING), State.WAITING, 0.0),
        (partial(report, age=FRESH_SECONDS + 1), State.HUNG, 0.0),
        (lambda: None, State.HUNG, 0.0),
    ],
    ids=["working", "waiting", "hung", "started"],
)
def test_each_process_has_one_state(latest: Callable[[], Report | None], state: State, healthy: float) -> None:
    found = shown({"run": latest()})
    assert [name for (metric, name), value in found.items() if metric == "state" and value] == [("run", str(state))]
    assert found["healthy", ("run",)] == healthy
    assert len([1 for metric, _ in found if metric == "state"]) == len(State)


@pytest.mark.parametrize("part", [Part.RUN, Part.SWEEP])
def test_counters_begin_with_0(part: Part) -> None:
    """Without a first number, Prometheus' `increase` does not see the first dead letter."""
    meters = Meters()
    meters.begin(part)
    started = {name for name, _, numbers in meters.samples() if not any(numbers)}
    assert started == {
        name for name, each in METRICS.items() if each.part is part and each.kind in (Kind.COUNTER, Kind.HISTOGRAM)
    }
    labels = {labels for name, labels, _ in meters.samples() if name == "sweep_skipped_total"}
    assert (("braked",) in labels) == (part is Part.SWEEP)


def test_histogram_counts_up_to_each_limit() -> None:
    meters = Meters()
    for seconds in (0.004, 0.3, 400.0):
        meters.observe("batch_seconds", seconds)
    found = shown({"run": report(*meters.samples())})
    counts = {labels[0]: value for (name, labels), value in found.items() if name == "batch_seconds_bucket"}
    assert (counts["0.005"], counts["0.5"], counts["300.0"], counts["+Inf"]) == (1, 2, 2, 3)
    assert found["batch_seconds_sum", ()] == pytest.approx(400.304)


def test_report_holds_the_numbers_of_that_moment() -> None:
    health = Health(None)
    health.meters.add("fenced_total")
    health.report(healthy=True, state="projecting")
    health.meters.add("fenced_total")
    assert health.latest
    assert health.latest.metrics == [("fenced_total", (), [1.0])]


def test_no_label_names_a_delegation_or_a_workspace() -> None:
    """There is no limit to them: Prometheus would keep a series for each."""
    allowed = {"version", "process", "state", "outcome", "status", "topic", "partition", "reason", "rule", "target"}
    assert {label for each in METRICS.values() for label in each.labels} == allowed


def test_names_follow_the_rules_of_prometheus() -> None:
    for name, metric in METRICS.items():
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER), name
        assert metric.kind is not Kind.HISTOGRAM or list(metric.buckets) == sorted(metric.buckets), name
        assert not name.endswith(("_ms", "_milliseconds", "_minutes", "_count")), name
