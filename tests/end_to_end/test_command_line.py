"""Every command as a process: its help, its errors and its exit codes; and config, migrate and health."""

from importlib.metadata import version
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from replaying import REQUEST, recording

from testbed.servers.server import free_port

NOWHERE = f"127.0.0.1:{free_port()}"
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
    ["parked", "discard"],
    ["explain"],
    ["sweep"],
    ["doctor"],
    ["config"],
    ["health"],
]

GROUPS = (["migrate"], ["dead-letters"], ["parked"])


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
        "0 done, 1 failed, 2 misconfigured, 3 the view has drifted,\n  4 the log has a gap (the message names the "
        "remedy),\n  5 done, but some records ended as dead letters, 6 nothing was found or compared,\n  130 "
        "interrupted by Ctrl-C, 143 ended by SIGTERM.\n" in run_projector("--help").out
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
    assert shown["PROJECTOR_BATCH_RECORDS"] == "20000"


def test_flag_wins_over_the_variable() -> None:
    assert "PROJECTOR_TOPIC=b\n" in run_projector("config", "--topic", "b", topic="a").out


# --- migrate


def test_migrate_down_needs_a_confirmation(empty_url: str, tmp_path: Path) -> None:
    assert "pending  049_delegations" in run_projector("migrate", "status", database_url=empty_url).out
    assert run_projector("migrate", "up", database_url=empty_url).out.endswith("the schema is up to date\n")
    assert "applied  050_projector" in run_projector("migrate", "status", database_url=empty_url).out
    run_projector("replay", str(recording(tmp_path, REQUEST)), database_url=empty_url)
    refused = run_projector("migrate", "down", "--to", "0", database_url=empty_url)
    assert (refused.code, refused.out) == (1, "")
    assert "this would destroy 1 row of delegations" in refused.err
    assert run_projector("migrate", "down", "--to", "0", "--yes", database_url=empty_url).code == 0


# --- health


def test_health_without_a_file_is_a_misconfiguration() -> None:
    done = run_projector("health")
    assert done.code == 2
    assert "PROJECTOR_HEALTH_FILE is not set" in done.err


@pytest.mark.parametrize("command", [["health"], ["run"], ["run", "--members", "2"]], ids=" ".join)
@pytest.mark.parametrize("folder", ["/", ".", ".."])
def test_health_file_must_not_be_a_folder(command: list[str], folder: str) -> None:
    done = run_projector(*command, health_file=folder)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"projector: PROJECTOR_HEALTH_FILE: '{folder}' is a folder: name a file\n"


def test_health_without_a_report_fails(tmp_path: Path) -> None:
    done = run_projector("health", health_file=str(tmp_path / "health"))
    assert done.code == 1
    assert "no report of a running projector" in done.err
