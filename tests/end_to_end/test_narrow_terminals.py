"""Every command that prints a table, on terminals of 80 and 40 columns: a line fits, and no word is lost or cut."""

import json
import os
import pty
import re
import termios
from contextlib import closing
from typing import NamedTuple

import command_tree
import psycopg
import pytest
from activity_table import SEARCH_PATH
from cluster import Cluster, wait_until
from commands import TIMEOUT_SECONDS, all_of, environment, run_projector, start
from kafka import KafkaProducer
from relaying import Relaying
from rows import CALLER
from sweeping import platform

LINES = 1_000
"""The lines of the terminal: no output is longer, so no pager starts."""
EMPTY_COLUMNS = {"behind"}
"""A list leaves out values that are empty, with their headings."""
ODD = 'it\'s "the 1st" of 2'
LONG = "a-rather-long-id-of-a-delegation-" + "9" * 20
COMMANDS = [
    ["config"],
    ["doctor"],
    ["status"],
    ["verify"],
    ["rebuild", "--dry-run"],
    ["explain", ODD, "--verbose", "--legend"],
    ["replay", "{file}", "--dry-run"],
    ["dead-letters", "list"],
    ["dead-letters", "list", "--every-topic"],
    ["dead-letters", "show", "{partition}", "{offset}"],
    ["parked", "list"],
    ["deleted", "list"],
    ["prune", "--ended-before", "1s", "--dry-run"],
    ["erase", "--workspace", CALLER, "--dry-run"],
    ["push", "list"],
    ["push", "list", "--state", "given_up", "expired"],
    ["push", "show", ODD],
    ["push", "missing"],
    ["sweep", "--dry-run"],
    ["migrate", "status"],
]
OTHERS = """
    run migrate-up migrate-down migrate-recreate-shadow record dead-letters-retry dead-letters-discard parked-discard
    deleted-restore deleted-discard push-run push-retry push-discard push-prune dashboard init health completion
"""
"""These print lines of a log, short sentences or nothing."""


class Scene(NamedTuple):
    """The settings of a database and of a topic that have something for every table, and values of arguments."""

    settings: dict[str, str]
    arguments: dict[str, str]

    def run(self, command: list[str]) -> list[str]:
        return [each.format(**self.arguments) if each.startswith("{") else each for each in command]


@pytest.fixture(scope="module")
def scene(shared_database_url: str, kafka: str, shared_topic: str, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    url, topic, folder = shared_database_url, shared_topic, tmp_path_factory.mktemp("narrow")
    settings = {"database_url": url, "bootstrap_servers": kafka, "topic": topic, "group_id": f"group-{topic}"}
    with platform(url) as it, psycopg.connect(url, options=SEARCH_PATH, autocommit=True) as conn:
        rows = [
            *(it.request(of, 35) for of in (ODD, LONG)),
            it.request("asked", 40, idempotency_key="a key"),
            it.request("asked again", 39, idempotency_key="a key"),
            it.request("done", 30, status="completed"),
        ]
        it.is_alive(60).write(*rows)
        early = [it.answer(of) for of in ("asked again", f"parked for {LONG}")]
        wrong = [it.request("wrong", method="an unknown method " * 20), it.request("w", created_at="10 o'clock")]
        values = [json.dumps(row).encode() for row in [*rows, *early, *wrong]] + [b"no json"]
        with closing(KafkaProducer(bootstrap_servers=kafka)) as producer:
            sent = [producer.send(topic, value, CALLER.encode(), partition=1).get(10) for value in values]
        cluster = Cluster(url, kafka, topic, folder)
        cluster.start_member()
        wait_until(lambda: cluster.projected_records() == len(values), "all records projected")
        cluster.end()
        _plant(conn, f"planted {LONG}")
        assert run_projector("rebuild", "--yes", **settings).code == 0
        _plant(conn, f"once more {LONG}")
        conn.execute("UPDATE delegations SET status = 'failed', error_detail = 'x y z' WHERE delegation_id = 'done'")
        conn.execute("INSERT INTO push VALUES (%s, now() - interval '2 days')", [topic])
        _replies(Relaying(conn))
    (folder / "file.jsonl").write_bytes(b"\n".join(values))
    arguments = {"file": str(folder / "file.jsonl"), "partition": "1", "offset": str(sent[-2].offset)}
    return Scene(settings, arguments)


def _plant(conn: psycopg.Connection, delegation_id: str) -> None:
    conn.execute(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, created_at, updated_at)"
        " VALUES (%s, %s, %s, 'planted', now() - interval '20 minutes', now() - interval '20 minutes')",
        [delegation_id, CALLER, CALLER],
    )


def _replies(replies: Relaying) -> None:
    for name in (ODD, LONG):
        replies.end(name, "completed", text="done")
        replies.queue(name)
    replies.conn.execute(
        "UPDATE outbox SET ended_as = 'given_up', given_up_at = now(), last_error = repeat('no such workspace ', 40)"
        " WHERE delegation_id = %s",
        [ODD],
    )


def test_every_command_is_listed() -> None:
    listed = {" ".join(each[:2]) for each in COMMANDS} | {each[0] for each in COMMANDS}
    names = [each for each in command_tree.COMMANDS if " ".join(each) not in listed]
    assert {"-".join(each) for each in names} == {*OTHERS.split()}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_output_fits_the_terminal_and_loses_nothing(scene: Scene, command: list[str]) -> None:
    arguments = scene.run(command)
    before, *narrow, after = (_shown(scene, arguments, width) for width in (None, 80, 40, None))
    kept = _words(before) & _words(after)  # others are of the clock
    for width, shown in zip((80, 40), narrow, strict=True):
        assert kept - _words(shown) <= EMPTY_COLUMNS, shown
        printed, _, _ = shown.partition("\nkey ")  # key and value of a record stay as they are
        assert [line for line in printed.splitlines() if not _fits(line, width)] == [], shown


def _shown(scene: Scene, arguments: list[str], width: int | None) -> str:
    """What the command prints on a terminal that is so wide, or into a pipe."""
    if width is None:
        return run_projector(*arguments, **scene.settings).out
    terminal, other = pty.openpty()
    termios.tcsetwinsize(other, (LINES, width))
    with os.fdopen(other, "wb") as stdout, open(os.devnull, "wb") as nowhere:
        process = start(arguments, environment(scene.settings), stdout=stdout, stderr=nowhere)
    shown = all_of(terminal)
    process.wait(TIMEOUT_SECONDS)
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", shown).replace("\r\n", "\n")


def _words(text: str) -> set[str]:
    return {word for word in text.split() if len(word) > 1}


def _fits(line: str, width: int) -> bool:
    """A word that is too long for a line, and a statement of SQL, are not broken."""
    return len(line) <= width or len(line.split()) == 1 or line.endswith(";")
