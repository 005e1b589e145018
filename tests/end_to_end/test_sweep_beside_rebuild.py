"""Sweepers that pass while a rebuild is at work: it reads only, so neither disturbs the other."""

from commands import environment, run_projector, start
from sweep_feed import LINE, Feed

SILENT, ALIVE = 60, 60


def test_sweeping_during_a_rebuild_is_safe(feed: Feed) -> None:
    """Rows are damaged, so that the rebuild repairs some while the sweeper judges them."""
    it = feed.it
    silent = {f"silent-{n}" for n in range(SILENT)}
    it.is_alive().write(*(it.request(name) for name in sorted(silent)), *(it.beat(name) for name in sorted(silent)))
    for n in range(ALIVE):
        it.write(it.request(f"alive-{n}"), it.beat(f"alive-{n}", 1))
    feed.cluster.start_member()
    feed.project()
    expected = it.statuses()
    own = feed.settings(rebuild_grace_seconds="0")
    for damage in (
        "DELETE FROM delegations",
        "UPDATE delegations SET last_heartbeat = created_at, updated_at = created_at",  # all of them look silent
        "UPDATE delegations SET status = 'completed'",
    ):
        it.conn.execute(damage.encode())
        spared = feed.once("--anyway")["spared"]
        assert spared >= (ALIVE if "last_heartbeat" in damage else 0), "the table speaks for those who live"
        rebuilding = start(["rebuild", "--yes"], environment(own))
        try:
            while rebuilding.poll() is None:
                line = feed.once("--anyway")
                assert line["skipped"] in (None, "behind")
        finally:
            assert rebuilding.wait(60) == 0
        feed.project()
        assert set(it.told()) <= silent, "nobody who lives was marked"
    assert feed.once("--anyway")["verdicts"]["failed"] == 0
    feed.project()
    assert it.told() == dict.fromkeys(silent, "stuck")
    assert len(it.verdicts()) == SILENT, "each once"
    assert it.statuses() == expected | dict.fromkeys(silent, "stuck")
    assert run_projector("verify", **own).code == 0
    assert feed.once() == LINE
