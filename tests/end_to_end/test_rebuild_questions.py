"""`projector rebuild` asks before it deletes, and neither command is green where nothing was proved."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import environment
from reconciling import Log, change, plant, request
from rows import answer

ESCAPE = "\x1b[2J\nnot a line of its own"


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a"), request(1, "b"), answer(2, "completed", of="a", text="one"), request(3, ESCAPE))
        yield log.produce(answer(4, "failed", of="c")).project()


# --- the question


PLAN = "the plan: insert 0 rows, update 0, delete 1; replace the parked events of 0 delegations"


@pytest.mark.parametrize(("typed", "code"), [("yes\n", 0), ("no\n", 1), ("\x04", 1)], ids=["yes", "no", "end"])
@pytest.mark.parametrize("json_output", [False, True], ids=["text", "json"])
def test_rebuild_asks_on_a_terminal_before_it_deletes(log: Log, typed: str, code: int, json_output: bool) -> None:
    plant(log, "planted", 60)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "rebuild", *(["--json"] if json_output else [])]
    asking = subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(log.settings())
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    out, err = (each.decode() for each in asking.communicate(timeout=60))
    os.close(ours)
    assert asking.returncode == code, err
    question = f"This would delete 1 of the 4 rows of the view, because topic {log.name} does not have them. Type yes"
    assert question in err
    assert PLAN in (err if json_output else out).splitlines()
    assert ("planted" in log.rows()) == (code != 0)
    if code:
        assert err.endswith("projector: nothing was done\n")
    elif json_output:
        assert json.loads(out)["written"]["deleted"] == 1
    else:
        assert "the view equals the source now: 0 rows inserted, 0 updated, 1 deleted" in out


def test_without_a_terminal_nothing_is_deleted(log: Log) -> None:
    plant(log, "planted", 60)
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    refused = log.run("rebuild")
    assert refused.code == 1
    assert "             planted: status queued" in refused.out
    assert refused.err.endswith(
        f"projector: this would delete 1 of the 3 rows of the view, because topic {log.name} does not have them: "
        "add --yes to do it\n"
    )
    assert log.rows().keys() == {"a", ESCAPE, "planted"}
    done = log.run("rebuild", "--yes")
    assert done.code == 0
    assert done.out.startswith(
        f"compared with topic {log.name}: 0 records folded, the others by an earlier run that did not finish\n"
    )
    assert "1 row inserted, 0 updated, 1 deleted (`projector deleted restore --run " in done.out


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- 2>&-"])
def test_closed_streams_answer_no_question(log: Log, closed: str) -> None:
    plant(log, "planted", 60)
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "projector", "rebuild"]
    asking = subprocess.run(shell, capture_output=True, text=True, env=environment(log.settings()), timeout=60)
    assert asking.returncode == 1
    assert "Traceback" not in asking.stderr
    assert asking.stderr.endswith(": add --yes to do it\n") or "2>&-" in closed
    assert "planted" in log.rows()


def test_nothing_is_asked_where_nothing_is_deleted(log: Log) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    done = log.run("rebuild")
    assert (done.code, done.out.splitlines()[-2:]) == (
        0,
        [
            "the plan: insert 1 row, update 0, delete 0; replace the parked events of 0 delegations",
            "the view equals the source now: 1 row inserted, 0 updated, 0 deleted",
        ],
    )


def test_drop_uncovered_asks_too(log: Log) -> None:
    plant(log, "adopted", -60)
    assert "delete 1; replace" in log.run("rebuild", "--drop-uncovered", "--dry-run").out
    refused = log.run("rebuild", "--drop-uncovered")
    assert (refused.code, "adopted" in log.rows()) == (1, True)
    assert log.run("rebuild", "--drop-uncovered", "--yes").code == 0
    assert "adopted" not in log.rows()


# --- young rows


def test_young_row_without_an_event_is_reported_and_spared(log: Log) -> None:
    change(log, "UPDATE delegations SET delegation_id = 'young', created_at = now() WHERE delegation_id = 'b'")
    found = log.run("verify")
    assert found.code == 3
    assert "           1 pending event: in the view, young, and not in the source yet; not repaired\n" in found.out
    assert "             young: status queued, created_at " in found.out
    assert log.run("rebuild").code == 0
    equal = log.run("verify")
    expected = "the view equals the source. This is not proved for 1 pending event"
    assert (equal.code, equal.out.splitlines()[-1]) == (0, expected)
    assert "young" in log.rows()
    assert log.run("verify", rebuild_grace_seconds="0").code == 3


# --- nothing was compared


def empty(tmp_path: Path, content: str = "") -> str:
    path = tmp_path / "some.jsonl"
    path.write_text(content)
    return str(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "it is empty"),
        ("hello\n", "none of its records could be read"),
        ('{"activity_type": "chat"}\n', "it has no record about a delegation that was to be compared"),
    ],
    ids=["empty", "unreadable", "unrelated"],
)
def test_source_without_delegations_proves_nothing(log: Log, tmp_path: Path, content: str, reason: str) -> None:
    path = empty(tmp_path, content)
    for command in (["verify"], ["rebuild"], ["rebuild", "--dry-run"]):
        found = log.run(*command, "--from", path)
        assert found.code == 6, found.out
        assert found.out.endswith(
            f"nothing was compared with recordings {path}: {reason}. This proves nothing about the view\n"
        )
        assert "equals" not in found.out
    printed = log.run("verify", "--from", path, "--json")
    assert (printed.code, printed.json()["compared"]) == (6, 0)


def test_unreadable_records_are_counted(log: Log, tmp_path: Path) -> None:
    log.produce(b"hello").project()
    found = log.run("verify")
    assert found.code == 0
    assert found.out.splitlines()[1:] == [
        "           1 record of the source could not be read",
        "the view equals the source. This is not proved for 1 unreadable record",
    ]


def test_empty_topic_proves_nothing(database_url: str, kafka: str, topic: str) -> None:
    with Log(database_url, kafka, topic) as log:
        for adopted in ("one", "two"):
            for command in ("verify", "rebuild"):
                found = log.run(command)
                assert (found.code, found.err.count("projector: ")) == (6, 0)
                assert found.out.endswith(f"topic {log.name}: it is empty. This proves nothing about the view\n")
            plant(log, adopted, 0)
        assert "           1 not covered: the source lacks the history; not repaired\n" in found.out


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["", "dry-run"])
def test_unknown_delegation_of_only_is_named(log: Log, dry_run: list[str]) -> None:
    change(log, "DELETE FROM delegations WHERE delegation_id = 'b'")
    for ids in (["nosuch"], ["nosuch", "b"]):
        refused = log.run("rebuild", "--only", *ids, *dry_run)
        assert (refused.code, refused.out) == (6, "")
        sentence = f"neither the view nor topic {log.name} has such a delegation; nothing was written"
        assert f"projector: --only nosuch: {sentence}" in refused.err
    assert "b" not in log.rows()


# --- triggers


def test_rebuild_is_not_green_where_a_trigger_changes_what_it_writes(database_url: str, kafka: str, topic: str) -> None:
    with Log(database_url, kafka, topic) as log:
        log.conn.execute(
            "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql "
            "AS $$ BEGIN NEW.updated_at = now(); RETURN NEW; END $$"
        )
        log.conn.execute(
            "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION public.touch()"
        )
        log.produce(request(0, "a"), request(1, "b")).project()
        require_named_trigger(log)


def require_named_trigger(log: Log) -> None:
    assert log.run("verify").code == 3
    done = log.run("rebuild")
    assert done.code == 3
    assert done.out.endswith(
        "the view still differs from the source: 0 rows inserted, 2 updated, 0 deleted; 2 delegations differ again in "
        "updated_at (a, b), perhaps because of trigger touch on the table\n"
    )
    printed = log.run("rebuild", "--json")
    assert printed.code == 3
    assert (printed.json()["still_differ"], printed.json()["triggers"]) == (2, ["trigger touch"])
    for command in ("up", "status"):
        assert "the table delegations has trigger touch: a trigger or rule that " in log.run("migrate", command).out
