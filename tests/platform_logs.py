"""Short logs of a platform for hypothesis: few ids, keys and times, so that they meet."""

from hypothesis import strategies as st

from projector.recordings.file import RecordedRecord
from testbed.workload.feeds import CLOCKS, DATA_FORMS, ENVELOPES, UNAVAILABLE_VALUE, WRAPPINGS, Feed

TEN_MS = 1_746_439_200_000
feeds = st.builds(
    Feed,
    envelope=st.sampled_from(ENVELOPES),
    bodies_as_text=st.booleans(),
    omits_unchanged=st.just(False),
    escapes=st.booleans(),
    zone=st.sampled_from(["Z", "+02:00", ""]),
    clock=st.sampled_from(CLOCKS),
    wrapping=st.sampled_from([None, None, *WRAPPINGS]),
    data_form=st.sampled_from(DATA_FORMS),
)
minutes = st.integers(0, 6).map(lambda minute: TEN_MS + minute * 60_000)
some_texts = st.sampled_from([None, None, "", "one", "two"])
METHODS = ["delegate", "delegate", "delegate_result", "heartbeat", "verdict"]
ROW_STATUSES = ["pending", "dispatched", "in_progress", "completed", "completed", "failed", "timeout", "stuck"]


@st.composite
def platform_values(draw: st.DrawFn) -> bytes:
    """The value of one delegation row, in any envelope and wrapping. A body may be large, or left out."""
    feed, method = draw(feeds), draw(st.sampled_from(METHODS))
    status = draw(st.sampled_from(["stuck", "failed"] if method == "verdict" else ROW_STATUSES))
    named = {
        "delegation_id": draw(st.sampled_from(["d-1", "d-2", "d-3"])),
        "task": draw(st.sampled_from(["t", "t" * 1600])),
    }
    if method == "verdict" and (status == "stuck" or draw(st.booleans())):
        named["silent_since"] = feed.time(draw(minutes))  # type: ignore[assignment]
    row = {
        "id": f"a0000000-0000-4000-8000-00000000000{draw(st.integers(0, 3))}",
        "workspace_id": f"c1c1c1c1-0000-4000-8000-00000000000{draw(st.sampled_from([1, 1, 2]))}",
        "activity_type": "delegation",
        "target_id": "c2c2c2c2-0000-4000-8000-000000000002",
        "method": method,
        "status": status,
        "request_body": UNAVAILABLE_VALUE if draw(st.integers(0, 9)) == 0 else named,
        "response_body": {"text": draw(some_texts), "error": draw(some_texts)},
        "error_detail": draw(some_texts),
        "idempotency_key": draw(st.sampled_from([None, "k-1", "k-2"])),
        "created_at": feed.time(draw(minutes)),
    }
    return feed.value(draw(st.sampled_from("cru")), row, draw(minutes) + draw(st.integers(0, 3)))


@st.composite
def platform_logs(draw: st.DrawFn) -> list[RecordedRecord]:
    """A log of one partition; a stretch of it may be repeated, as a connector does after a crash."""
    log = draw(st.lists(platform_values(), max_size=12))
    start, end = sorted((draw(st.integers(0, len(log))), draw(st.integers(0, len(log)))))
    log += log[start:end] if draw(st.booleans()) else []
    return [
        RecordedRecord("activity-log", 0, offset, TEN_MS + offset * 1000, None, value)
        for offset, value in enumerate(log)
    ]
