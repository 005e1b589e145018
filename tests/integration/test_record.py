"""`projector record` on a real broker: which records it writes, and that the file is complete or absent."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from rows import CALLEE, CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated

from projector.domain.positions import LogRange
from projector.errors import LogGap, Misconfigured
from projector.kafka.reader import open_topic
from projector.recordings.file import RecordedRecord, read_recording
from projector.recordings.record import Boundary, Recorder, Selection, ranges, require_writable
from projector.recordings.redaction import Redaction
from projector.settings import KafkaSettings

TEN_MS = 1_746_439_200_000
ROW_ID = "aaaaaaaa-0000-4000-8000-00000000000a"
LONG = "a task of some length, " * 100


def fill(kafka: str, topic: str, *records: tuple[int, bytes | None, object]) -> None:
    """Write records of partition, key and value, one second apart from 10:00. Values that are not bytes become JSON."""
    producer = KafkaProducer(bootstrap_servers=kafka)
    for n, (partition, key, value) in enumerate(records):
        content = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        producer.send(topic, content, key=key, partition=partition, timestamp_ms=TEN_MS + 1000 * n)
    producer.flush()
    producer.close()


def recorded(
    kafka: str,
    topic: str,
    out: Path,
    *,
    start: Boundary = Boundary(),  # noqa: B008 - immutable
    end: Boundary = Boundary(),  # noqa: B008
    selection: Selection | None = None,
    redaction: Redaction | None = None,
    replace: bool = False,
    progress: Callable[[int], None] = lambda offsets: None,
    fetch_bytes: int | None = None,
) -> list[RecordedRecord]:
    with open_topic(
        KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="unused"), fetch_bytes=fetch_bytes
    ) as log:
        recorder = Recorder(log, selection or Selection(), redaction)
        written = recorder.record(ranges(log, start, end), out, replace=replace, progress=progress)
    records = list(read_recording(out)) if written else []
    assert recorder.records.total() == len(records)
    assert [path.name for path in out.parent.iterdir()] == [out.name] * written
    return records


def recorded_offsets(lines: list[RecordedRecord]) -> dict[int, list[int]]:
    """Partition → offsets."""
    return {
        partition: [line.offset for line in lines if line.partition == partition]
        for partition in sorted({line.partition for line in lines})
    }


@pytest.mark.parametrize("suffix", [".jsonl", ".gz", ".zst"])
def test_records_keep_every_byte(kafka: str, topic: str, tmp_path: Path, suffix: str) -> None:
    contents = [b'{ "a" : 1e400 }\n', b"\xff\x00", None, b"", "\u00fc\u2028".encode()]
    fill(kafka, topic, *[(1, content or b"\xfe", content) for content in contents])
    steps: list[int] = []
    found = recorded(kafka, topic, tmp_path / f"all{suffix}", progress=steps.append)
    lines = [
        RecordedRecord(topic, 1, n, TEN_MS + 1000 * n, content or b"\xfe", content)
        for n, content in enumerate(contents)
    ]
    assert found == lines
    assert sum(steps) == len(contents)


def test_records_written_during_recording_are_left_out(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, None, b"1"), (0, None, b"2"), (2, None, b"3"))
    later = iter([lambda: fill(kafka, topic, (0, None, b"late"), (1, None, b"late"))])
    found = recorded(kafka, topic, tmp_path / "all.gz", progress=lambda _: next(later, lambda: None)())
    assert recorded_offsets(found) == {0: [0, 1], 2: [0]}


def test_empty_topic_leaves_no_file(kafka: str, topic: str, tmp_path: Path) -> None:
    assert recorded(kafka, topic, tmp_path / "all.jsonl.zst") == []


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (Boundary({None: 2}), Boundary(), {0: [2, 3], 1: [2, 3], 2: [2, 3]}),
        (Boundary({0: 2}), Boundary(), {0: [2, 3]}),
        (Boundary({0: 2}), Boundary({None: 3}), {0: [2]}),
        (Boundary({None: 1}), Boundary({0: 2, 2: 1}), {0: [1]}),
        (Boundary({None: 4}), Boundary(), {}),
        (Boundary(time=TEN_MS + 4000), Boundary(), {0: [2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (Boundary(time=TEN_MS + 3001), Boundary(time=TEN_MS + 6000), {0: [], 1: [1], 2: [1]}),
        (Boundary(), Boundary(time=TEN_MS), {}),
        (Boundary(time=TEN_MS + 99_000), Boundary(), {}),
        (Boundary({1: 3}), Boundary(time=TEN_MS), {}),
    ],
)
def test_boundaries_limit_the_records(
    kafka: str, topic: str, tmp_path: Path, start: Boundary, end: Boundary, expected: Mapping[int, list[int]]
) -> None:
    fill(kafka, topic, *[(n % 3, None, b"%d" % n) for n in range(12)])
    found = recorded(kafka, topic, tmp_path / "part.jsonl", start=start, end=end)
    assert recorded_offsets(found) == {partition: offsets for partition, offsets in expected.items() if offsets}


@pytest.mark.parametrize(
    ("start", "end", "sentence"),
    [
        (Boundary({1: 9}), Boundary(), "offset 9 is outside of partition 1 of .*, whose log holds 0 to 4"),
        (Boundary({0: 0}), Boundary(), "offset 0 is outside of partition 0 of .*, whose log holds 1 to 4"),
        (Boundary(), Boundary({2: 5}), "offset 5 is outside of partition 2"),
        (Boundary({7: 0}), Boundary(), "has no partition 7: name one of 0, 1, 2"),
        (Boundary({1: 3}), Boundary({1: 2}), "in partition 1, --from-offset 3 is after --to-offset 2"),
    ],
)
def test_boundary_outside_the_log_is_refused(
    kafka: str, topic: str, tmp_path: Path, start: Boundary, end: Boundary, sentence: str
) -> None:
    fill(kafka, topic, *[(n % 3, None, b"%d" % n) for n in range(12)])
    delete_before(kafka, topic, 0, 1)
    with pytest.raises(Misconfigured, match=sentence):
        recorded(kafka, topic, tmp_path / "part.jsonl", start=start, end=end)
    assert list(tmp_path.iterdir()) == []


def test_caller_is_read_from_the_value(kafka: str, topic: str, tmp_path: Path) -> None:
    mine, other = {"workspace_id": CALLEE, "source_id": CALLER}, {"workspace_id": CALLER, "source_id": CALLEE}
    fill(
        kafka,
        topic,
        (0, CALLEE.encode(), delegate(0, **mine)),
        (0, CALLER.encode(), delegate(0, **other)),
        (1, None, delegate(0, workspace_id=CALLER.upper())),
        (1, None, updated(answer(1, "completed", workspace_id=CALLER), 2)),
        (1, None, answer(1, "completed", workspace_id=CALLEE)),
        (2, CALLER.encode(), heartbeat(1)),
        (2, None, heartbeat(1) | mine),
        (2, CALLER.encode(), {"activity_type": "x", **mine}),
        (2, CALLER.encode(), delegate(0, status="unknown", **mine)),
        (2, CALLER.encode(), None),
        (2, CALLER.encode(), b"\xff"),
    )
    assert recorded_offsets(recorded(kafka, topic, tmp_path / "caller.jsonl", selection=Selection(CALLER))) == {
        0: [0],
        1: [0, 1],
        2: [1],
    }


def test_unavailable_bodies_belong_to_their_delegation(kafka: str, topic: str, tmp_path: Path) -> None:
    def body(delegation_id: str) -> dict[str, object]:
        return {"delegation_id": delegation_id, "task": LONG}

    complete = delegate(0, id=ROW_ID, request_body=body("d-1"))
    without_body = updated(complete | {"request_body": UNAVAILABLE_VALUE, "status": "dispatched"}, 1)
    never_seen = updated(complete | {"id": CALLEE, "request_body": UNAVAILABLE_VALUE}, 1)
    fill(
        kafka,
        topic,
        (0, None, without_body),
        (0, None, complete),
        (0, None, delegate(0, id=CALLER, request_body=body("d-2"))),
        (0, None, without_body),
        (0, None, never_seen),
        (1, None, answer(2, "completed", of="d-1")),
        (1, None, answer(2, "completed", of="d-3")),
    )
    some = Selection(delegations=frozenset(["d-1", "d-3"]))
    out = tmp_path / "some.jsonl"
    assert recorded_offsets(recorded(kafka, topic, out, selection=some)) == {0: [1, 3], 1: [0, 1]}
    both = Selection(CALLER, frozenset(["d-1"]))
    assert recorded_offsets(recorded(kafka, topic, out, selection=both, replace=True)) == {0: [1, 3]}


def test_redacted_recording_contains_no_text(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, b"who am i", delegate(0)), (0, CALLER.encode(), b"no json"))
    first, second = recorded(kafka, topic, tmp_path / "shown.jsonl", redaction=Redaction(b"key"))
    assert "count to three" not in (tmp_path / "shown.jsonl").read_text()
    assert (first.offset, first.timestamp, second.key) == (0, TEN_MS, CALLER.encode())
    assert len(first.key or b"") == len(b"who am i")


def test_existing_recording_is_replaced_only_with_force(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, None, b"1"))
    out = tmp_path / "all.jsonl"
    out.write_text("precious")
    with pytest.raises(Misconfigured, match=r"all\.jsonl already exists: .* add --force"):
        recorded(kafka, topic, out)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    assert len(recorded(kafka, topic, out, replace=True)) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("all.txt", "has another suffix than a recording: name a file that ends in .jsonl, .gz or .zst"),
        ("/dev/full", "--out /dev/full is a device or a pipe: name a file .* or - for standard output"),
        ("no/all.gz", "there is no folder"),
        ("f.gz", "is a folder"),
    ],
)
def test_invalid_file_name_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "f.gz").mkdir()
    with pytest.raises(Misconfigured, match=sentence):
        require_writable(tmp_path / name, replace=True)


def test_gap_during_recording_leaves_no_file(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, *[(0, None, b"%d" % n) for n in range(3000)])
    deletion = iter([lambda: delete_before(kafka, topic, 0, 2900)])
    with pytest.raises(LogGap, match="Run the command again"):
        recorded(
            kafka,
            topic,
            tmp_path / "all.jsonl",
            progress=lambda _: next(deletion, lambda: None)(),
            fetch_bytes=2048,
        )
    assert list(tmp_path.iterdir()) == []


def test_ranges_default_to_the_whole_log(kafka: str, topic: str) -> None:
    fill(kafka, topic, (0, None, b"1"))
    with open_topic(KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="unused")) as log:
        assert ranges(log, Boundary(), Boundary()) == {0: LogRange(0, 1), 1: LogRange(0, 0), 2: LogRange(0, 0)}
        assert ranges(log, Boundary({0: 1}), Boundary(time=0)) == {0: LogRange(1, 1)}


def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()
