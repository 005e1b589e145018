"""`projector verify` and `projector rebuild` as commands: output, refused arguments, questions and exit codes."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from activity_table import create_activity_table
from cluster import Cluster
from commands import CommandResult, environment, run_projector
from projecting import query as query
from psycopg import sql
from reconciling import Log, change, plant, request
from rows import CALLER, answer

ESCAPE = "\x1b[2J\nnot a line of its own"


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a"), request(1, "b"), answer(2, "completed", of="a", text="one"), request(3, ESCAPE))
        yield log.produce(answer(4, "failed", of="c")).project()


@pytest.fixture
def drifted(log: Log) -> Log:
    change(log, "UPDATE delegations SET status = 'queued', result_preview = 'x' WHERE delegation_id = 'a'")
    change(log, "DELETE FROM delegations WHERE delegation_id <> 'a'")
    plant(log, "planted", 60)
    change(log, "DELETE FROM parked")
    return log


def settings(log: Log, **others: str) -> dict[str, str]:
    return {"database_url": log.url, "bootstrap_servers": log.kafka, "topic": log.name, **others}


def run(log: Log, *arguments: str, **others: str) -> CommandResult:
    return run_projector(*arguments, **settings(log, **others))


def test_report_for_a_person(drifted: Log) -> None:
    found = run(drifted, "verify", log_format="json")
    assert found.code == 3
    assert [json.loads(line)["message"] for line in found.err.splitlines()] == [
        "folding",
        "comparing",
        "checking again",
    ]
    missing = "status queued, created_at 2025-05-05 10:0{}:00+00:00"
    unexpected = "status queued, created_at 2025-05-05 11:00:00+00:00"
    assert found.out.splitlines() == [
        f"compared with topic {drifted.name}: 5 records folded",
        "           2 missing from the view",
        f"             \\x1b[2J\\nnot a line of its own: {missing.format(3)}",
        f"             b: {missing.format(1)}",
        "           1 in the view, and not in the source",
        f"             planted: {unexpected}",
        "           1 with other values than in the source",
        "             a: status is queued, and completed in the source; result_preview is x, and one in the source",
        "           1 with other events parked",
        "             c: parked is 0, and 1 in the source",
        "columns that differ: status 1, result_preview 1",
        "the view has drifted in 5 delegations: `projector rebuild` repairs them",
    ]


def test_json_report_then_dry_run_then_repair(drifted: Log) -> None:
    versions = drifted.versions()
    found = run(drifted, "verify", "--json")
    report = found.json()
    examples = {each["delegation_id"]: each for each in report.pop("examples")}
    assert (found.code, report) == (
        3,
        {
            "source": f"topic {drifted.name}",
            "records": 5,
            "drift": 5,
            "not_covered": 0,
            "ahead": 0,
            "kinds": {"missing": 2, "unexpected": 1, "differs": 1, "parked": 1},
            "columns": {"status": 1, "result_preview": 1},
        },
    )
    assert examples.keys() == {"a", "b", "c", "planted", ESCAPE}
    assert examples["a"]["columns"]["status"] == {"view": "queued", "log": "completed"}
    dry = run(drifted, "rebuild", "--dry-run", "--json")
    assert (dry.code, dry.json()["drift"], dry.json()["written"]) == (0, 5, None)
    assert drifted.versions() == versions
    repaired = run(drifted, "rebuild", "--only", "b", "a")
    assert repaired.out.splitlines()[-1] == (
        "the selection equals the source now: 1 rows inserted, 1 updated, 0 deleted"
    )
    written = run(drifted, "rebuild", "--json").json()["written"]
    assert written == {"inserted": 1, "updated": 0, "deleted": 1}
    equal = run(drifted, "verify")
    assert (equal.code, equal.out.splitlines()[-1]) == (0, "the view equals the source")


def test_dry_run_and_empty_repair_for_a_person(log: Log) -> None:
    assert run(log, "rebuild").out.endswith("the view equals the source: nothing to write\n")
    assert run(log, "rebuild", "--only", "b").out.endswith("the selection equals the source: nothing to write\n")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    assert run(log, "rebuild", "--dry-run").out.endswith(
        "1 delegations would be written; nothing was written, because of --dry-run\n"
    )


def test_report_names_the_rebuild_command_with_its_source(drifted: Log, tmp_path: Path) -> None:
    path = tmp_path / "an export.jsonl"
    path.write_text(json.dumps(request(0, "b")))
    found = run(drifted, "verify", "--from", str(path))
    assert found.code == 3
    assert found.out.endswith(f"1 delegations: `projector rebuild --from '{path}'` repairs them\n")


def test_empty_topic_is_a_success(database_url: str, kafka: str, topic: str) -> None:
    with Log(database_url, kafka, topic) as log:
        plant(log, "adopted", 0)
        verified, rebuilt = run(log, "verify"), run(log, "rebuild")
        assert (verified.code, rebuilt.code) == (0, 0)
        assert "           1 not covered: the source lacks their history, they stay as they are\n" in verified.out
        assert verified.out.endswith("there is nothing to compare with: the source is empty\n")
        assert rebuilt.out.endswith("there is nothing to rebuild from: the source is empty\n")
        assert log.rows().keys() == {"adopted"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["verify", "--sample", "0"], "--sample': must be a whole number from 1 on: found '0'"),
        (["verify", "--sample", "many"], "--sample': must be a whole number from 1 on: found 'many'"),
        (
            ["verify", "--from", "no such file"],
            "--from no such file: there is no such file; name topic, activity-logs or recordings",
        ),
        (["rebuild", "--only", "d" * 513], "--only: "),
        (["rebuild", "--only", ""], "--only: "),
        (
            ["rebuild", "--drop-uncovered"],
            "this would delete all rows whose history the source does not hold, for good: add --yes to do it",
        ),
    ],
)
def test_invalid_arguments_are_refused_with_a_sentence(
    arguments: list[str], sentence: str, database_url: str, kafka: str, topic: str
) -> None:
    refused = run_projector(*arguments, database_url=database_url, bootstrap_servers=kafka, topic=topic)
    assert (refused.code, refused.out) == (2, "")
    assert sentence in refused.err
    assert "Traceback" not in refused.err


def test_refusal_names_the_run_in_progress(log: Log) -> None:
    with log.connections() as (view, _):
        view.execute("SELECT pg_advisory_lock(hashtext('delegations projector: shadow'))")
        view.execute(
            """
            INSERT INTO projector_shadow.work (source, owner, since, coverage, carried_over)
            VALUES ('', 'host/1', '2025-05-05 10:00Z', '{}', 0)
            """
        )
        refused = run(log, "rebuild")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "projector: another verify or rebuild is running: host/1, since 2025-05-05 10:00:00 UTC; "
        "wait until it ends, or stop it\n"
    )


# --- the confirmation


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("no\n", 2), ("\x04", 2)], ids=["yes", "no", "end"])
def test_drop_uncovered_asks_on_a_terminal(log: Log, typed: str, code: int) -> None:
    plant(log, "adopted", -60)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "rebuild", "--drop-uncovered", "--json"]
    asking = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(settings(log))
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    out, err = asking.communicate(timeout=60)
    os.close(ours)
    assert asking.returncode == code, err
    assert b"for good. Type yes to continue: " in err
    assert ("adopted" in log.rows()) == (code != 0)
    if code == 0:
        assert json.loads(out)["written"] == {"inserted": 0, "updated": 0, "deleted": 1}
    else:
        assert err.endswith(b"nothing was done\n")


def test_drop_uncovered_with_yes_asks_nothing(log: Log) -> None:
    plant(log, "adopted", -60)
    assert run(log, "rebuild", "--drop-uncovered", "--dry-run").out.endswith("because of --dry-run\n")
    assert run(log, "rebuild", "--drop-uncovered", "--yes").out.endswith("0 rows inserted, 0 updated, 1 deleted\n")


# --- the platform's table, and the gap that it repairs


@pytest.fixture
def platform(database_url: str, maintenance: psycopg.Connection) -> Iterator[str]:
    """The platform's own database."""
    name = database_url.rsplit("/", 1)[1] + "_platform"
    maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = database_url.rsplit("/", 1)[0] + "/" + name
    create_activity_table(url)
    yield url
    maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def write(platform: str, *rows: dict[str, Any]) -> None:
    with psycopg.connect(platform) as conn:
        for row in rows:
            conn.execute(
                """
                INSERT INTO activity_logs
                SELECT * FROM jsonb_populate_record(NULL::activity_logs,
                                                    %s::jsonb || jsonb_build_object('id', gen_random_uuid()))
                """,
                [json.dumps({"workspace_id": CALLER, **row})],
            )


def test_activity_table_is_read_where_the_setting_names(log: Log, platform: str) -> None:
    write(platform, request(0, "a", status="completed", response_body={"text": "one"}), request(1, "b"))
    missing = run(log, "verify", "--from", "activity-logs")
    assert missing.code == 2
    assert "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL" in missing.err
    found = run(log, "verify", "--from", "activity-logs", "--json", activity_database_url=platform).json()
    assert (found["source"], found["drift"], found["not_covered"]) == ("table activity_logs", 0, 1)


def test_gap_stops_a_member_until_the_named_rebuild(cluster: Cluster, log: Log, platform: str) -> None:
    deleted = [answer(10, "completed", of="b", text="two"), request(11, "lost")]
    write(platform, request(0, "a", status="completed", response_body={"text": "one"}), request(1, "b"), *deleted)
    log.produce(*deleted, request(12, "next")).shorten({0: 7})
    stopped = cluster.start_member(log_format="human")
    assert stopped.exit_code() == 4
    (sentence,) = [line for line in stopped.text().splitlines() if line.startswith("projector: ")]
    assert f"partition 0 of {log.name} was projected up to offset 5, and the partition holds 7 to 8" in sentence
    assert "2 records were deleted by retention" in sentence
    assert "`projector rebuild --from activity-logs` repairs it" in sentence
    refused = run(log, "verify")
    assert refused.code == 4
    assert "`projector rebuild --from activity-logs` repairs it" in refused.err
    repaired = run(log, "rebuild", "--from", "activity-logs", activity_database_url=platform)
    assert (repaired.code, repaired.out.splitlines()[-1]) == (
        0,
        "the view equals the source now: 1 rows inserted, 1 updated, 0 deleted",
    )
    cluster.start_member().wait_for_log("partition claimed", times=3)
    cluster.wait_until_more_projected_than(7)
    assert log.statuses() == {"a": "completed", "b": "completed", "lost": "queued", "next": "queued", ESCAPE: "queued"}
    assert query(log.conn, "SELECT result_preview FROM delegations WHERE delegation_id = 'b'") == ["two"]
    assert run(log, "verify").code == 0
