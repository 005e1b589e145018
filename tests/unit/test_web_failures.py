"""Failures by reason: what differs from case to case is replaced, so that alike ones are counted together."""

from datetime import UTC, datetime, timedelta

import pytest

from projector.postgres.views_failures import Failed
from projector.web.failures import grouped, normalised

CALLER, CALLEE, OTHER = (f"c{number}c1c1c1-0000-4000-8000-000000000001" for number in range(3))
AT = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "sign"),
    [
        ("silent since 2026-11-26 12:00:03 UTC", "silent since <time>"),
        ("silent since 2026-11-26 12:00:03.123456+00:00, again", "silent since <time>, again"),
        ("due 2026-11-26T12:00Z", "due <time>"),
        ("due 2026-11-26T12:00:03.5+0130.", "due <time>."),
        ("on 2026-11-26", "on <time>"),
        ("version 2026-11-2612", "version <n>-<n>-<n>"),
        ("no money: 5 of 1,000.50", "no money: <n> of <n>"),
        (f"callee {CALLEE.upper()} is gone", "callee <id> is gone"),
        ("no tool 'a b' and no \"c\" of `d`", "no tool <text> and no <text> of <text>"),
        (" two\n lines\t", "two lines"),
        ("x" * 300, "x" * 200),
        (" ", "(no reason given)"),
        (None, "(no reason given)"),
    ],
)
def test_reason_is_without_what_differs(reason: str | None, sign: str) -> None:
    assert normalised(reason) == sign


def test_alike_failures_are_counted_together() -> None:
    def failed(number: int, callee: str, status: str, reason: str) -> Failed:
        return Failed(f"d-{number}", CALLER, callee, status, reason, AT - timedelta(minutes=number))

    found = grouped(
        [
            failed(0, CALLEE, "failed", "error 500"),
            failed(1, OTHER, "failed", "error 502"),
            failed(2, CALLEE, "stuck", "error 7"),
            failed(3, OTHER, "failed", "error 8"),
            failed(4, OTHER, "failed", "error 9"),
        ]
    )
    first, second = found
    assert (first.reason, first.status, first.failures) == ("error <n>", "failed", 4)
    assert (first.first_at, first.last_at) == (AT - timedelta(minutes=4), AT)
    assert list(first.callees.items()) == [(OTHER, 3), (CALLEE, 1)]
    assert first.samples == ["d-0", "d-1", "d-3"]
    assert (second.status, second.failures) == ("stuck", 1)
