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


# --- help


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_describes_the_command(command: list[str]) -> None:
    done = run_projector(*command, "--help")
    assert (done.code, done.err) == (0, "")
    usage, about, *_ = done.out.split("\n\n")
    assert usage.startswith(f"Usage: projector {' '.join(command)}")
    assert len(usage) < 300, "the settings hide the command's own arguments"
    assert len(about) > 15


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "projector: error: Missing command (see `projector --help`)"),
        (["migrate"], "projector migrate: error: Missing command (see `projector migrate --help`)"),
        (["statsu"], "projector: error: No such command 'statsu'. Did you mean 'status'?"),
        (
            ["--batch-record", "1", "run"],
            "projector: error: No such option '--batch-record'. (Did you mean",
        ),
        (["--topic"], "projector: error: Missing command"),
        (["projekt"], "projector: error: No such command 'projekt'"),
        (["replay"], "projector replay: error: Missing argument 'FILE...'"),
        (["run", "--top", "t"], "projector run: error: No such option '--top'. Did you mean '--topic'?"),
        (["rebuild", "--drop"], "projector rebuild: error: No such option '--drop'. Did you mean '--drop-uncovered'?"),
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
    assert "secret-word" not in done.out
    assert "word-from-a-file" not in done.out
    shown = {line.partition("=")[0]: line.partition("=")[2].split("  # ") for line in done.out.splitlines()}
    assert shown["PROJECTOR_DATABASE_URL"] == [
        "postgresql://me:**********@db/agents".ljust(33),
        "from the environment; default none",
    ]
    assert shown["PROJECTOR_SASL_PASSWORD"][0].strip() == "**********"
    assert shown["PROJECTOR_SASL_PASSWORD"][1] == f"from PROJECTOR_SASL_PASSWORD_FILE={file}; default none"
    assert (shown["PROJECTOR_BATCH_RECORDS"][0].strip(), shown["PROJECTOR_BATCH_RECORDS"][1]) == ("20000", "default")


def test_config_as_json_has_value_source_and_default() -> None:
    done = run_projector("--topic", "b", "config", "--json", topic="a", batch_records="7")
    found = {each.pop("variable"): each for each in done.json()["settings"]}
    assert found["PROJECTOR_TOPIC"] == {"value": "b", "source": "--topic", "default": "activity-log"}
    assert found["PROJECTOR_BATCH_RECORDS"] == {"value": 7, "source": "PROJECTOR_BATCH_RECORDS", "default": 20000}
    assert found["PROJECTOR_SSL_CHECK_HOSTNAME"] == {"value": True, "source": "default", "default": True}
    assert found["PROJECTOR_DATABASE_URL"] == {"value": None, "source": "default", "default": None}


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
    nothing = run_projector("migrate", "down", "--to", "0", database_url=empty_url)
    assert (nothing.code, nothing.out) == (0, "no migration above version 0 is applied: nothing to revert\n")
    assert run_projector("migrate", "down", database_url=empty_url).code == 2
    found = run_projector("migrate", "status", "--json", database_url=empty_url).json()
    assert (found["applied"], found["pending"][0], found["adopted"]) == ([], "049_delegations", False)


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
