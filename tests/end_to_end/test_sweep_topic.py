"""`projector sweep --sink topic`: verdicts in the topic, where no table tells what the view lacks."""

import pytest
from cluster import wait_until
from commands import run_projector
from sweep_feed import LINE, Feed

STUCK = {"stuck": 1, "failed": 0}


def test_verdicts_end_in_the_view(feed: Feed) -> None:
    it = feed.it
    it.is_alive().write(it.request("silent"), it.beat("silent"), it.request("late", due=3))
    it.write(it.request("alive"), it.beat("alive", 1))
    feed.cluster.start_member()
    feed.project()
    assert feed.once("--sink", "topic") == LINE | {"candidates": 2, "verdicts": {"stuck": 1, "failed": 1}}
    wait_until(lambda: set(it.statuses().values()) == {"queued", "stuck", "failed"}, "both verdicts projected")
    assert it.verdicts() == []
    assert feed.once("--sink", "topic") == LINE
    assert run_projector("verify", **feed.settings()).code == 0


def test_settle_time_delays_the_judgement(feed: Feed) -> None:
    it = feed.it
    it.is_alive().write(it.request(), it.beat(minutes=10.5), it.request("alive"), it.beat("alive", 1))
    feed.cluster.start_member()
    feed.project()
    assert feed.once("--sink", "topic") == LINE
    assert feed.once("--sink", "topic", sweep_settle_seconds="0")["verdicts"] == STUCK


@pytest.mark.parametrize(
    ("signs", "spares"),
    [
        ([50, 48, 46, 44, 3, 2, 1], True),  # the platform was away for 41 minutes, and is back
        ([50, 48, 46, 44, *range(13, 0, -2)], False),  # it is back for longer than the threshold
        ([26, 24, 22, *range(13, 0, -2)], False),
        ([26, 24, 22, 20, 18, 16, 8.5, 7, 6, 5, 4, 3, 2, 1], True),
        ([*range(26, 0, -2)], False),
        ([*range(50, 8, -2)], True),  # it has been away for nine minutes, and still is
    ],
    ids=["it is back", "it was back in time", "it was back in time after a shorter one", "a gap", "no gap", "it lasts"],
)
def test_silence_counts_from_the_end_of_a_gap_of_the_topic(feed: Feed, signs: list[float], spares: bool) -> None:
    """All records of the topic count as signs, those of other workspaces too."""
    it = feed.it
    it.write(it.request(minutes=55), it.beat(minutes=44 if 44 in signs else 20))
    it.write(*(it.sign(minutes) for minutes in signs), it.request("alive", 55), it.beat("alive", signs[-1]))
    feed.cluster.start_member()
    feed.project()
    line = feed.once("--sink", "topic")
    assert line == LINE | {"candidates": 1} | ({"spared": 1} if spares else {"verdicts": STUCK})


def test_topic_that_is_silent_holds_the_verdicts(feed: Feed) -> None:
    it = feed.it
    it.write(it.request(), it.beat(), it.request("late", due=3), *(it.sign(minutes) for minutes in range(15, 40)))
    feed.cluster.start_member()
    feed.project()
    line = feed.once("--sink", "topic")
    expected = {"candidates": 2, "verdicts": {"stuck": 0, "failed": 1}, "held": 1, "skipped": "no_activity"}
    assert line == LINE | expected
