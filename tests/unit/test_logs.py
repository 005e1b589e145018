"""Log lines for people and as JSON, and the limit on lines of the Kafka client."""

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest

from projector import logs


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("kafka").setLevel(logging.NOTSET)


def captured(form: str, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(log_format=form, log_level=level, stream=stream)
    return stream


def test_human_line_ends_with_its_known_fields() -> None:
    stream = captured("human")
    fields = {"partition": 3, "field": None, "offset": 7}
    logging.getLogger("projector.worker.loop").info("partition claimed", extra=fields)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ info    partition claimed  partition=3 offset=7\n", stream.getvalue()
    )


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_warnings_have_colours_on_a_terminal_only(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    for is_terminal in (True, False):
        stream = io.StringIO()
        monkeypatch.setattr(stream, "isatty", lambda is_terminal=is_terminal: is_terminal)
        logs.configure(log_format="human", log_level="INFO", stream=stream)
        logging.getLogger("projector").warning("careful")
        assert ("\033[33mwarning" in stream.getvalue()) == (coloured and is_terminal)


def test_text_of_a_record_controls_neither_terminal_nor_lines() -> None:
    stream = captured("human")
    hostile = "\x1b]0;title\x07\n2026-01-01 00:00:00Z error   forged\x9b31m\u202e"
    try:
        raise ValueError(hostile)
    except ValueError:
        logging.getLogger("projector").exception("failed: %s", hostile, extra={"reason": hostile})
    assert not set("\x1b\x07\x9b\u202e") & set(stream.getvalue())
    first, second, *_ = stream.getvalue().splitlines()
    assert first.count(r"\x1b]0;title\x07\n2026-01-01 00:00:00Z error   forged\x9b31m\u202e") == 2
    assert second == "Traceback (most recent call last):"


def test_json_line_is_one_object() -> None:
    stream = captured("json")
    logging.getLogger("projector.worker.loop").warning("waiting for %s", "Kafka", extra={"reason": "two\nlines"})
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert fields.pop("time").endswith("+00:00")
    assert fields == {
        "level": "warning",
        "logger": "projector.worker.loop",
        "message": "waiting for Kafka",
        "reason": "two\nlines",
    }


@pytest.mark.parametrize("form", ["human", "json"])
def test_exception_is_part_of_its_line(form: str) -> None:
    stream = captured(form)
    try:
        raise ValueError("what went wrong")
    except ValueError:
        logging.getLogger("projector").exception("failed")
    assert "ValueError: what went wrong" in stream.getvalue()
    if form == "json":
        assert "ValueError" in json.loads(stream.getvalue())["exception"]


def test_value_unknown_to_json_becomes_text() -> None:
    stream = captured("json")
    logging.getLogger("projector").info("an object", extra={"value": {1}})
    assert json.loads(stream.getvalue())["value"] == "{1}"


def test_kafka_client_repeats_a_message_once_per_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("projector.logs.time.monotonic", lambda: now[0])
    stream = captured("human", "DEBUG")
    client = logging.getLogger("kafka.net.manager")
    for port in (1, 2, 3):
        client.error("Connection to %s failed", port)
    client.error("something else")
    assert len(stream.getvalue().splitlines()) == 2
    now[0] += 61
    client.error("Connection to %s failed", 4)
    assert len(stream.getvalue().splitlines()) == 3


def test_own_lines_are_never_limited() -> None:
    stream = captured("human")
    for _ in range(3):
        logging.getLogger("projector").warning("fenced")
    assert len(stream.getvalue().splitlines()) == 3


def test_kafka_client_never_logs_below_warning() -> None:
    """Its lines below warning contain what it sends, for example passwords."""
    stream = captured("human", "DEBUG")
    logging.getLogger("kafka.net.connection").debug("Sending SaslAuthenticateRequest")
    logging.getLogger("kafka.net.connection").info("connected")
    logging.getLogger("projector").debug("visible")
    assert stream.getvalue()[20:] == " debug   visible\n"


def test_kafka_client_logs_its_failures_at_debug_only() -> None:
    """Our own errors and lines name the cause. A quota and a lost membership are only in the client's lines."""
    lines = {}
    for level in ("INFO", "DEBUG"):
        stream = captured("human", level)
        logging.getLogger("kafka.net.transport").error("%s: Abort (%s)", "<KafkaTCPTransport>", "InvalidReceiveError")
        logging.getLogger("kafka.net.connection").warning("%s: %s throttled by broker (%d ms)", "<K>", "Fetch", 7)
        logging.getLogger("kafka.coordinator.heartbeat").warning("Heartbeat session expired, marking coordinator dead")
        lines[level] = [line[29:] for line in stream.getvalue().splitlines()]
    throttled, expired = "<K>: Fetch throttled by broker (7 ms)", "Heartbeat session expired, marking coordinator dead"
    assert lines["INFO"] == [throttled, expired]
    assert lines["DEBUG"] == ["<KafkaTCPTransport>: Abort (InvalidReceiveError)", throttled, expired]


def test_level_applies_to_the_kafka_client() -> None:
    stream = captured("human", "ERROR")
    logging.getLogger("kafka.net.connection").warning("%s: %s throttled by broker (%d ms)", "<K>", "Fetch", 7)
    logging.getLogger("projector").warning("fenced")
    assert stream.getvalue() == ""
