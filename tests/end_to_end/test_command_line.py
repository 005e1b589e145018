"""Every command as a process: its standard output, its standard error and its exit code."""

import json
from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from psycopg.conninfo import make_conninfo
from rows import CALLER, answer, delegate, heartbeat

from projector.domain.outcomes import Outcome
from projector.recordings.file import RecordedRecord, dumps
from testbed.servers.server import free_port
from testbed.servers.start import Postgres

NOWHERE = f"127.0.0.1:{free_port()}"
KEYED = {"source_id": CALLER}
COMMANDS = [
    ["run"],
    ["migrate"],
    ["migrate", "up"],
    ["migrate", "down"],
    ["migrate", "status"],
    ["verify"],
    ["rebuild"],
    ["replay"],
    ["record"],
    ["status"],
    ["dead-letters"],
    ["dead-letters", "list"],
    ["dead-letters", "show"],
    ["dead-letters", "retry"],
    ["dead-letters", "discard"],
    ["parked"],
    ["parked", "list"],
    ["explain"],
    ["config"],
    ["health"],
]

GROUPS = (["migrate"], ["dead-letters"], ["parked"])


def recording(folder: Path, *values: object, partition: int = 0) -> Path:
    file = folder / "recording.jsonl"
    contents = [value if isinstance(value, bytes) else json.dumps(value).encode() for value in values]
    lines = [
        RecordedRecord("activity-log", partition, n, 1_777_975_200_123, b"c1", value)
        for n, value in enumerate(contents)
    ]
    file.write_bytes(b"".join(map(dumps, lines)))
    return file


@pytest.fixture
def replayed(tmp_path: Path, database_url: str) -> str:
    """A database with one delegation, one parked answer, and three dead letters at offsets 2 to 4 of partition 0."""
    dead = [b"no json", b"\xff\xfe", {"activity_type": "delegation", "method": "none"}]
    file = recording(tmp_path, delegate(0, **KEYED), answer(1, "completed", of="d-2"), *dead)
    assert run_projector("replay", str(file), database_url=database_url).code == 0
    return database_url


# --- help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_describes_the_command(command: list[str]) -> None:
    done = run_projector(*command, "--help")
    assert (done.code, done.err) == (0, "")
    usage, about, *_ = done.out.split("\n\n")
    assert usage.startswith(f"Usage: projector {' '.join(command)}")
    assert len(usage) < 300, "the settings hide the command's own arguments"
    assert len(about) > 15
    assert ("Settings, each also as an environment variable:" in done.out) == (command not in GROUPS)


def test_help_names_the_exit_codes() -> None:
    assert (
        "0 done, 1 failed, 2 misconfigured, 3 the view has drifted,\n  4 the log has a gap"
        in run_projector("--help").out
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "projector: error: Missing command (see `projector --help`)"),
        (["parked"], "projector parked: error: Missing command (see `projector parked --help`)"),
        (["projekt"], "projector: error: No such command 'projekt'"),
        (["replay"], "projector replay: error: Missing argument 'FILE...'"),
        (["run", "--top", "t"], "projector run: error: No such option '--top'"),
        (["run", "--members", "0"], "projector run: error: Invalid value for '--members': must be a whole number"),
        (["record", "--out", "--force"], "projector record: error: Option '--out' requires an argument"),
    ],
)
def test_usage_error_is_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run_projector(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(sentence)
    assert done.err.count("\n") == 1


def test_version_is_that_of_the_package() -> None:
    assert run_projector("--version").out == f"{version('delegations-projector')}\n"


# --- errors: one sentence and an exit code


def test_error_names_a_wrong_setting(database_url: str) -> None:
    done = run_projector("config", batch_records="many", database_url=database_url)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("projector: PROJECTOR_BATCH_RECORDS: ")
    assert done.err.count("\n") == 1


def test_error_names_the_variable_of_a_wrong_flag() -> None:
    done = run_projector("config", "--security-protocol", "TLS")
    assert done.code == 2
    assert "PROJECTOR_SECURITY_PROTOCOL" in done.err


def test_variable_and_its_file_are_refused_together(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://a")
    done = run_projector("config", database_url="postgresql://b", database_url_file=str(file))
    assert done.code == 2
    assert "PROJECTOR_DATABASE_URL and PROJECTOR_DATABASE_URL_FILE are both set" in done.err


def test_misspelt_variable_is_a_warning() -> None:
    done = run_projector("config", bootstrap_server="a:1")
    assert done.code == 0
    assert "unknown setting PROJECTOR_BOOTSTRAP_SERVER (did you mean PROJECTOR_BOOTSTRAP_SERVERS?)" in done.err


@pytest.mark.parametrize("command", [["status"], ["dead-letters", "list"], ["parked", "list"], ["migrate", "status"]])
def test_unavailable_database_is_one_sentence(command: list[str]) -> None:
    done = run_projector(*command, database_url=f"postgresql://someone:secret-word@{NOWHERE}/nothing")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("projector: ")
    assert "onnection refused" in done.err
    assert "Traceback" not in done.err
    assert "secret-word" not in done.err


def test_wrong_password_is_one_sentence(postgres: Postgres) -> None:
    """Exit code 1 as for any connection error: the client does not distinguish them."""
    done = run_projector("status", database_url=make_conninfo(postgres.url, password="secret-word"))
    assert (done.code, done.out) == (1, "")
    assert "password authentication failed" in done.err
    assert "secret-word" not in done.err


@pytest.mark.parametrize(
    "command",
    [["status"], ["dead-letters", "list"], ["dead-letters", "retry", "--all"], ["parked", "list"]],
    ids=" ".join,
)
def test_missing_schema_names_the_remedy(command: list[str], empty_url: str) -> None:
    done = run_projector(*command, database_url=empty_url)
    assert (done.code, done.out) == (2, "")
    assert "run `projector migrate up` first" in done.err


def test_run_without_the_schema_names_the_remedy(empty_url: str, kafka: str, topic: str) -> None:
    done = run_projector("run", database_url=empty_url, bootstrap_servers=kafka, topic=topic)
    assert done.code == 2
    assert "run `projector migrate up` first" in done.err


def test_log_gap_ends_run_with_code_4(database_url: str, kafka: str, topic: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES (%s, 1, 77)", [topic])
    done = run_projector("run", database_url=database_url, bootstrap_servers=kafka, topic=topic, group_id=topic)
    assert done.code == 4
    sentence = done.err.splitlines()[-1]
    assert sentence.startswith(f"projector: partition 1 of {topic} was projected up to offset 77")
    assert "`projector rebuild --from activity-logs` repairs it" in sentence


# --- config


def test_config_masks_every_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("word-from-a-file\n")
    done = run_projector(
        "config",
        database_url="postgresql://me:secret-word@db/agents",
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password_file=str(file),
        sasl_oauth_token="secret-word",
        ssl_key_password="secret-word",
    )
    assert (done.code, done.err) == (0, "")
    shown = dict(line.split("=", 1) for line in done.out.splitlines())
    assert "word" not in "".join(shown.values())
    assert shown["PROJECTOR_SASL_PASSWORD"] == "**********"
    assert shown["PROJECTOR_SASL_USERNAME"] == "me"
    assert shown["PROJECTOR_BATCH_RECORDS"] == "5000"


def test_flag_wins_over_the_variable() -> None:
    assert "PROJECTOR_TOPIC=b\n" in run_projector("config", "--topic", "b", topic="a").out


# --- migrate, replay


def test_migrate_down_needs_a_confirmation(empty_url: str, tmp_path: Path) -> None:
    assert "pending  049_delegations" in run_projector("migrate", "status", database_url=empty_url).out
    assert run_projector("migrate", "up", database_url=empty_url).out.endswith("the schema is up to date\n")
    assert "applied  050_projector" in run_projector("migrate", "status", database_url=empty_url).out
    run_projector("replay", str(recording(tmp_path, delegate(0, **KEYED))), database_url=empty_url)
    refused = run_projector("migrate", "down", database_url=empty_url)
    assert (refused.code, refused.out) == (1, "")
    assert "this would destroy 1 rows of delegations" in refused.err
    assert run_projector("migrate", "down", "--yes", database_url=empty_url).code == 0


def test_outcomes_of_replay_add_up_to_the_records(tmp_path: Path, database_url: str) -> None:
    values = [
        delegate(0, **KEYED),
        delegate(0, **KEYED),
        heartbeat(1),
        answer(2, "completed", text="3"),
        b"no json",
        b"null",
    ]
    done = run_projector("replay", str(recording(tmp_path, *values)), "--json", database_url=database_url)
    assert (done.code, done.err) == (0, "")
    last = json.loads(done.out.splitlines()[-1])
    assert last["records"] == sum(last["outcomes"].values()) == 6
    assert set(last["outcomes"]) == set(Outcome)
    assert last["outcomes"]["dead_letter"] == last["outcomes"]["tombstone"] == 1
    assert last["seconds"] >= 0


def test_replay_of_a_missing_file_is_a_misconfiguration(database_url: str) -> None:
    done = run_projector("replay", "nowhere.jsonl", database_url=database_url)
    assert (done.code, done.out) == (2, "")
    assert "nowhere.jsonl cannot be opened: No such file or directory" in done.err


# --- status


def test_status_has_all_partitions_and_totals(replayed: str, kafka: str, topic: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset, member) VALUES (%s, 1, 0, 'here/1')",
            [topic],
        )
    settings = {"database_url": replayed, "bootstrap_servers": kafka, "topic": topic}
    done = run_projector("status", "--json", **settings)
    assert (done.code, done.err) == (0, "")
    report = done.json()
    assert (report["topic"], report["kafka"], report["parked"], report["dead_letters"]) == (topic, "ok", 1, 3)
    assert report["delegations"] == {
        "queued": 1,
        "dispatched": 0,
        "in_progress": 0,
        "completed": 0,
        "failed": 0,
        "stuck": 0,
    }
    assert [(each["partition"], each["position"], each["end"], each["owner"]) for each in report["partitions"]] == [
        (0, None, 0, None),
        (1, 0, 0, "here/1"),
        (2, None, 0, None),
    ]
    plain = run_projector("status", **settings)
    assert (plain.code, plain.err) == (0, "")
    assert "here/1" in plain.out
    assert max(map(len, plain.out.splitlines())) <= 80


def test_status_without_kafka_shows_the_positions(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute("INSERT INTO projector.positions (topic, partition, next_offset) VALUES ('activity-log', 4, 1234)")
    done = run_projector("status", database_url=replayed, bootstrap_servers=NOWHERE)
    assert done.code == 1
    assert f"projector: Kafka does not answer: {NOWHERE}: Connection refused" in done.err
    assert "1,234" in done.out
    report = run_projector("status", "--json", database_url=replayed, bootstrap_servers=NOWHERE)
    assert report.code == 1
    assert report.json()["kafka"].startswith("Kafka does not answer")
    assert report.json()["partitions"][0]["lag_records"] is None


def test_status_of_a_missing_topic_is_an_error(database_url: str, kafka: str) -> None:
    done = run_projector("status", database_url=database_url, bootstrap_servers=kafka, topic="nowhere")
    assert done.code == 1
    assert "topic nowhere does not exist: create it, or set PROJECTOR_TOPIC" in done.err


# --- dead letters


def test_dead_letters_are_listed(replayed: str) -> None:
    done = run_projector("dead-letters", "list", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "not JSON" in done.out
    assert "not UTF-8" in done.out
    found = run_projector("dead-letters", "list", "--json", "--limit", "2", database_url=replayed).json()
    assert found["total"] == 3
    assert len(found["dead_letters"]) == 2
    assert (
        run_projector("dead-letters", "list", "--partition", "9", database_url=replayed).out
        == "there are no dead letters\n"
    )


def test_dead_letter_is_shown_with_its_bytes(replayed: str) -> None:
    done = run_projector("dead-letters", "show", "0", "2", database_url=replayed)
    assert done.code == 0
    assert "value      no json" in done.out
    letter = run_projector("dead-letters", "show", "0", "3", "--json", database_url=replayed).json()
    assert (letter["key"], letter["value_base64"], letter["offset"]) == ("c1", "//4=", 3)
    missing = run_projector("dead-letters", "show", "0", "77", database_url=replayed)
    assert (missing.code, missing.out) == (1, "")
    assert "there is no dead letter at offset 77 of partition 0 of topic activity-log" in missing.err


@pytest.mark.parametrize("command", [["dead-letters", "show", "0", "4"], ["parked", "list"]], ids=" ".join)
def test_control_characters_are_escaped(tmp_path: Path, database_url: str, command: list[str]) -> None:
    file = recording(tmp_path, *[b"null"] * 4, b"\x1b[31mred", answer(1, "completed", of="\x1b[31mred\nand two"))
    run_projector("replay", str(file), database_url=database_url)
    done = run_projector(*command, database_url=database_url)
    assert "\x1b" not in done.out
    assert r"\x1b[31mred" in done.out
    assert "\nand two" not in done.out


def test_retry_prints_the_outcomes(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute(
            'UPDATE projector.dead_letters SET value = %b WHERE "offset" = 2', [json.dumps(heartbeat(1)).encode()]
        )
    done = run_projector("dead-letters", "retry", "--all", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "heartbeat" in done.out
    assert done.out.endswith("3 dead letters retried, 1 resolved, 2 failed\n")
    again = run_projector("dead-letters", "retry", "0", "3", "4", "--json", database_url=replayed).json()
    assert (again["records"], again["outcomes"]["dead_letter"]) == (2, 2)


def test_retry_of_nothing_is_an_error(replayed: str) -> None:
    done = run_projector("dead-letters", "retry", "0", "77", database_url=replayed)
    assert done.code == 1
    assert "there is no dead letter at any of these offsets" in done.err
    for mistake in (["--all", "0", "1"], ["0"], []):
        assert run_projector("dead-letters", "retry", *mistake, database_url=replayed).code == 2


def test_discard_needs_a_confirmation(replayed: str) -> None:
    refused = run_projector("dead-letters", "discard", "--all", database_url=replayed)
    assert (refused.code, refused.out) == (1, "")
    assert "this would delete 3 dead letters for good: add --yes to do it" in refused.err
    one = run_projector("dead-letters", "discard", "0", "2", "--yes", database_url=replayed)
    assert (one.code, one.out) == (0, "1 dead letters discarded\n")
    assert run_projector("dead-letters", "discard", "--all", "--yes", database_url=replayed).out.startswith("2 dead")


def test_topic_limits_discard_all(replayed: str) -> None:
    done = run_projector("dead-letters", "discard", "--all", "--yes", "--topic", "another", database_url=replayed)
    assert (done.code, done.out) == (0, "0 dead letters discarded\n")


# --- parked


def test_parked_events_are_listed_with_their_age(replayed: str) -> None:
    done = run_projector("parked", "list", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "d-2" in done.out
    assert "1 events of 1 delegations are parked, the oldest for " in done.out
    found = run_projector("parked", "list", "--json", "--delegation", "d-2", database_url=replayed).json()
    assert (found["events"], found["parked"][0]["status"]) == (1, "completed")
    assert run_projector("parked", "list", "--delegation", "d-1", database_url=replayed).out == "nothing is parked\n"


# --- health, run


def test_health_without_a_file_is_a_misconfiguration() -> None:
    done = run_projector("health")
    assert done.code == 2
    assert "PROJECTOR_HEALTH_FILE is not set" in done.err


def test_health_without_a_report_fails(tmp_path: Path) -> None:
    done = run_projector("health", health_file=str(tmp_path / "health"))
    assert done.code == 1
    assert "no report of a running projector" in done.err
