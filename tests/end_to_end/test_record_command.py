"""`projector record` as a real process: its output, the arguments that it refuses, and the files that it leaves."""

import json
import os
import pty
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cluster import wait_until
from commands import all_of, environment, run_projector
from kafka import KafkaProducer
from rows import CALLER, answer, delegate

from projector.recordings.file import RecordedRecord, read_recording

KEYED = {"source_id": CALLER}
KEY = "a key of at least sixteen characters"


def fill(kafka: str, topic: str, *values: object) -> None:
    """Write one record per value, to each of three partitions in turn."""
    producer = KafkaProducer(bootstrap_servers=kafka, linger_ms=5)
    for n, value in enumerate(values):
        producer.send(topic, json.dumps(value).encode(), partition=n % 3, timestamp_ms=1_746_439_200_000 + n)
    producer.flush()
    producer.close()


@pytest.fixture
def filled(kafka: str, topic: str) -> str:
    fill(kafka, topic, delegate(0, **KEYED), {"activity_type": "x"}, answer(1, "completed", text="one two three"))
    return topic


def test_recording_is_summarized_and_can_be_replayed(
    kafka: str, filled: str, tmp_path: Path, database_url: str
) -> None:
    out = tmp_path / "all.jsonl.zst"
    done = run_projector("record", "--out", str(out), bootstrap_servers=kafka, topic=filled)
    assert (done.code, done.err) == (0, "")
    counts = "1 of partition 0, 1 of partition 1, 1 of partition 2"
    assert done.out == f"recorded 3 of 3 records of {filled} in {out}: {counts}\n"
    replayed = run_projector("replay", str(out), "--json", database_url=database_url).json()
    assert [replayed["outcomes"][outcome] for outcome in ("inserted", "advanced", "parked", "unrelated")] in (
        [1, 1, 0, 1],
        [1, 0, 1, 1],
    )


def test_json_counts_records_per_partition(kafka: str, filled: str, tmp_path: Path) -> None:
    out = str(tmp_path / "some.gz")
    flags = ["--from-offset", "0:0", "--from-offset", "2:0", "--delegation", "d-1", "--caller", CALLER.upper()]
    done = run_projector("record", "--out", out, *flags, "--json", bootstrap_servers=kafka, topic=filled)
    summary = done.json()
    assert summary.pop("seconds") > 0
    assert summary == {
        "topic": filled,
        "out": out,
        "redacted": False,
        "read": 2,
        "records": 1,
        "partitions": [
            {"partition": 0, "from": 0, "to": 1, "records": 1},
            {"partition": 2, "from": 0, "to": 1, "records": 0},
        ],
    }


def test_times_limit_the_records(kafka: str, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "some.jsonl"
    boundaries = ["--from-time", "2025-05-05T10:00:00.0001Z", "--to-time", "2025-05-05T12:00:00.002+02:00"]
    done = run_projector("record", "--out", str(out), *boundaries, bootstrap_servers=kafka, topic=filled)
    assert done.out == f"recorded 1 of 1 record of {filled} in {out}: 1 of partition 1\n"


def test_relative_times_count_from_now(kafka: str, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "none.jsonl"
    flags = ["--out", str(out), "--from-time", "-1h", "--to-time=-1s"]
    done = run_projector("record", *flags, bootstrap_servers=kafka, topic=filled)
    assert (done.code, out.exists()) == (6, False)
    done = run_projector("record", "--out", str(out), "--from-time", "-36000d", bootstrap_servers=kafka, topic=filled)
    assert done.out.startswith("recorded 3 of 3 records")


def test_recording_on_standard_output_is_replayed_from_standard_input(
    kafka: str, filled: str, database_url: str
) -> None:
    recorded = run_projector("record", "--out", "-", bootstrap_servers=kafka, topic=filled)
    assert (recorded.code, recorded.err.partition(":")[0]) == (0, "projector")
    assert f"recorded 3 of 3 records of {filled} in standard output" in recorded.err
    assert {json.loads(line)["topic"] for line in recorded.out.splitlines()} == {filled}
    replayed = run_projector("replay", "-", "--json", stdin=recorded.out, database_url=database_url)
    assert (replayed.code, replayed.json()["records"]) == (0, 3)
    refused = run_projector("record", "--out", "-", "--json", bootstrap_servers=kafka, topic=filled)
    assert (refused.code, refused.out) == (2, "")


def test_empty_topic_leaves_no_file(kafka: str, topic: str, tmp_path: Path) -> None:
    out = tmp_path / "none.jsonl"
    done = run_projector("record", "--out", str(out), bootstrap_servers=kafka, topic=topic)
    assert (done.code, done.out) == (6, "")
    assert (
        done.err == f"projector: nothing to record of {topic}: it has no record in this range. {out} was not written\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_unknown_delegation_leaves_no_file(kafka: str, filled: str, tmp_path: Path) -> None:
    flags = ["--out", str(tmp_path / "none.gz"), "--delegation", "nosuch"]
    done = run_projector("record", *flags, bootstrap_servers=kafka, topic=filled)
    assert (done.code, done.out) == (6, "")
    assert "it has 3 records in this range, and none is selected" in done.err
    found = run_projector("record", *flags, "--json", bootstrap_servers=kafka, topic=filled)
    assert (found.code, found.json()["out"], found.json()["records"]) == (6, None, 0)
    assert list(tmp_path.iterdir()) == []


def test_delegation_without_a_record_is_named(kafka: str, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "some.jsonl"
    flags = ["--out", str(out), "--delegation", "d-1", "--delegation", "nosuch"]
    done = run_projector("record", *flags, bootstrap_servers=kafka, topic=filled)
    assert (done.code, done.err) == (6, f"projector: no record of delegation nosuch is in {out}\n")
    assert len(out.read_bytes().splitlines()) == 2


def test_nothing_found_keeps_the_earlier_file(kafka: str, filled: str, tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    out.write_bytes(b"earlier")
    flags = ["--out", str(out), "--force", "--delegation", "nosuch"]
    assert run_projector("record", *flags, bootstrap_servers=kafka, topic=filled).code == 6
    assert out.read_bytes() == b"earlier"


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--from-offset", "x"], "--from-offset must be OFFSET or PARTITION:OFFSET, as 1041 or 3:1041: found 'x'"),
        (["--to-offset", ":3"], "--to-offset must be OFFSET or PARTITION:OFFSET, as 1041 or 3:1041: found ':3'"),
        (["--from-offset", "-1"], "--from-offset must be OFFSET or PARTITION:OFFSET, as 1041 or 3:1041: found '-1'"),
        (["--to-offset", "1:2", "--to-offset", "1:3"], "--to-offset names two offsets of one partition"),
        (["--to-offset", "1:2"], "offset 2 is outside of partition 1 of "),
        (["--from-offset", "9:0"], "has no partition 9: name one of 0, 1, 2"),
        (["--from-time", "yesterday"], "'--from-time': must be a time of ISO 8601, or as -15m, -12h or -7d: found"),
        (["--to-time", "-7w"], "'--to-time' requires an argument"),
        (["--to-time", ""], "Option '--to-time' has an empty value"),
        (["--from-time", "2025-05-06", "--to-time", "2025-05-05"], "--from-time is after --to-time: exchange them"),
        (["--caller", "me"], "--caller must be a uuid"),
        (["--delegation", ""], "Option '--delegation' has an empty value"),
        (["--from-time", "2025-05-05", "--from-offset", "1"], "--from-time is not allowed with --from-offset"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_invalid_argument_is_refused(kafka: str, filled: str, tmp_path: Path, flags: list[str], sentence: str) -> None:
    done = run_projector("record", "--out", str(tmp_path / "x.gz"), *flags, bootstrap_servers=kafka, topic=filled)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert done.err.splitlines()[-1].startswith("projector")
    assert list(tmp_path.iterdir()) == []


def test_misspelt_topic_names_the_one_that_is_meant(kafka: str, filled: str, tmp_path: Path) -> None:
    typed = filled[:-1]
    done = run_projector("record", "--out", str(tmp_path / "x.gz"), bootstrap_servers=kafka, topic=typed)
    assert (done.code, done.out) == (2, "")
    assert f"topic {typed} does not exist (did you mean {filled}?): create it, or set PROJECTOR_TOPIC" in done.err


def test_existing_file_is_refused_before_reading(tmp_path: Path) -> None:
    out = tmp_path / "all.jsonl"
    out.touch()
    done = run_projector("record", "--out", str(out), bootstrap_servers="127.0.0.1:1")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"projector: {out} already exists: name another file, or add --force to replace it\n"
    assert run_projector("record", "--out", str(out), "--force", bootstrap_servers="127.0.0.1:1").code == 1


def test_pseudonyms_repeat_only_with_the_same_key(kafka: str, filled: str, tmp_path: Path) -> None:
    def redacted(**settings: str) -> list[RecordedRecord]:
        out = tmp_path / "shown.jsonl"
        flags = ["--out", str(out), "--force", "--redact"]
        assert run_projector("record", *flags, bootstrap_servers=kafka, topic=filled, **settings).code == 0
        assert "count to three" not in out.read_text()
        return sorted(read_recording(out))

    assert redacted(redact_key=KEY) == redacted(redact_key=KEY)
    assert redacted() != redacted()


def test_short_redact_key_is_refused(tmp_path: Path) -> None:
    done = run_projector("record", "--out", str(tmp_path / "x.gz"), "--redact", redact_key="secret")
    assert done.code == 2
    assert done.err.startswith("projector: PROJECTOR_REDACT_KEY: ")
    assert "at least 16" in done.err


def test_killed_recording_never_gets_its_name(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, *[delegate(0, summary="x" * 2000) for _ in range(8000)])
    settings = environment({"bootstrap_servers": kafka, "topic": topic})
    for number, left in ((signal.SIGKILL, 1), (signal.SIGTERM, 0)):
        folder = tmp_path / number.name
        folder.mkdir()
        command = [sys.executable, "-m", "projector", "record", "--redact", "--out", str(folder / "all.gz")]
        process = subprocess.Popen(command, env=settings)
        wait_until(partial(os.listdir, folder), "a file")
        process.send_signal(number)
        assert process.wait(timeout=60) in (-number, 128 + number)
        names = [path.name for path in folder.iterdir()]
        assert len(names) == left
        assert all(name.startswith(".all.") for name in names)


def test_progress_bar_is_shown_on_a_terminal(kafka: str, filled: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "record", "--out", str(tmp_path / "all.gz")]
    settings = environment({"bootstrap_servers": kafka, "topic": filled}) | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=settings)
    os.close(theirs)
    shown = all_of(ours)
    out, _ = process.communicate(timeout=60)
    assert "recording" in shown
    assert "100%" in shown
    assert out.startswith(b"recorded 3 of 3 records")
