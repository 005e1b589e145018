"""A topic into a recording, on a real broker: what is in it, what is left out, and that it is whole or not there."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition
from rows import CALLEE, CALLER, LEFT_OUT, answer, beat, delegate, updated

from projector.domain.positions import LogRange
from projector.errors import LogGap, Misconfigured
from projector.kafka.reader import open_topic
from projector.recordings.file import RecordedRecord, read_recording
from projector.recordings.record import Bound, Recorder, Selection, ranges, writable
from projector.recordings.redaction import Redaction
from projector.settings import KafkaSettings

TEN_MS = 1_746_439_200_000
ROW_ID = "aaaaaaaa-0000-4000-8000-00000000000a"
LONG = "a task of some length, " * 100


def fill(kafka: str, topic: str, *records: tuple[int, bytes | None, object]) -> None:
    """Records as partition, key and value, a second apart from ten o'clock on; what is not bytes is written as JSON."""
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
    first: Bound = Bound(),  # noqa: B008 - immutable
    end: Bound = Bound(),  # noqa: B008
    selection: Selection | None = None,
    redaction: Redaction | None = None,
    replace: bool = False,
    progress: Callable[[int], None] = lambda offsets: None,
    fetch_bytes: int | None = None,
) -> list[RecordedRecord]:
    with open_topic(
        KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="nobody"), fetch_bytes=fetch_bytes
    ) as log:
        recorder = Recorder(log, selection or Selection(), redaction)
        recorder.record(ranges(log, first, end), out, replace=replace, progress=progress)
    found = list(read_recording(out))
    assert recorder.records.total() == len(found)
    assert [path.name for path in out.parent.iterdir()] == [out.name]
    return found


def places(lines: list[RecordedRecord]) -> dict[int, list[int]]:
    """Partition → offsets."""
    return {
        partition: [line.offset for line in lines if line.partition == partition]
        for partition in sorted({line.partition for line in lines})
    }


@pytest.mark.parametrize("suffix", [".jsonl", ".gz", ".zst"])
def test_records_are_there_byte_for_byte(kafka: str, topic: str, tmp_path: Path, suffix: str) -> None:
    contents = [b'{ "a" : 1e400 }\n', b"\xff\x00", None, b"", "\u00fc\u2028".encode()]
    fill(kafka, topic, *[(1, content or b"\xfe", content) for content in contents])
    moved: list[int] = []
    found = recorded(kafka, topic, tmp_path / f"all{suffix}", progress=moved.append)
    lines = [
        RecordedRecord(topic, 1, n, TEN_MS + 1000 * n, content or b"\xfe", content)
        for n, content in enumerate(contents)
    ]
    assert found == lines
    assert sum(moved) == len(contents)


def test_end_is_that_of_the_log_as_it_was(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, None, b"1"), (0, None, b"2"), (2, None, b"3"))
    later = iter([lambda: fill(kafka, topic, (0, None, b"late"), (1, None, b"late"))])
    found = recorded(kafka, topic, tmp_path / "all.gz", progress=lambda _: next(later, lambda: None)())
    assert places(found) == {0: [0, 1], 2: [0]}


def test_empty_topic_is_an_empty_recording(kafka: str, topic: str, tmp_path: Path) -> None:
    assert recorded(kafka, topic, tmp_path / "all.jsonl.zst") == []


@pytest.mark.parametrize(
    ("first", "end", "expected"),
    [
        (Bound({None: 2}), Bound(), {0: [2, 3], 1: [2, 3], 2: [2, 3]}),
        (Bound({0: 2}), Bound(), {0: [2, 3]}),
        (Bound({0: 2}), Bound({None: 3}), {0: [2]}),
        (Bound({None: 1}), Bound({0: 2, 2: 1}), {0: [1]}),
        (Bound({None: 4}), Bound(), {}),
        (Bound(time=TEN_MS + 4000), Bound(), {0: [2, 3], 1: [1, 2, 3], 2: [1, 2, 3]}),
        (Bound(time=TEN_MS + 3001), Bound(time=TEN_MS + 6000), {0: [], 1: [1], 2: [1]}),
        (Bound(), Bound(time=TEN_MS), {}),
        (Bound(time=TEN_MS + 99_000), Bound(), {}),
        (Bound({1: 3}), Bound(time=TEN_MS), {}),
    ],
)
def test_bounds_are_kept(
    kafka: str, topic: str, tmp_path: Path, first: Bound, end: Bound, expected: Mapping[int, list[int]]
) -> None:
    fill(kafka, topic, *[(n % 3, None, b"%d" % n) for n in range(12)])
    found = recorded(kafka, topic, tmp_path / "part.jsonl", first=first, end=end)
    assert places(found) == {partition: offsets for partition, offsets in expected.items() if offsets}


@pytest.mark.parametrize(
    ("first", "end", "sentence"),
    [
        (Bound({1: 9}), Bound(), "offset 9 is outside of partition 1 of .*, whose log holds 0 to 4"),
        (Bound({0: 0}), Bound(), "offset 0 is outside of partition 0 of .*, whose log holds 1 to 4"),
        (Bound(), Bound({2: 5}), "offset 5 is outside of partition 2"),
        (Bound({7: 0}), Bound(), "has no partition 7: name one of 0, 1, 2"),
        (Bound({1: 3}), Bound({1: 2}), "in partition 1, --from-offset 3 is after --to-offset 2"),
    ],
)
def test_bound_that_cannot_be_is_told_in_a_sentence(
    kafka: str, topic: str, tmp_path: Path, first: Bound, end: Bound, sentence: str
) -> None:
    fill(kafka, topic, *[(n % 3, None, b"%d" % n) for n in range(12)])
    delete_before(kafka, topic, 0, 1)
    with pytest.raises(Misconfigured, match=sentence):
        recorded(kafka, topic, tmp_path / "part.jsonl", first=first, end=end)
    assert list(tmp_path.iterdir()) == []


def test_caller_is_what_a_record_says_whatever_its_key(kafka: str, topic: str, tmp_path: Path) -> None:
    mine, other = {"workspace_id": CALLEE, "source_id": CALLER}, {"workspace_id": CALLER, "source_id": CALLEE}
    fill(
        kafka,
        topic,
        (0, CALLEE.encode(), delegate(0, **mine)),
        (0, CALLER.encode(), delegate(0, **other)),
        (1, None, delegate(0, workspace_id=CALLER.upper())),
        (1, None, updated(answer(1, "completed", workspace_id=CALLER), 2)),
        (1, None, answer(1, "completed", workspace_id=CALLEE)),
        (2, CALLER.encode(), beat(1)),
        (2, None, beat(1) | mine),
        (2, CALLER.encode(), {"activity_type": "x", **mine}),
        (2, CALLER.encode(), delegate(0, status="unknown", **mine)),
        (2, CALLER.encode(), None),
        (2, CALLER.encode(), b"\xff"),
    )
    assert places(recorded(kafka, topic, tmp_path / "his.jsonl", selection=Selection(CALLER))) == {
        0: [0],
        1: [0, 1],
        2: [1],
    }


def test_delegation_is_found_through_rows_whose_bodies_were_left_out(kafka: str, topic: str, tmp_path: Path) -> None:
    def asked(delegation_id: str) -> dict[str, object]:
        return {"delegation_id": delegation_id, "task": LONG}

    whole = delegate(0, id=ROW_ID, request_body=asked("d-1"))
    left_out = updated(whole | {"request_body": LEFT_OUT, "status": "dispatched"}, 1)
    unseen = updated(whole | {"id": CALLEE, "request_body": LEFT_OUT}, 1)
    fill(
        kafka,
        topic,
        (0, None, left_out),
        (0, None, whole),
        (0, None, delegate(0, id=CALLER, request_body=asked("d-2"))),
        (0, None, left_out),
        (0, None, unseen),
        (1, None, answer(2, "completed", of="d-1")),
        (1, None, answer(2, "completed", of="d-3")),
    )
    some = Selection(delegations=frozenset(["d-1", "d-3"]))
    assert places(recorded(kafka, topic, tmp_path / "some.jsonl", selection=some)) == {0: [1, 3], 1: [0, 1]}
    both = Selection(CALLER, frozenset(["d-1"]))
    assert places(recorded(kafka, topic, tmp_path / "some.jsonl", selection=both, replace=True)) == {0: [1, 3]}


def test_redacted_recording_holds_no_text_and_ends_at_the_same_places(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, b"who am i", delegate(0)), (0, CALLER.encode(), b"no json"))
    first, second = recorded(kafka, topic, tmp_path / "shown.jsonl", redaction=Redaction(b"key"))
    assert "count to three" not in (tmp_path / "shown.jsonl").read_text()
    assert (first.offset, first.timestamp, second.key) == (0, TEN_MS, CALLER.encode())
    assert len(first.key or b"") == len(b"who am i")


def test_recording_that_is_there_is_replaced_only_if_told_to(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, (0, None, b"1"))
    out = tmp_path / "all.jsonl"
    out.write_text("precious")
    with pytest.raises(Misconfigured, match=r"all\.jsonl is there already: .* add --force"):
        recorded(kafka, topic, out)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]
    assert len(recorded(kafka, topic, out, replace=True)) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("all.txt", "let it end in .jsonl, .gz, .zst"), ("no/all.gz", "there is no folder"), ("f.gz", "is a folder")],
)
def test_name_that_no_recording_can_have_is_refused(tmp_path: Path, name: str, sentence: str) -> None:
    (tmp_path / "f.gz").mkdir()
    with pytest.raises(Misconfigured, match=sentence):
        writable(tmp_path / name, replace=True)


def test_gap_while_reading_leaves_no_file_behind(kafka: str, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, *[(0, None, b"%d" % n) for n in range(3000)])
    deletion = iter([lambda: delete_before(kafka, topic, 0, 2900)])
    with pytest.raises(LogGap, match="begin again"):
        recorded(
            kafka,
            topic,
            tmp_path / "all.jsonl",
            progress=lambda _: next(deletion, lambda: None)(),
            fetch_bytes=2048,
        )
    assert list(tmp_path.iterdir()) == []


def test_ranges_are_those_of_the_whole_log_unless_told(kafka: str, topic: str) -> None:
    fill(kafka, topic, (0, None, b"1"))
    with open_topic(KafkaSettings(bootstrap_servers=kafka, topic=topic, group_id="nobody")) as log:
        assert ranges(log, Bound(), Bound()) == {0: LogRange(0, 1), 1: LogRange(0, 0), 2: LogRange(0, 0)}
        assert ranges(log, Bound({0: 1}), Bound(time=0)) == {0: LogRange(1, 1)}


def delete_before(kafka: str, topic: str, partition: int, offset: int) -> None:
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    admin.delete_records({TopicPartition(topic, partition): offset})
    admin.close()
