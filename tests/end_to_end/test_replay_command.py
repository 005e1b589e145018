"""`projector replay` and files that are no recordings, or in which records cannot be read."""

import codecs
import gzip
import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from commands import CommandResult, environment, run_projector
from replaying import REQUEST, recording
from rows import answer

CSV = b"id,activity_type,method\n1,delegation,delegate\n"
ROW = json.dumps(REQUEST).encode() + b"\n"


def counts(database_url: str) -> tuple[int, int]:
    """How many delegations and dead letters there are."""
    with psycopg.connect(database_url) as conn:
        rows = conn.execute("SELECT (SELECT count(*) FROM delegations), (SELECT count(*) FROM projector.dead_letters)")
        delegations, dead_letters = rows.fetchall()[0]
    return delegations, dead_letters


def replayed(database_url: str, *arguments: object) -> CommandResult:
    return run_projector("replay", *map(str, arguments), database_url=database_url)


def written(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


# --- files that are no recordings


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (CSV, "line 1 of {} is no record: not JSON"),
        (b"\n\nroot:x:0:0\n" * 300, "line 3 of {} is no record: not JSON"),
        (b'{"a": 1}\n', "line 1 of {} is no record: in no known envelope"),
        (b"17\n", "line 1 of {} is no record: not a JSON object"),
        (bytes(range(128, 256)) * 9, "line 1 of {} is no record: not UTF-8"),
        (CSV * 100 + ROW, "line 1 of {} is no record: not JSON"),
    ],
    ids=["csv", "text", "other JSON", "number", "bytes", "record in line 201"],
)
def test_file_that_is_no_recording_is_refused(tmp_path: Path, database_url: str, content: bytes, cause: str) -> None:
    file = written(tmp_path, "a.csv", content)
    done = replayed(database_url, file, "--json")
    assert (done.code, done.out) == (2, "")
    assert cause.format(file) in done.err
    assert "--max-dead-letters" in done.err
    assert counts(database_url) == (0, 0)


def test_long_line_is_not_printed(tmp_path: Path, database_url: str) -> None:
    done = replayed(database_url, written(tmp_path, "a.jsonl", b"x" * 20_000_000))
    assert done.code == 2
    assert len(done.err) < 1_000
    assert counts(database_url) == (0, 0)


@pytest.mark.parametrize("content", [CSV, b"[" + ROW.strip() + b"]", ROW.decode().encode("utf-16")])
def test_all_files_are_checked_before_the_first_is_written(tmp_path: Path, database_url: str, content: bytes) -> None:
    done = replayed(database_url, written(tmp_path, "a.jsonl", ROW), written(tmp_path, "b.jsonl", content))
    assert (done.code, done.out) == (2, "")
    assert str(tmp_path / "b.jsonl") in done.err
    assert counts(database_url) == (0, 0)


def test_missing_file_is_found_before_the_first_is_written(tmp_path: Path, database_url: str) -> None:
    assert replayed(database_url, written(tmp_path, "a.jsonl", ROW), tmp_path / "b.jsonl").code == 2
    assert counts(database_url) == (0, 0)


def test_cut_file_is_one_sentence(tmp_path: Path, database_url: str) -> None:
    done = replayed(database_url, written(tmp_path, "a.jsonl.gz", gzip.compress(ROW)[:-9]))
    assert (done.code, done.out) == (1, "")
    assert "a.jsonl.gz is damaged or cut off" in done.err
    assert done.err.count("\n") == 1


# --- dead letters


def test_dead_lines_of_a_recording_are_kept(tmp_path: Path, database_url: str) -> None:
    file = written(tmp_path, "a.jsonl", b"no json\n" * 99 + ROW + b"no json\n" * 2)
    done = replayed(database_url, file, "--json")
    assert done.code == 5
    assert done.json()["outcomes"]["dead_letter"] == 101
    assert "projector: 101 dead letters: `projector dead-letters list" in done.err
    assert counts(database_url) == (1, 101)
    with psycopg.connect(database_url) as conn:
        assert conn.execute('SELECT max("offset") FROM projector.dead_letters').fetchone() == (101,)


def test_value_that_cannot_be_read_is_a_record(tmp_path: Path, database_url: str) -> None:
    assert replayed(database_url, recording(tmp_path, b"no json")).code == 5
    row = {**REQUEST, "status": "unknown"}
    assert replayed(database_url, written(tmp_path, "rows.jsonl", json.dumps(row).encode())).code == 5
    assert counts(database_url) == (0, 2)


def test_named_limit_keeps_lines_that_are_no_records(tmp_path: Path, database_url: str) -> None:
    file = written(tmp_path, "a.csv", CSV)
    assert replayed(database_url, file, "--max-dead-letters", 1).code == 2
    assert counts(database_url) == (0, 0)
    assert replayed(database_url, file, "--max-dead-letters", 2).code == 5
    assert counts(database_url) == (0, 2)


def test_limit_stops_before_the_batch_that_exceeds_it(tmp_path: Path, database_url: str) -> None:
    file = written(tmp_path, "a.jsonl", ROW + b"no json\n" + ROW + b"no json\n" + ROW)
    done = replayed(database_url, file, "--max-dead-letters", 1, "--batch-records", 2)
    assert (done.code, done.out) == (1, "")
    assert "more than 1 dead letters (--max-dead-letters): stopped before line 4 of " in done.err
    assert "2 records projected before" in done.err
    assert counts(database_url) == (1, 1)
    assert replayed(database_url, file, "--max-dead-letters", 2).code == 5


@pytest.mark.parametrize(("name", "content"), [("a.jsonl", b""), ("b.jsonl", b"\n \r\n"), ("c.gz", b"")])
@pytest.mark.parametrize("flags", [[], ["--dry-run"]], ids=["replay", "dry run"])
def test_file_without_a_record_is_no_success(
    tmp_path: Path, database_url: str, name: str, content: bytes, flags: list[str]
) -> None:
    done = replayed(database_url, written(tmp_path, name, content), *flags)
    assert (done.code, done.err) == (6, "projector: the files have no record, so nothing was replayed\n")


def test_one_of_the_files_may_be_empty(tmp_path: Path, database_url: str) -> None:
    files = [written(tmp_path, "a.jsonl", b""), written(tmp_path, "b.jsonl", ROW)]
    assert run_projector("replay", *map(str, files), database_url=database_url).code == 0


# --- openings


def test_marked_file_is_replayed(tmp_path: Path, database_url: str) -> None:
    done = replayed(database_url, written(tmp_path, "a.jsonl", codecs.BOM_UTF8 + ROW), "--json")
    assert (done.code, done.err) == (0, "")
    assert counts(database_url) == (1, 0)


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_sources_are_opened_as_replayed_files(
    tmp_path: Path, database_url: str, kafka: str, topic: str, command: str
) -> None:
    settings = {"database_url": database_url, "bootstrap_servers": kafka, "topic": topic}
    marked = written(tmp_path, "marked.jsonl", codecs.BOM_UTF8 + ROW)
    assert replayed(database_url, marked).code == 0
    assert run_projector(command, "--from", str(marked), **settings).code == 0
    for content, cause in (
        (ROW.decode().encode("utf-16"), "is UTF-16"),
        (b"[" + ROW.strip() + b"]", "is a JSON array"),
    ):
        done = run_projector(command, "--from", str(written(tmp_path, "b.jsonl", content)), **settings)
        assert (done.code, done.out) == (2, "")
        assert cause in done.err


def test_pipe_is_read_once(database_url: str) -> None:
    command = [sys.executable, "-m", "projector", "replay", "/dev/stdin", "--json"]
    lines = b"no json\n" + ROW * 20_000
    settings = environment({"database_url": database_url})
    done = subprocess.run(command, input=lines, capture_output=True, env=settings, timeout=60)
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["records"] == 20_001
    assert counts(database_url) == (1, 1)


# --- dry run


def test_dry_run_counts_and_writes_nothing(tmp_path: Path, database_url: str) -> None:
    values = [REQUEST, answer(1, "completed"), {"activity_type": "x"}, b"null", b"no json", {**REQUEST, "status": "?"}]
    file = recording(tmp_path, *values)
    found = run_projector("replay", str(file), "--dry-run", "--json").json()
    assert found.pop("seconds") >= 0
    first, second = found.pop("dead_letters")
    assert found == {
        "dry_run": True,
        "records": 6,
        "events": 2,
        "outcomes": {"unrelated": 1, "tombstone": 1, "dead_letter": 2},
    }
    assert (first["records"], first["field"], first["first"]) == (
        1,
        None,
        f"offset 4 of partition 0 of topic activity-log in {file}",
    )
    assert (second["field"], "unknown status" in second["reason"]) == ("status", True)
    done = replayed(database_url, file, "--dry-run")
    assert done.code == 5
    assert "2 whose outcomes depend on the view" in done.out
    assert "6 read, nothing was written" in done.out
    assert "unknown status" in done.out
    assert counts(database_url) == (0, 0)


def test_dry_run_of_a_readable_file_succeeds(tmp_path: Path) -> None:
    assert run_projector("replay", str(written(tmp_path, "a.jsonl", ROW)), "--dry-run").code == 0
    assert run_projector("replay", str(written(tmp_path, "a.csv", CSV)), "--dry-run").code == 2
