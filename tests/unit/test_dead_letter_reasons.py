"""The log of `run` groups dead letters by their reasons, without what a reason quotes of a record."""

import logging
from typing import Any

import pytest
from builders import record

from projector.domain.fold import DeadLetter
from projector.worker.dead_letters import _MAX_REASONS, OTHER, DeadLetterReasons, without_values

ROW = 'Postgres refused it: new row for relation "delegations" violates check constraint "short"'


def letter(reason: str, field: str | None = None, offset: int = 0) -> DeadLetter:
    return DeadLetter(record(b"x", offset), reason, field)


def fields(line: logging.LogRecord) -> tuple[Any, ...]:
    names = ("levelno", "topic", "partition", "offset", "field", "reason")
    return tuple(getattr(line, name) for name in names)


@pytest.mark.parametrize(
    ("reason", "field", "expected"),
    [
        ("not JSON: Expecting value: line 1 column 1 (char 0)", None, "not JSON: Expecting value: line … column … …"),
        (
            "not UTF-8: invalid start byte at byte 17",
            "request_body",
            "request_body: not UTF-…: invalid start byte at byte …",
        ),
        ('created_at must be a text: found {"a": [1, "secre…', "created_at", "created_at must be a text…"),
        (
            'unknown status "say \\"x\\"": expected one of pending',
            "status",
            "unknown status …: expected one of pending",
        ),
        ('unknown status "cut…', "status", "unknown status …"),
        (
            "created_at must be an ISO 8601 time of the years 1 to 9999: found 0000-01-01",
            "created_at",
            "created_at must be an ISO 8601 time of the years 1 to 9999…",
        ),
        (f"unknown method: {'expected ' * 20}", None, f"unknown method: {'expected ' * 20}"[:119] + "…"),
        ("source.id has 600 bytes: the maximum is 512", "source.id", "source.id has … bytes: the maximum is …"),
        (
            f'{ROW} Failing row contains (d-1, secret "x" (y)). (SQLSTATE 23514)',
            None,
            "Postgres refused it: new row for relation … violates check constraint … Failing row contains …",
        ),
    ],
)
def test_reason_is_grouped_without_values(reason: str, field: str | None, expected: str) -> None:
    assert without_values(letter(reason, field)) == expected


def test_first_of_each_reason_is_logged_and_all_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    reasons = DeadLetterReasons()
    reasons.log(
        [letter('unknown op "q"', "op", 3), letter("op is missing", "op", 4), letter('unknown op "z"', "op", 5)]
    )
    reasons.log([letter('unknown op "y"', "op", 6)])
    logged = [fields(each) for each in caplog.records]
    assert logged == [
        (logging.WARNING, "activity-log", 0, 3, "op", 'unknown op "q"'),
        (logging.WARNING, "activity-log", 0, 4, "op", "op is missing"),
    ]
    assert reasons.take_counts() == {"unknown op …": 3, "op is missing": 1}
    reasons.log([letter('unknown op "y"', "op", 7)])
    assert reasons.take_counts() == {"unknown op …": 1}
    assert len(caplog.records) == 2


def test_values_of_a_refused_row_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    DeadLetterReasons().log([letter(f"{ROW} Failing row contains (d-1, secret). A hint. (SQLSTATE 23514)")])
    assert fields(caplog.records[0])[-1] == f"{ROW} Failing row contains (…). A hint. (SQLSTATE 23514)"


def test_number_of_reasons_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    reasons = DeadLetterReasons()
    letters = [letter(f"reason {'x' * number}") for number in range(3 * _MAX_REASONS)]
    reasons.log(letters)
    reasons.log(letters)
    counts = reasons.take_counts()
    assert len(counts) == len(caplog.records) == _MAX_REASONS + 1
    assert counts[OTHER] == 4 * _MAX_REASONS
    assert max(map(len, counts)) <= 120
