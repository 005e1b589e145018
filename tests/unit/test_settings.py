"""Settings: their sources, and the values they refuse."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from projector.errors import DatabaseUnavailable, Misconfigured
from projector.settings import Settings, load, refreshed, unknown_variables, variable


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_text("old\n")
    return path


def test_default_timeouts_are_in_order() -> None:
    settings = load({}, {})
    assert (settings.topic, settings.group_id) == ("activity-log", "delegations-projector")
    assert settings.heartbeat_interval_ms < settings.session_timeout_ms < settings.max_poll_interval_ms


def test_flag_wins_over_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECTOR_TOPIC", "from-the-environment")
    assert load().topic == "from-the-environment"
    assert load({"topic": "from-a-flag"}).topic == "from-a-flag"


def test_value_from_a_file_loses_only_its_line_end(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" two words \r\n")
    settings = load({}, {"PROJECTOR_SSL_KEY_PASSWORD_FILE": str(file)})
    assert settings.ssl_key_password is not None
    assert settings.ssl_key_password.get_secret_value() == " two words "


def test_error_names_the_variable_of_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC_FILE: .*nowhere cannot be read"):
        load({}, {"PROJECTOR_TOPIC_FILE": str(tmp_path / "nowhere")})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC_FILE: .* cannot be read"):
        load({}, {"PROJECTOR_TOPIC_FILE": str(binary)})


def test_variable_and_its_file_are_refused_together(tmp_path: Path) -> None:
    both = {"PROJECTOR_TOPIC": "a", "PROJECTOR_TOPIC_FILE": str(tmp_path / "topic")}
    with pytest.raises(Misconfigured, match="PROJECTOR_TOPIC and PROJECTOR_TOPIC_FILE are both set: leave one"):
        load({}, both)


BELOW = "PROJECTOR_{} ({}) must be below PROJECTOR_{} ({})"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"batch_records": "many"}, "PROJECTOR_BATCH_RECORDS: 'many' is not a whole number"),
        ({"batch_records": "1.5"}, "PROJECTOR_BATCH_RECORDS: '1.5' is not a whole number"),
        ({"batch_records": "0"}, "PROJECTOR_BATCH_RECORDS: '0' is too small: the minimum is 1"),
        (
            {"lock_timeout_ms": "2147483648"},
            "PROJECTOR_LOCK_TIMEOUT_MS: '2147483648' is too large: the maximum is 2147483647",
        ),
        ({"lock_timeout_ms": "9" * 5000}, "PROJECTOR_LOCK_TIMEOUT_MS: '" + "9" * 60 + "' is too large"),
        ({"bootstrap_servers": "a:1,b"}, "PROJECTOR_BOOTSTRAP_SERVERS: 'b' is not host:port"),
        ({"bootstrap_servers": ":9092"}, "PROJECTOR_BOOTSTRAP_SERVERS: ':9092' is not host:port"),
        ({"http_address": "a:65536"}, "PROJECTOR_HTTP_ADDRESS: 'a:65536' is not host:port"),
        ({"dashboard_tokens": "short"}, "PROJECTOR_DASHBOARD_TOKENS: a token has at least 16 characters"),
        ({"log_format": "xml"}, "PROJECTOR_LOG_FORMAT: 'xml' is not one of human, json"),
        ({"ssl_check_hostname": "maybe"}, "PROJECTOR_SSL_CHECK_HOSTNAME: 'maybe' is neither true nor false"),
        ({"health_file": "/"}, "PROJECTOR_HEALTH_FILE: '/' is a folder: name a file"),
        ({"health_file": ".."}, "PROJECTOR_HEALTH_FILE: '..' is a folder: name a file"),
        ({"topic": "\udcff"}, "PROJECTOR_TOPIC: its value is not UTF-8, or has U+0000"),
        (
            {"heartbeat_interval_ms": "12000"},
            BELOW.format("HEARTBEAT_INTERVAL_MS", 12000, "SESSION_TIMEOUT_MS", 12000),
        ),
        (
            {"idle_in_transaction_timeout_ms": "12000"},
            BELOW.format("IDLE_IN_TRANSACTION_TIMEOUT_MS", 12000, "SESSION_TIMEOUT_MS", 12000),
        ),
        (
            {"statement_timeout_ms": "60000"},
            BELOW.format("STATEMENT_TIMEOUT_MS", 60000, "MAX_POLL_INTERVAL_MS", 60000),
        ),
        ({"security_protocol": "SASL_SSL"}, "PROJECTOR_SECURITY_PROTOCOL=SASL_SSL needs PROJECTOR_SASL_MECHANISM"),
        (
            {"sasl_mechanism": "PLAIN", "sasl_username": "me"},
            "PROJECTOR_SASL_MECHANISM=PLAIN needs PROJECTOR_SASL_USERNAME and PROJECTOR_SASL_PASSWORD",
        ),
        (
            {"sasl_mechanism": "OAUTHBEARER"},
            "PROJECTOR_SASL_MECHANISM=OAUTHBEARER needs PROJECTOR_SASL_OAUTH_TOKEN, or better PROJECTOR_SASL_OAUTH",
        ),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given),
)
def test_error_names_the_setting_the_value_and_what_was_expected(values: dict[str, str], sentence: str) -> None:
    with pytest.raises(Misconfigured) as raised:
        load({}, {variable(name): value for name, value in values.items()})
    assert str(raised.value).startswith(sentence)


def test_error_names_the_flag_or_the_file_of_a_wrong_value(file: Path) -> None:
    with pytest.raises(Misconfigured) as raised:
        load({"batch_records": "many"}, {"PROJECTOR_BATCH_BYTES_FILE": str(file)})
    assert str(raised.value) == (
        "--batch-records (PROJECTOR_BATCH_RECORDS): 'many' is not a whole number; "
        "PROJECTOR_BATCH_BYTES_FILE: 'old' is not a whole number"
    )


@pytest.mark.parametrize(
    ("name", "value", "used"),
    [("security_protocol", "ssl", "SSL"), ("log_level", "debug", "DEBUG"), ("log_format", "JSON", "json")],
)
def test_choice_may_be_written_in_any_case(name: str, value: str, used: str) -> None:
    assert getattr(load({}, {variable(name): value}), name) == used


@pytest.mark.parametrize("empty", ["", "  ", "\t\n"])
@pytest.mark.parametrize("name", [name for setting in Settings.model_fields for name in (setting, f"{setting}_file")])
def test_empty_variable_counts_as_not_set(name: str, empty: str) -> None:
    assert load({}, {variable(name): empty}) == load({}, {})


@pytest.mark.parametrize("empty", ["", " "])
def test_empty_flag_is_refused(empty: str) -> None:
    with pytest.raises(
        Misconfigured, match=r"^--group-instance-id \(PROJECTOR_GROUP_INSTANCE_ID\): the value is empty"
    ):
        load({"group_instance_id": empty}, {"PROJECTOR_GROUP_INSTANCE_ID": "a"})


def test_file_is_used_beside_its_empty_variable(file: Path) -> None:
    assert load({}, {"PROJECTOR_TOPIC": "", "PROJECTOR_TOPIC_FILE": str(file)}).topic == "old"


def test_empty_file_is_refused(file: Path) -> None:
    file.write_text("\n")
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC_FILE: .*/secret is empty"):
        load({}, {"PROJECTOR_TOPIC_FILE": str(file)})


def test_error_does_not_contain_a_secret() -> None:
    with pytest.raises(Misconfigured) as raised:
        load({"sasl_mechanism": "PLAIN", "sasl_password": "secret-word"}, {})
    assert "secret-word" not in str(raised.value)


def test_no_group_hides_a_validator_of_another() -> None:
    groups = [group for group in Settings.mro() if issubclass(group, BaseModel)]
    rules = {name for group in groups for name in group.__pydantic_decorators__.field_validators}
    assert {name for name in rules if sum(name in vars(group) for group in groups) > 1} == set()


def test_settings_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}, {}).topic = "another"  # type: ignore[misc]  # on purpose


def test_misspelt_variable_is_found() -> None:
    environment = dict.fromkeys(
        [
            "PROJECTOR_BOOTSTRAP_SERVER",
            "PROJECTOR_TOPIC",
            "PROJECTOR_TOPIC_FILE",
            "HOME",
        ],
        "",
    )
    assert unknown_variables(environment) == {"PROJECTOR_BOOTSTRAP_SERVER": "PROJECTOR_BOOTSTRAP_SERVERS"}


def test_every_setting_has_a_description() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def rotated(environment: dict[str, str], flags: dict[str, str] | None = None) -> Settings:
    """The settings, read again after each file of the environment got another content."""
    settings = load(flags, environment)
    for path in environment.values():
        Path(path).write_text("new\n")
    return refreshed(settings, DatabaseUnavailable)


@pytest.mark.parametrize("name", ["database_url", "activity_database_url", "sasl_password", "ssl_key_password"])
def test_secret_of_a_file_is_read_again(file: Path, name: str) -> None:
    again = rotated({f"{variable(name)}_FILE": str(file)})
    assert getattr(again, name).get_secret_value() == "new"
    file.write_text("newer")
    assert getattr(refreshed(again, DatabaseUnavailable), name).get_secret_value() == "newer"


def test_user_name_of_a_file_is_read_again(file: Path) -> None:
    assert rotated({"PROJECTOR_SASL_USERNAME_FILE": str(file)}).sasl_username == "new"


def test_topic_of_a_file_stays_until_the_end_of_the_process(file: Path) -> None:
    assert rotated({"PROJECTOR_TOPIC_FILE": str(file)}).topic == "old"


def test_flag_still_wins_when_a_file_changes(file: Path) -> None:
    again = rotated({"PROJECTOR_DATABASE_URL_FILE": str(file)}, {"database_url": "flag"})
    assert again.database_url.get_secret_value() == "flag"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(Path.unlink, "cannot be read: No such file or directory"), (lambda path: path.write_text(" \n"), "is empty")],
    ids=["missing", "empty"],
)
def test_missing_secret_is_an_outage(file: Path, change: Callable[[Path], object], sentence: str) -> None:
    settings = load({}, {"PROJECTOR_DATABASE_URL_FILE": str(file)}).model_copy(update={"topic": "a copy"})
    change(file)
    with pytest.raises(DatabaseUnavailable, match=f"PROJECTOR_DATABASE_URL_FILE: {file} {sentence}$"):
        refreshed(settings, DatabaseUnavailable)
    file.write_text("back")
    assert refreshed(settings, DatabaseUnavailable).database_url.get_secret_value() == "back"
