"""Settings: where they come from, what they refuse, and what they never show."""

from pathlib import Path

import pytest

from projector.errors import Misconfigured
from projector.settings import Settings, load, shown, token_file, unknown_variables, variable


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(variable(name), raising=False)


def test_defaults_are_in_order() -> None:
    settings = load({}, {})
    assert (settings.topic, settings.group_id) == ("activity-log", "delegations-projector")
    assert settings.heartbeat_interval_ms < settings.session_timeout_ms < settings.max_poll_interval_ms


def test_variable_is_read_and_a_flag_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROJECTOR_TOPIC", "from-the-environment")
    assert load().topic == "from-the-environment"
    assert load({"topic": "from-a-flag"}).topic == "from-a-flag"


def test_value_from_a_file_loses_its_line_end_alone(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" two words \r\n")
    settings = load({}, {"PROJECTOR_SSL_KEY_PASSWORD_FILE": str(file)})
    assert settings.ssl_key_password is not None
    assert settings.ssl_key_password.get_secret_value() == " two words "


def test_file_that_cannot_be_read_is_named_by_its_variable(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC_FILE: .*nowhere cannot be read"):
        load({}, {"PROJECTOR_TOPIC_FILE": str(tmp_path / "nowhere")})
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff")
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC_FILE: .* cannot be read"):
        load({}, {"PROJECTOR_TOPIC_FILE": str(binary)})


def test_variable_and_its_file_at_once_are_refused(tmp_path: Path) -> None:
    both = {"PROJECTOR_TOPIC": "a", "PROJECTOR_TOPIC_FILE": str(tmp_path / "topic")}
    with pytest.raises(Misconfigured, match="PROJECTOR_TOPIC and PROJECTOR_TOPIC_FILE are both set: leave one"):
        load({}, both)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"batch_records": "many"}, "PROJECTOR_BATCH_RECORDS: Input should be a valid integer"),
        ({"batch_records": "0"}, "PROJECTOR_BATCH_RECORDS: Input should be greater than or equal to 1"),
        ({"topic": ""}, "PROJECTOR_TOPIC: "),
        ({"bootstrap_servers": "a:1,b"}, "PROJECTOR_BOOTSTRAP_SERVERS: 'b' is not host:port"),
        ({"bootstrap_servers": ":9092"}, "PROJECTOR_BOOTSTRAP_SERVERS: ':9092' is not host:port"),
        ({"log_format": "xml"}, "PROJECTOR_LOG_FORMAT: Input should be 'human' or 'json'"),
        ({"heartbeat_interval_ms": "12000"}, "heartbeat_interval_ms must be below session_timeout_ms"),
        (
            {"idle_in_transaction_timeout_ms": "12000"},
            "idle_in_transaction_timeout_ms must be below session_timeout_ms",
        ),
        ({"statement_timeout_ms": "60000"}, "statement_timeout_ms must be below max_poll_interval_ms"),
        ({"security_protocol": "SASL_SSL"}, "security_protocol SASL_SSL needs a sasl_mechanism"),
        ({"sasl_mechanism": "PLAIN", "sasl_username": "me"}, "PLAIN needs sasl_username and sasl_password"),
        ({"sasl_mechanism": "OAUTHBEARER"}, "OAUTHBEARER needs sasl_oauth_token, or better sasl_oauth_token_file"),
    ],
    ids=lambda given: "" if isinstance(given, str) else " ".join(given),
)
def test_wrong_value_is_named_with_what_was_expected(flags: dict[str, str], sentence: str) -> None:
    with pytest.raises(Misconfigured) as told:
        load(flags, {})
    assert sentence in str(told.value)


def test_every_wrong_value_is_told_at_once() -> None:
    with pytest.raises(Misconfigured, match=r"PROJECTOR_TOPIC.*; PROJECTOR_BATCH_RECORDS"):
        load({"batch_records": "many", "topic": ""}, {})


def test_wrong_secret_is_not_in_the_sentence() -> None:
    with pytest.raises(Misconfigured) as told:
        load({"sasl_mechanism": "PLAIN", "sasl_password": "secret-word"}, {})
    assert "secret-word" not in str(told.value)


def test_secrets_are_masked_wherever_settings_are_printed() -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    assert set(secrets) == {
        "database_url",
        "activity_database_url",
        "sasl_password",
        "sasl_oauth_token",
        "ssl_key_password",
        "redact_key",
    }
    settings = load(dict.fromkeys(secrets, "secret-word secret-word"), {})
    for printed in (str(settings), repr(settings), str(shown(settings)), settings.model_dump_json()):
        assert "secret-word" not in printed
    assert {shown(settings)[variable(name)] for name in secrets} == {"**********"}


def test_what_is_not_set_is_shown_empty() -> None:
    assert shown(load({}, {}))["PROJECTOR_GROUP_INSTANCE_ID"] == ""


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load({}, {}).topic = "another"  # type: ignore[misc]  # on purpose


def test_slip_of_the_pen_is_found_and_others_variables_are_not() -> None:
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


def test_token_file_is_known_to_those_who_read_it_anew() -> None:
    assert token_file({"PROJECTOR_SASL_OAUTH_TOKEN_FILE": "here"}) == Path("here")
    assert token_file({}) is None


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
