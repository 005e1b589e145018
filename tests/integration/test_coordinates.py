"""Two records with the same coordinates are two records: exports of one name, a topic that was recreated."""

import json
from pathlib import Path

from projecting import connected, query
from rows import answer, delegate

from projector.postgres.dead_letters import Filter
from projector.projection import dead_letters
from projector.recordings.replay import replay
from projector.settings import BatchLimits


def export(folder: Path, delegation: str) -> Path:
    folder.mkdir()
    path = folder / "export.jsonl"
    path.write_text(json.dumps(answer(1, "completed", of=delegation, text=delegation)) + f"\nno JSON of {delegation}\n")
    return path


def test_records_of_exports_with_one_name_are_all_kept(database_url: str, tmp_path: Path) -> None:
    exports = [export(tmp_path / name, name) for name in ("d-1", "d-2")]
    with connected(database_url) as conn:
        for _ in range(2):
            replay(conn, exports, limits=BatchLimits(batch_records=10, batch_bytes=10_000))
        assert query(conn, "SELECT delegation_id FROM parked ORDER BY 1") == ["d-1", "d-2"]
        assert query(conn, "SELECT encode(value, 'escape') FROM dead_letters ORDER BY 1") == [
            "no JSON of d-1",
            "no JSON of d-2",
        ]


def test_only_the_repaired_of_two_dead_letters_is_removed(database_url: str, tmp_path: Path) -> None:
    exports = [export(tmp_path / name, name) for name in ("d-1", "d-2")]
    with connected(database_url) as conn:
        replay(conn, exports, limits=BatchLimits(batch_records=10, batch_bytes=10_000))
        repaired = json.dumps(delegate(0)).encode()
        conn.execute("UPDATE dead_letters SET value = %s WHERE encode(value, 'escape') LIKE '%%d-1'", [repaired])
        dead_letters.retry(conn, Filter(), BatchLimits(batch_records=10, batch_bytes=10_000))
        assert query(conn, "SELECT encode(value, 'escape') FROM dead_letters") == ["no JSON of d-2"]
        assert query(conn, "SELECT delegation_id, status FROM delegations") == [("d-1", "completed")]
