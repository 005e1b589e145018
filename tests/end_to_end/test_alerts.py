"""deploy/prometheus/rules.yaml and deploy/grafana/dashboard.json, with the series that real processes export.

Each alert has a case in which it alone fires, and one that is nearly the same in which nothing fires.
"""

import json
import re
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from alert_cases import CASES, MINUTES, STEADY, Case
from cluster import wait_until
from prometheus_client.samples import Sample
from psycopg import sql
from psycopg.conninfo import make_conninfo
from scraping import Scrape, answer_of, free_address
from stage import PUSH, Stage
from topics import create_topic

from projector.postgres import migrations
from projector.worker.metrics import METRICS, PREFIX
from testbed.servers.start import Postgres
from testbed.workload import Record
from testbed.workload.acting import answers
from testbed.workload.silences import fills_the_history

ROOT = Path(__file__).parents[2]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"
GRAFANA = ROOT / "deploy" / "grafana" / "dashboard.json"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
USED = set(re.findall(rf"\b{PREFIX}(\w+)", RULES.read_text()))


@pytest.fixture(scope="module")
def exported(
    logical_postgres: Postgres, kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, list[Sample]]]:
    """What a parent with all its processes exports, and what the dashboard does: instance → samples."""
    name, topic = f"alerts_{uuid.uuid4().hex[:12]}", create_topic(kafka)
    with closing(psycopg.connect(logical_postgres.url, autocommit=True)) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = make_conninfo(logical_postgres.url, dbname=name)
    with psycopg.connect(url) as conn:
        migrations.up(conn)
    stage = Stage(url, kafka, topic, tmp_path_factory.mktemp("alerts"))
    try:
        yield _scraped(stage)
    finally:
        stage.end()


def _scraped(stage: Stage) -> dict[str, list[Sample]]:
    addresses = {"run": free_address(), "dashboard": free_address()}
    settings = {**PUSH, "sweep_interval_seconds": "60", "push_interval_seconds": "1"}
    parent = ("--members", "2", "--with-sweep", "--with-push")
    stage.cluster.start_member(*parent, http_address=addresses["run"], **settings)
    stage.play(fills_the_history)
    stage.play(answers, 3)
    stage.cluster.publish([Record(b"key", b"no json", int(time.time() * 1000))])
    stage.settle()
    wait_until(lambda: stage.query("SELECT FROM projector.passes WHERE kind = 'sweep'"), "a pass of the sweeper")
    stage.last_line("verify", "--json")
    tokens = {"dashboard_tokens": "0123456789abcdef", "dashboard_address": "127.0.0.1:0"}
    stage.start("dashboard", http_address=addresses["dashboard"], **tokens)
    found: dict[str, list[Sample]] = {}

    def has_all() -> bool:
        if any((answer := answer_of(each, "/readyz")) is None or answer.status != 200 for each in addresses.values()):
            return False
        found.update({name: Scrape(address).samples for name, address in addresses.items()})
        return names(found) >= {*METRICS} - {"rebuild_progress_ratio"}

    try:
        wait_until(has_all, "all metrics")
    except AssertionError:
        raise AssertionError(f"not exported: {sorted({*METRICS} - names(found))}") from None
    return found


def names(exported: dict[str, list[Sample]]) -> set[str]:
    """The metrics, of a histogram without the ending of its series."""
    series = {sample.name.removeprefix(PREFIX) for samples in exported.values() for sample in samples}
    return {re.sub("_(bucket|count|sum)$", "", name) for name in series}


def input_series(exported: dict[str, list[Sample]], changed: dict[str, str | None]) -> list[dict[str, str]]:
    """The exported series that rules use, steady at the numbers that they had, and with these changes."""
    found, unused = [], set(changed)
    for instance, samples in exported.items():
        for sample in samples:
            name = sample.name.removeprefix(PREFIX)
            if name not in USED:
                continue
            labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
            values: str | None = f"{sample.value:.3f}{STEADY}"
            if name.endswith("_timestamp_seconds"):
                values = f"0+60{STEADY}"
            for wanted in (name, f"{name}{{{labels}}}", *(f"{name}{{{label}}}" for label in labels.split(","))):
                if wanted in changed:
                    values = changed[wanted]
                    unused.discard(wanted)
            if values is not None:
                own = f'instance="{instance}",job="projector"'
                found.append({"series": f"{sample.name}{{{labels + ',' if labels else ''}{own}}}", "values": values})
    assert not unused, f"no process exports {unused}"
    return found


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    tool = shutil.which("promtool")
    assert tool, "promtool is missing: install the package `prometheus` of Debian, or a release of Prometheus"
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=120, check=False)


def compare(exported: dict[str, list[Sample]], folder: Path, *cases: Case) -> subprocess.CompletedProcess[str]:
    """Let promtool compare which alerts fire at the end of each case."""
    expr = 'count by (alertname) (ALERTS{alertstate="firing"})'
    tests: list[dict[str, Any]] = []
    for series, fires in cases:
        samples = [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(fires)]
        check = {"expr": f"{expr} > bool 0", "eval_time": f"{MINUTES}m", "exp_samples": samples}
        tests.append({"interval": "1m", "input_series": input_series(exported, series), "promql_expr_test": [check]})
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    return promtool("test", "rules", str(file))


def test_promtool_accepts_the_rules() -> None:
    done = promtool("check", "rules", str(RULES))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_has_its_cases() -> None:
    assert set(CASES) == set(ALERTS)


def test_nothing_fires_while_all_is_well(exported: dict[str, list[Sample]], tmp_path: Path) -> None:
    done = compare(exported, tmp_path, Case({}, set()))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", CASES)
def test_alert_fires_when_it_must_and_not_before(exported: dict[str, list[Sample]], tmp_path: Path, alert: str) -> None:
    firing, quiet = CASES[alert]
    assert alert in firing.fires - quiet.fires
    done = compare(exported, tmp_path, firing, quiet)
    assert done.returncode == 0, done.stdout + done.stderr


def test_description_has_the_number(exported: dict[str, list[Sample]], tmp_path: Path) -> None:
    series = input_series(exported, {"push_oldest_due_seconds": f"130{STEADY}"})
    rule = ALERTS["PushLate"]
    annotations = {**rule["annotations"], "description": "The oldest due reply waits for 2m 10s."}
    expected = {"exp_labels": rule["labels"], "exp_annotations": annotations}
    check = {"eval_time": "60m", "alertname": "PushLate", "exp_alerts": [expected]}
    tests = [{"interval": "1m", "input_series": series, "alert_rule_test": [check]}]
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    done = promtool("test", "rules", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [RULES, GRAFANA], ids=lambda file: file.name)
def test_every_metric_that_is_used_is_exported(exported: dict[str, list[Sample]], file: Path) -> None:
    used = set(re.findall(r"\bprojector_(\w+)", file.read_text()))
    assert {re.sub("_(bucket|count|sum)$", "", name) for name in used} <= names(exported) | {"rebuild_progress_ratio"}


def test_every_label_that_is_used_is_exported(exported: dict[str, list[Sample]]) -> None:
    values = {
        (sample.name, key, value)
        for samples in exported.values()
        for sample in samples
        for key, value in sample.labels.items()
    }
    used = re.findall(r'(projector_\w+)\{(\w+)(=~|!=|=)\\?"([^"\\]+)', RULES.read_text() + GRAFANA.read_text())
    for name, label, _, wanted in used:
        for value in wanted.split("|"):
            assert (name, label, value) in values, f"{name}{{{label}={value}}}"


def test_grafana_asks_the_source_of_its_variable() -> None:
    board = json.loads(GRAFANA.read_text())
    assert board["uid"] == "delegations-projector"
    [variable] = [each for each in board["templating"]["list"] if each["type"] == "datasource"]
    panels = [each for each in board["panels"] if each["type"] not in ("row", "text")]
    assert {panel["datasource"]["uid"] for panel in panels} == {f"${{{variable['name']}}}"}
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert all(target["expr"] for panel in panels for target in panel["targets"])
