"""How to log in to Kafka: the settings as the client's arguments."""

from collections.abc import Mapping
from dataclasses import dataclass

from kafka.net.sasl.oauth import AbstractTokenProvider

from projector.errors import BrokerUnavailable, Misconfigured
from projector.settings import KafkaSettings, refreshed


def security(settings: KafkaSettings) -> Mapping[str, object]:
    """The client's arguments for TLS and SASL. Raises Misconfigured if a certificate's file does not exist."""
    arguments: dict[str, object] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        arguments |= _tls(settings)
    if settings.sasl_mechanism is not None:
        arguments["sasl_mechanism"] = settings.sasl_mechanism
    return arguments | _secrets(settings)


def secrets(settings: KafkaSettings) -> Mapping[str, object]:
    """The arguments that a rotation changes, as their files are now. Raises BrokerUnavailable if a file is missing."""
    return _secrets(refreshed(settings, BrokerUnavailable))


def _secrets(settings: KafkaSettings) -> dict[str, object]:
    key_password, password, token = settings.ssl_key_password, settings.sasl_password, settings.sasl_oauth_token
    return {
        "ssl_password": key_password.get_secret_value() if key_password else None,
        "sasl_plain_username": settings.sasl_username,
        "sasl_plain_password": password.get_secret_value() if password else None,
        "sasl_oauth_token_provider": _Token(token.get_secret_value().strip()) if token else None,
    }


def _tls(settings: KafkaSettings) -> dict[str, object]:
    files = {
        "ssl_cafile": settings.ssl_ca_file,
        "ssl_certfile": settings.ssl_cert_file,
        "ssl_keyfile": settings.ssl_key_file,
    }
    for setting in ("ssl_ca_file", "ssl_cert_file", "ssl_key_file"):
        path = getattr(settings, setting)
        if path is not None and not path.is_file():
            raise Misconfigured(f"PROJECTOR_{setting.upper()}: {path} is not a file, expected one in PEM")
    return {
        **{name: str(path) for name, path in files.items() if path is not None},
        "ssl_check_hostname": settings.ssl_check_hostname,
    }


@dataclass(frozen=True)
class _Token(AbstractTokenProvider):  # type: ignore[misc]  # the client ships no types
    """A bearer token."""

    value: str

    def __repr__(self) -> str:
        return "a bearer token"

    def token(self) -> str:
        return self.value
