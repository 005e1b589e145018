"""`run` and `replay` on a table whose trigger swallows the rows of one caller."""

import json
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import run_projector
from explaining import TEN_MS, Platform
from rows import CALLER, delegate

from projector.recordings.file import RecordedRecord, dumps

OTHER = "0a0a0a0a-0000-4000-8000-000000000001"
TRIGGER = f"""
    CREATE FUNCTION public.skip() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RETURN CASE WHEN NEW.caller_id <> '{OTHER}' THEN NEW END; END $$;
    CREATE TRIGGER skip_insert BEFORE INSERT ON public.delegations FOR EACH ROW EXECUTE FUNCTION public.skip();
"""
VALUES = [
    delegate(0, request_body={"delegation_id": f"d-{n}", "task": "t"}, workspace_id=OTHER if n % 3 == 0 else CALLER)
    for n in range(7)
]


def rows_and_reasons(url: str) -> tuple[list[str], list[str]]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT delegation_id FROM public.delegations ORDER BY 1").fetchall()
        reasons = conn.execute("SELECT reason FROM projector.dead_letters").fetchall()
    return [row for (row,) in rows], [reason for (reason,) in reasons]


def check(url: str) -> None:
    rows, reasons = rows_and_reasons(url)
    assert rows == ["d-1", "d-2", "d-4", "d-5"]
    assert len(reasons) == 3
    assert all("trigger skip_insert" in reason for reason in reasons)


def test_member_passes_the_records_that_a_trigger_swallows(cluster: Cluster) -> None:
    platform = Platform(cluster.bootstrap_servers, cluster.topic, cluster.database_url)
    platform.damage(TRIGGER)
    for value in VALUES:
        platform.send(value, b"one partition", partition=0)
    cluster.start_member()
    wait_until(lambda: cluster.positions().get(0) == len(VALUES), "the position passes the swallowed records")
    check(cluster.database_url)


@pytest.mark.parametrize("again", [False, True])
def test_replay_keeps_the_records_that_a_trigger_swallows(database_url: str, tmp_path: Path, again: bool) -> None:
    file = tmp_path / "recording.jsonl"
    records = [RecordedRecord("t", 0, n, TEN_MS, None, json.dumps(value).encode()) for n, value in enumerate(VALUES)]
    file.write_bytes(b"".join(map(dumps, records)))
    with psycopg.connect(database_url) as conn:
        conn.execute(TRIGGER.encode())
    for _ in range(1 + again):
        outcomes = run_projector("replay", str(file), "--json", database_url=database_url).json()["outcomes"]
        assert outcomes["dead_letter"] == 3
    check(database_url)
