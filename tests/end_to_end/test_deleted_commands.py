"""`projector deleted`: what a rebuild deleted is listed, put back, or discarded."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator

import pytest
from commands import environment
from reconciling import Log, plant, request


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """A view from which a rebuild has deleted `one`, and another run `two` and `three`."""
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a")).project()
        plant(log, "one", 60)
        log.rebuild()
        plant(log, "two", 61)
        plant(log, "three", 62)
        log.rebuild()
        yield log


def runs(log: Log) -> dict[str, str]:
    """Delegation → the run that deleted it."""
    return {each["delegation_id"]: each["run_id"] for each in log.run("deleted", "list", "--json").json()["deleted"]}


def test_list_names_run_and_source(log: Log) -> None:
    listed = log.run("deleted", "list", "--limit", "2")
    heading, *lines, _, more = listed.out.splitlines()
    assert heading.split("  ")[0] == "deleted at (UTC)"
    assert len(lines) == 2
    for line in lines:
        assert f"queued  topic {log.name}" in line
    assert more == "2 of 3: --limit shows more"
    found = log.run("deleted", "list", "--run", runs(log)["one"], "--json").json()
    assert (found["total"], found["deleted"][0]["delegation_id"]) == (1, "one")


def test_restore_by_id_by_run_and_all(log: Log) -> None:
    assert log.run("deleted", "restore", "three").out == "1 put back, 0 still kept\n"
    assert log.run("deleted", "restore", "--run", runs(log)["one"]).out == "1 put back, 0 still kept\n"
    assert log.rows().keys() == {"a", "one", "three"}
    assert log.run("deleted", "restore", "--all").code == 0
    assert log.rows().keys() == {"a", "one", "two", "three"}
    assert log.run("deleted", "list").out == "nothing that a rebuild deleted is kept\n"


def test_refused_row_is_named(log: Log) -> None:
    plant(log, "two", 63)
    found = log.run("deleted", "restore", "--all")
    assert (found.code, found.out.splitlines()) == (
        1,
        ["not put back: row of two: a row with its id exists", "2 put back, 1 still kept"],
    )
    assert list(runs(log)) == ["two"]


def test_discard_asks_and_deletes(log: Log) -> None:
    refused = log.run("deleted", "discard", "one", "two")
    assert (refused.code, refused.err) == (
        1,
        "projector: this would delete 2 entries of projector.deleted permanently: add --yes to do it\n",
    )
    assert log.run("deleted", "discard", "one", "two", "--yes").out == "2 entries discarded\n"
    assert list(runs(log)) == ["three"]


@pytest.mark.parametrize("command", ["restore", "discard"])
def test_selection_is_needed_and_must_find_something(log: Log, command: str) -> None:
    for arguments in ([], ["one", "--all"], ["--run", "no-uuid"]):
        assert log.run("deleted", command, *arguments).code == 2
    found = log.run("deleted", command, "nosuch")
    assert (found.code, found.err) == (6, "projector: nothing that a rebuild deleted is kept for this selection\n")


@pytest.mark.parametrize(
    ("command", "done"), [("restore", "1 put back, 0 still kept"), ("discard", "1 entry discarded")]
)
def test_delegation_of_which_nothing_is_kept_is_named(log: Log, command: str, done: str) -> None:
    yes = ["--yes"] if command == "discard" else []
    found = log.run("deleted", command, "one", "nosuch", *yes)
    assert (found.code, found.out, found.err) == (
        6,
        done + "\n",
        "projector: nothing that a rebuild deleted is kept for delegation nosuch\n",
    )


def test_what_is_deleted_after_the_count_is_not_discarded(log: Log) -> None:
    plant(log, "four", 64)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "deleted", "discard", "--all"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(log.settings())
    ) as asking:
        assert asking.stderr is not None
        question = b""
        while not question.endswith(b"Type yes to continue: "):
            question += asking.stderr.read(1)
        log.rebuild()
        os.write(ours, b"yes\n")
        assert asking.communicate(timeout=60)[0] == b"3 entries discarded\n"
    for each in (ours, theirs):
        os.close(each)
    assert list(runs(log)) == ["four"]


def test_migrate_down_counts_what_is_kept(log: Log) -> None:
    refused = log.run("migrate", "down", "--to", "52")
    assert (refused.code, refused.err) == (
        1,
        "projector: this would destroy 3 rows of projector.deleted: add --yes to do it\n",
    )
