"""Log lines: one a thing, for a person or a machine, and a Kafka client that does not flood them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from projector import logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.getLogger("kafka").setLevel(logging.NOTSET)


def said(form: str, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    logs.configure(log_format=form, log_level=level, stream=stream)
    return stream


def test_line_for_a_person_has_its_fields_behind_the_message() -> None:
    stream = said("human")
    logging.getLogger("projector.worker.loop").info("partition claimed", extra={"partition": 3, "offset": 7})
    assert stream.getvalue()[8:] == " info    partition claimed  partition=3 offset=7\n"


def test_line_for_a_machine_is_one_object() -> None:
    stream = said("json")
    logging.getLogger("projector.worker.loop").warning("waiting for %s", "Kafka", extra={"reason": "two\nlines"})
    (line,) = stream.getvalue().splitlines()
    held = json.loads(line)
    assert held.pop("time").endswith("+00:00")
    assert held == {
        "level": "warning",
        "logger": "projector.worker.loop",
        "message": "waiting for Kafka",
        "reason": "two\nlines",
    }


@pytest.mark.parametrize("form", ["human", "json"])
def test_exception_comes_with_its_line(form: str) -> None:
    stream = said(form)
    try:
        raise ValueError("what went wrong")
    except ValueError:
        logging.getLogger("projector").exception("failed")
    assert "ValueError: what went wrong" in stream.getvalue()
    if form == "json":
        assert "ValueError" in json.loads(stream.getvalue())["exception"]


def test_value_that_json_does_not_know_is_a_text() -> None:
    stream = said("json")
    logging.getLogger("projector").info(
        "an object",
        extra={
            "held": {
                1,
            },
            "path": object,
        },
    )
    assert json.loads(stream.getvalue())["held"] == "{1}"


def test_kafka_client_says_a_thing_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("projector.logs.time.monotonic", lambda: now[0])
    stream = said("human")
    client = logging.getLogger("kafka.net.manager")
    for port in (1, 2, 3):
        client.error("Connection to %s failed", port)
    client.error("something else")
    assert len(stream.getvalue().splitlines()) == 2
    now[0] += 61
    client.error("Connection to %s failed", 4)
    assert len(stream.getvalue().splitlines()) == 3


def test_own_lines_are_never_held_back() -> None:
    stream = said("human")
    for _ in range(3):
        logging.getLogger("projector").warning("fenced")
    assert len(stream.getvalue().splitlines()) == 3


def test_kafka_client_tells_no_details_even_at_debug_level() -> None:
    """Its details hold what it sends."""
    stream = said("human", "DEBUG")
    logging.getLogger("kafka.net.connection").debug("Sending SaslAuthenticateRequest")
    logging.getLogger("kafka.net.connection").info("connected")
    logging.getLogger("projector").debug("ours")
    assert stream.getvalue()[8:] == " debug   ours\n"


def test_level_holds_for_the_kafka_client_too() -> None:
    stream = said("human", "ERROR")
    logging.getLogger("kafka.net.connection").warning("Sending username and password in the clear")
    logging.getLogger("projector").warning("fenced")
    assert stream.getvalue() == ""
