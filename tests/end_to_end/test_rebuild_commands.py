"""`projector verify` and `projector rebuild` as commands: output, refused arguments, questions and exit codes."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import run_projector
from reconciling import Log, change, plant, request
from rows import answer

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


def test_report_for_a_person(drifted: Log) -> None:
    found = drifted.run("verify", log_format="json")
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
        f'             "\\x1b[2J\\nnot a line of its own": {missing.format(3)}',
        f"             b: {missing.format(1)}",
        "           1 in the view, and not in the source",
        f"             planted: {unexpected}",
        "           1 with other values than in the source",
        "             a: status is queued, and completed in the source; result_preview is x, and one in the source",
        "           1 with other events parked",
        "             c: parked is 0, and 1 in the source",
        "columns that differ: status 1, result_preview 1",
        "the view has drifted in 5 delegations: `projector rebuild` repairs it",
    ]


def test_json_report_then_dry_run_then_repair(drifted: Log) -> None:
    versions = drifted.versions()
    found = drifted.run("verify", "--json")
    report = found.json()
    examples = {each["delegation_id"]: each for each in report.pop("examples")}
    assert (found.code, report) == (
        3,
        {
            "source": f"topic {drifted.name}",
            "records": 5,
            "resumed": False,
            "unreadable": 0,
            "compared": 4,
            "drift": 5,
            "not_covered": 0,
            "ahead": 0,
            "pending_events": 0,
            "order_not_told": 0,
            "verdict_not_told": 0,
            "not_remembered": 0,
            "pruned": 0,
            "kinds": {"missing": 2, "unexpected": 1, "differs": 1, "parked": 1},
            "columns": {"status": 1, "result_preview": 1},
        },
    )
    assert examples.keys() == {"a", "b", "c", "planted", ESCAPE}
    assert examples["a"]["columns"]["status"] == {"view": "queued", "log": "completed"}
    dry = drifted.run("rebuild", "--dry-run", "--json")
    assert (dry.code, dry.json()["drift"], dry.json()["written"]) == (0, 5, None)
    assert drifted.versions() == versions
    repaired = drifted.run("rebuild", "--only", "b", "a")
    assert repaired.out.splitlines()[-1] == (
        "the selection equals the source now: 1 row inserted, 1 updated, 0 deleted"
    )
    done = drifted.run("rebuild", "--yes", "--json").json()
    run_id = done["written"].pop("run_id")
    assert done["written"] == {"inserted": 1, "updated": 0, "deleted": 1, "parked": 1, "remembered": 0, "kept": 1}
    assert (done["still_differ"], done["triggers"]) == (0, [])
    assert drifted.run("deleted", "list", "--json").json()["deleted"][0]["run_id"] == run_id
    equal = drifted.run("verify")
    assert (equal.code, equal.out.splitlines()[-1]) == (0, "the view equals the source")


def test_dry_run_and_empty_repair_for_a_person(log: Log) -> None:
    assert log.run("rebuild").out.endswith("the view equals the source: nothing to write\n")
    assert log.run("rebuild", "--only", "b").out.endswith("the selection equals the source: nothing to write\n")
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    assert log.run("rebuild", "--dry-run").out.endswith(
        "insert 1 row, update 0, delete 0; replace the parked events of 0 delegations; "
        "nothing was written, because of --dry-run\n"
    )


def test_report_names_the_rebuild_command_with_its_source(drifted: Log, tmp_path: Path) -> None:
    path = tmp_path / "an export.jsonl"
    path.write_text(json.dumps(request(0, "b")))
    found = drifted.run("verify", "--from", str(path))
    assert found.code == 3
    assert found.out.endswith(f"1 delegation: `projector rebuild --from '{path}'` repairs it\n")


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
        (["rebuild", "--only", ""], "Option '--only' has an empty value"),
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
        refused = log.run("rebuild")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "projector: another verify, rebuild, prune or erase is running: host/1, since 2025-05-05 10:00:00 UTC; "
        "wait until it ends, or stop it\n"
    )
