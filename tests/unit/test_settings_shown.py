"""Settings as they are shown: masked secrets, sources and defaults."""

from pathlib import Path

import pytest

from projector.settings import Settings, load
from projector.settings.masking import masked_url
from projector.settings.reference import catalog, shown, source


def test_secrets_are_masked_in_every_output() -> None:
    secrets = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
    assert set(secrets) == {
        "database_url",
        "activity_database_url",
        "dashboard_tokens",
        "sasl_password",
        "sasl_oauth_token",
        "ssl_key_password",
        "redact_key",
    }
    settings = load(dict.fromkeys(secrets, "secret-word secret-word"), {})
    for printed in (str(settings), repr(settings), settings.model_dump_json()):
        assert "secret-word" not in printed
    assert {shown(settings, name) for name in secrets} == {"**********"}


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("postgresql://u:p@h:5432/d?sslmode=require", "postgresql://u:**********@h:5432/d?sslmode=require"),
        ("postgres://u@h,i/d?password=p&sslpassword=q", "postgres://u@h,i/d?password=**********&sslpassword=**********"),
        ("host=h user='a b' password = 'p q' dbname=d", "host=h user='a b' password=********** dbname=d"),
        ("postgresql:///d?host=/run", "postgresql:///d?host=/run"),
        ("", ""),
        *((url, "**********") for url in (
            "postgresql://u:p@p@h/d",
            "postgresql://u:p/p@h/d",
            "postgresql://u:p?p@h/d",
            "postgresql://h:1/d?password=p@p",
            "postgresql://h/d?pass%77ord=p",
            "mysql://u:p@h/d",
            "host=h password='p",
            "password",
        )),
    ],
)  # fmt: skip
def test_only_the_password_of_a_database_url_is_masked(url: str, printed: str) -> None:
    assert masked_url(url) == printed


def test_unset_setting_is_shown_empty() -> None:
    assert shown(load({}, {}), "group_instance_id") is None


def test_source_of_every_value_is_known(tmp_path: Path) -> None:
    file = tmp_path / "health"
    file.write_text("/run/health")
    variables = {"PROJECTOR_TOPIC": "a", "PROJECTOR_GROUP_ID": "b", "PROJECTOR_HEALTH_FILE_FILE": str(file)}
    settings = load({"group_id": "c"}, variables)
    assert [source(settings, name) for name in ("topic", "group_id", "health_file", "log_level")] == [
        "PROJECTOR_TOPIC",
        "--group-id",
        f"PROJECTOR_HEALTH_FILE_FILE={file}",
        "default",
    ]


def test_catalog_has_every_setting_and_the_defaults_in_use() -> None:
    settings = load({}, {})
    assert {each.name: each.default for each in catalog()} == {
        name: shown(settings, name) for name in Settings.model_fields
    }
    assert {each.group for each in catalog() if each.name in ("topic", "lock_timeout_ms")} == {"Kafka", "Postgres"}
