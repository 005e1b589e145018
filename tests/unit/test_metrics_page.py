"""docs/metrics.md and docs/monitoring.md: the values of labels, the alerts, and no metric that does not exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from projector.sweep.report import Report
from projector.worker.metrics import METRICS, PREFIX

ROOT = Path(__file__).parents[2]
METRICS_PAGE = (ROOT / "docs" / "metrics.md").read_text()
PAGE = (ROOT / "docs" / "monitoring.md").read_text()
RUNBOOKS = (ROOT / "docs" / "runbooks.md").read_text()
GROUPS = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules.yaml").read_text())["groups"]
ALERTS: dict[str, Any] = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}


def rows(page: str, beginning: str) -> list[str]:
    return re.findall(rf"^\| {beginning}.*$", page, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.label_values])
def test_values_of_a_label_are_described(name: str) -> None:
    """In the row of the metric, or of the first one with this label."""
    [label] = METRICS[name].labels
    described = " ".join(row for row in rows(METRICS_PAGE, f"`{PREFIX}") if f" `{label}` |" in row)
    if name != "records_total":  # docs/delegations.md has the outcomes
        assert [value for value in METRICS[name].label_values if not re.search(rf"\b{value}\b", described)] == []


@pytest.mark.parametrize("page", [PAGE, METRICS_PAGE], ids=["monitoring", "metrics"])
def test_page_names_no_other_metric(page: str) -> None:
    assert set(re.findall(rf"{PREFIX}(\w+)", page)) <= set(METRICS)


def test_every_alert_is_described_with_its_time_and_severity() -> None:
    described = {}
    for row in rows(PAGE, r"\["):
        name, _, lasts, severity, _ = (cell.strip() for cell in row.strip("| ").split(" | "))
        described[name.partition("]")[0].strip("[")] = (lasts.removesuffix(" min"), severity)
    wanted = {
        name: (rule.get("for", "0").removesuffix("m"), rule["labels"]["severity"]) for name, rule in ALERTS.items()
    }
    assert described == wanted


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_has_a_summary_and_a_runbook(alert: str) -> None:
    notes = ALERTS[alert]["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["runbook_url"] == f"docs/runbooks.md#{alert.lower()}"
    section = RUNBOOKS.partition(f"\n### {alert}\n")[2].partition("\n### ")[0]
    assert len(section.split()) > 10, "the runbook says what to do"


def test_line_of_a_pass_has_the_names_of_its_metrics() -> None:
    """docs/monitoring.md says so of `swept`."""
    fields = {*Report().as_json(), "unconfirmed_seconds"}
    names = {name.removeprefix("sweep_").removesuffix("_total") for name in METRICS if name.startswith("sweep_")}
    assert names - {"last_pass_timestamp_seconds", "interval_seconds"} <= fields
    [row] = rows(PAGE, "`swept`")
    assert set(re.findall(r"`(\w+)`", row)) - {"swept"} <= names


def test_links_within_the_page_have_targets() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(.*?)\)", PAGE)) <= headings
