"""The platform, the projector and the feed are away for longer than the thresholds: nobody is marked for that."""

import signal
from collections.abc import Iterator

from stage import Stage

from testbed.workload.acting import Delegated, answers
from testbed.workload.silences import falls_silent, fills_the_history

COUNT = 15
"""Fewer than the brake's 20: what withholds the verdicts is not the brake."""
BEFORE, AWAY = 4200.0, 3600.0
NONE = {"stuck": 0, "failed": 0}


def beats_until_an_hour_ago(d: Delegated) -> Iterator[float]:
    """The last thing that the view knows of it is 70 minutes old."""
    d.request("dispatched", ago=BEFORE + 600)
    d.beats(since=BEFORE + 540, until=BEFORE, every=180)
    yield 0


def beat_all_the_while(stage: Stage, delegation_ids: set[str]) -> None:
    """Write the heartbeats of the last hour into the table."""
    for delegated in stage.platform.played:
        if delegated.id in delegation_ids:
            delegated.beats(since=AWAY, until=0, every=400)


def test_nobody_is_marked_while_platform_projector_or_feed_is_away(stage: Stage) -> None:
    member = stage.cluster.start_member()

    # the platform: nobody spoke for twice the threshold, then it returns
    stage.play(falls_silent, COUNT)
    stage.settle()
    counts = stage.sweep()
    assert (counts["verdicts"], counts["held"], counts["skipped"]) == (NONE, COUNT, "no_activity"), "it is away"
    stage.play(answers)
    stage.settle()
    counts = stage.sweep()
    assert (counts["verdicts"], counts["spared"], counts["skipped"]) == (NONE, COUNT, None), "it is back"
    for delegated in stage.platform.of(falls_silent):
        delegated.result("completed", text="back")
    stage.platform.play(fills_the_history)  # from here on it was never away

    # the projector
    projected = stage.play(beats_until_an_hour_ago, COUNT)
    stage.settle()
    assert stage.overdue().keys() == projected, "the model would judge what the view knows"
    assert member.signal(signal.SIGTERM).exit_code() == 0
    beat_all_the_while(stage, projected)
    stage.feed.wait_until_delivered()
    counts = stage.sweep()
    assert (counts["verdicts"], counts["skipped"]) == (NONE, "behind"), "the projector is away"
    stage.project()
    assert stage.sweep() | {"seconds": 0} == nothing_to_do(), "the projector is back"

    # the feed: positions are at the end of the topic, and only the table has the heartbeats
    carried = stage.play(beats_until_an_hour_ago, COUNT)
    stage.settle()
    stage.feed.pause()
    beat_all_the_while(stage, carried)
    counts = stage.sweep()
    assert counts["verdicts"] == NONE, "the feed is away"
    assert (counts["candidates"], counts["spared"], counts["skipped"]) == (COUNT, COUNT, None)
    stage.feed.resume()
    stage.settle()
    assert stage.sweep() | {"seconds": 0} == nothing_to_do(), "the feed is back"
    assert stage.verdicts() == []

    # and a callee that is really silent is found
    silent = stage.play(silent_for_ever, 3)
    stage.settle()
    assert stage.sweep()["verdicts"] == {"stuck": 3, "failed": 0}
    stage.assert_swept(silent=silent)


def silent_for_ever(d: Delegated) -> Iterator[float]:
    """Silent, under another name than those that were ended above."""
    return falls_silent(d)


def nothing_to_do() -> dict[str, object]:
    """The counts of a pass without candidates."""
    counts = dict.fromkeys(("candidates", "repeated", "spared", "unknown", "future", "held", "seconds"), 0)
    return {**counts, "verdicts": NONE, "skipped": None}
