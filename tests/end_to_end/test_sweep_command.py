"""`projector sweep` as a process, with a real Kafka and a real Postgres: lines, sentences and exit codes."""

import os
import signal
from pathlib import Path

from cluster import wait_until
from commands import run_projector
from psycopg.conninfo import make_conninfo
from roles import plain_role
from rows import CALLER
from sweep_feed import LINE, Feed
from sweeping import Platform, platform

from projector.postgres import queries, sweep_locks
from testbed.servers.server import free_port


def written(it: Platform) -> list[dict[str, str]]:
    """The verdicts in the table, as `would_write` names them."""
    names = ("delegation_id", "rule", "silent_since", "deadline")
    rows = [
        {"status": row["status"], **{name: row["request_body"][name] for name in names if name in row["request_body"]}}
        for row in it.verdicts()
    ]
    return sorted(rows, key=lambda row: row["delegation_id"])


def test_silent_and_overdue_delegations_reach_the_view(feed: Feed) -> None:
    it = feed.it
    it.is_alive().write(it.request("silent"), it.beat("silent"), it.request("late", due=1))
    it.write(it.request("alive"), it.beat("alive", 1), it.request("done"), it.answer("done"))
    feed.cluster.start_member()
    feed.project()
    would = feed.once("--dry-run").pop("would_write")
    assert would == [
        {"delegation_id": "late", "rule": "deadline", "status": "failed", "deadline": it.at(1)},
        {"delegation_id": "silent", "rule": "silence", "status": "stuck", "silent_since": it.at(20)},
    ]
    assert feed.once() == LINE | {"candidates": 2, "verdicts": {"stuck": 1, "failed": 1}}
    assert written(it) == would
    assert feed.once() == LINE | {"candidates": 2, "repeated": 2}
    feed.project()
    assert it.statuses() == {"alive": "queued", "done": "completed", "late": "failed", "silent": "stuck"}
    assert feed.once() == LINE
    assert run_projector("verify", **feed.settings()).code == 0
    assert run_projector("verify", "--from", "activity-logs", **feed.settings()).code == 0
    explained = run_projector("explain", "silent", **feed.settings()).out
    assert "no sign of life for 20 min" in explained
    assert "(rule silence, threshold 10 min 0 s)" in explained
    report = run_projector("explain", "late", "--json", **feed.settings()).json()
    assert report["records"][-1]["rests_on"].startswith("no answer 1 min")
    assert report["records"][-1]["rests_on"].endswith(" UTC (rule deadline, threshold 30 s)")


def test_rebuilds_repeat_the_verdicts_also_beside_a_late_answer(feed: Feed) -> None:
    it = feed.it
    it.is_alive().write(it.request("silent"), it.beat("silent"), it.request("late", due=1), it.request("alive", 1))
    it.write(it.request("answers"), it.beat("answers"))
    feed.cluster.start_member()
    feed.project()
    assert feed.once()["verdicts"] == {"stuck": 2, "failed": 1}
    feed.project()
    it.write(it.answer("answers", created_at=queries.clock(it.conn).isoformat()))
    feed.project()
    expected = {"alive": "queued", "answers": "stuck", "late": "failed", "silent": "stuck"}
    assert it.statuses() == expected
    assert verified(feed, "topic") == (0, 0, 0)
    assert verified(feed, "activity-logs") == (0, 0, 1)
    for source, answers in (("topic", "stuck"), ("activity-logs", "completed")):
        it.conn.execute("DELETE FROM delegations")
        done = run_projector("rebuild", "--from", source, "--yes", "--json", **feed.settings())
        assert (done.code, done.json()["written"]["inserted"]) == (0, 4), done.err
        assert it.statuses() == expected | {"answers": answers}
    assert feed.once() == LINE


def verified(feed: Feed, source: str) -> tuple[int, int, int]:
    """The exit code, the drift, and the rows that the source does not tell."""
    done = run_projector("verify", "--from", source, "--json", **feed.settings())
    return done.code, done.json()["drift"], done.json()["verdict_not_told"]


def test_pass_is_skipped_while_the_view_is_behind(feed: Feed) -> None:
    it = feed.it
    it.is_alive().write(it.request(), it.beat())
    member = feed.cluster.start_member()
    feed.project()
    member.kill()
    it.write(it.request("another", 1))
    feed.feed()
    done = feed.sweep("--once", "--json")
    assert (done.code, done.json()["skipped"]) == (0, "behind")
    assert "the view is behind the topic: partition" in done.err
    assert it.verdicts() == []
    feed.cluster.start_member()
    assert feed.once() == LINE | {"candidates": 1, "verdicts": {"stuck": 1, "failed": 0}}


def test_feed_that_stands_still_marks_nobody(feed: Feed) -> None:
    """The view is at the end of the topic, and lacks the beats of the last minutes."""
    it = feed.it
    it.is_alive().write(it.request(), it.beat())
    feed.cluster.start_member()
    feed.project()
    it.write(it.beat(minutes=1))
    assert feed.once() == LINE | {"candidates": 1, "spared": 1}


def test_table_for_people_lists_what_the_next_pass_writes(feed: Feed) -> None:
    it = feed.it
    it.is_alive().both(it.request("silent"), it.beat("silent"), it.request("late", due=1))
    done = feed.sweep("--dry-run")
    assert (done.code, done.err) == (0, "")
    heading, late, silent, end = done.out.splitlines()
    assert heading.split("  ")[0].strip() == "delegation"
    assert all(title in heading for title in ("caller → callee", "silent for", "last sign", "deadline", "rule"))
    assert late.strip().startswith("late")
    assert late.strip().endswith("deadline, failed")
    assert f"{CALLER} → " in silent
    assert "20 min" in silent
    assert end == "the next pass writes 2 verdicts; nothing was written, because of --dry-run"
    assert feed.sweep("--once").out.startswith("2 candidates: 2 verdicts written (1 stuck, 1 failed), 0 repeated")
    assert feed.sweep("--dry-run").out == "the next pass writes nothing (2 candidates)\n"


def test_brake_is_a_sentence_and_exit_code_0(feed: Feed) -> None:
    it = feed.it
    it.is_alive()
    for n in range(10):
        it.both(it.request(f"d-{n}"), it.beat(f"d-{n}", 20 if n < 6 else 1))
    done = feed.sweep("--once", sweep_brake_minimum="2")
    assert done.code == 0
    assert "braked: 6 delegations would be stuck, more than 5 of the 10 in flight" in done.out
    assert it.verdicts() == []
    assert feed.once("--anyway", sweep_brake_minimum="2")["verdicts"] == {"stuck": 6, "failed": 0}


def test_anyway_is_for_one_pass_only(feed: Feed) -> None:
    done = feed.sweep("--anyway")
    assert (done.code, done.out) == (2, "")
    assert "add --once or --dry-run" in done.err


def test_table_that_is_away_is_exit_code_1(feed: Feed) -> None:
    nowhere = make_conninfo(feed.it.url, host="127.0.0.1", port=free_port())
    done = feed.sweep("--once", "--json", activity_database_url=nowhere)
    assert done.code == 1
    assert done.json() == LINE | {"skipped": "truth_away", "seconds": done.json()["seconds"]}
    assert "the database of activity_logs: PROJECTOR_ACTIVITY_DATABASE_URL" in done.err


def test_missing_right_is_exit_code_1_with_the_grant(feed: Feed) -> None:
    with plain_role(feed.it.url) as url:
        done = feed.sweep("--once", activity_database_url=url)
        assert (done.code, done.out) == (1, "")
        assert "lacks SELECT, INSERT on public.activity_logs: GRANT SELECT, INSERT ON" in done.err


def test_missing_index_is_named_and_the_pass_is_made(feed: Feed) -> None:
    it = feed.it
    it.is_alive().both(it.request(), it.beat())
    it.conn.execute("DROP INDEX activity_logs_workspace")
    done = feed.sweep("--once", "--json")
    assert (done.code, done.json()["verdicts"]["stuck"]) == (0, 1)
    assert "activity_logs has no index that begins with (workspace_id, activity_type, created_at)" in done.err


def test_pass_of_another_sweeper_locks(feed: Feed) -> None:
    assert sweep_locks.try_pass(feed.it.conn)
    assert feed.once() == LINE | {"skipped": "locked"}
    assert "would_write" in feed.once("--dry-run")


def test_table_in_another_database_decides(feed: Feed, empty_url: str) -> None:
    it = feed.it
    it.is_alive().both(it.request(), it.beat())
    with platform(empty_url, has_view=False) as elsewhere:
        elsewhere.start = it.start
        elsewhere.is_alive()
        assert feed.once(activity_database_url=empty_url) == LINE | {"candidates": 1, "unknown": 1}
        elsewhere.write(it.request())
        line = feed.once(activity_database_url=empty_url)
        assert line == LINE | {"candidates": 1, "verdicts": {"stuck": 1, "failed": 0}}
        assert elsewhere.told() == {"d-1": "stuck"}
        assert it.verdicts() == []


# --- the loop


def test_loop_sweeps_until_sigterm(feed: Feed, tmp_path: Path) -> None:
    it = feed.it
    it.is_alive()
    health = tmp_path / "health"
    parent = feed.cluster.start_member(
        "--with-sweep", sweep_interval_seconds="1", health_file=str(health), stop_within_seconds="30"
    )
    processes = parent.wait_for_log("members started")["pids"]
    assert len(processes) == 2
    it.write(it.request("silent"), it.beat("silent"), it.request("late", due=1))
    feed.feed()
    wait_until(lambda: set(it.told()) == {"silent", "late"}, f"two verdicts in:\n{parent.text()[-3000:]}")
    feed.feed()
    wait_until(lambda: it.statuses() == {"late": "failed", "silent": "stuck"}, "both verdicts projected")
    wait_until(lambda: run_projector("health", health_file=str(health)).code == 0, "a healthy report")
    assert run_projector("health", health_file=f"{health}.sweeper").out == "sweeping\n"
    assert parent.signal(signal.SIGTERM).exit_code() == 0
    messages = [line["message"] for line in parent.lines()]
    assert messages.count("stopped") == messages.count("sweeper stopped") == 1


def test_killed_sweeper_stops_the_member(feed: Feed) -> None:
    parent = feed.cluster.start_member("--with-sweep", "--members", "2")
    _, _, sweeper = parent.wait_for_log("members started")["pids"]
    parent.wait_for_log("partitions assigned", times=2)
    parent.wait_for_log("sweeper starting")
    os.kill(sweeper, signal.SIGKILL)
    assert parent.exit_code() == 1
    assert f"sweeper (process {sweeper}) was ended by SIGKILL; the others were stopped" in parent.text()
