"""How to log in to Kafka: the settings as the client's arguments."""

from collections.abc import Mapping
from pathlib import Path

from kafka.net.sasl.oauth import AbstractTokenProvider

from projector.errors import Misconfigured
from projector.settings import KafkaSettings, token_file


def security(settings: KafkaSettings) -> Mapping[str, object]:
    """The client's arguments for TLS and SASL. Raises Misconfigured if a certificate's file does not exist."""
    arguments: dict[str, object] = {"security_protocol": settings.security_protocol}
    if settings.security_protocol.endswith("SSL"):
        arguments |= _tls(settings)
    if settings.sasl_mechanism is not None:
        arguments["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            token = settings.sasl_oauth_token.get_secret_value() if settings.sasl_oauth_token else ""
            arguments["sasl_oauth_token_provider"] = _TokenProvider(token, token_file())
        else:
            arguments["sasl_plain_username"] = settings.sasl_username
            password = settings.sasl_password
            arguments["sasl_plain_password"] = password.get_secret_value() if password else None
    return arguments


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
    password = settings.ssl_key_password
    return {
        **{name: str(path) for name, path in files.items() if path is not None},
        "ssl_password": password.get_secret_value() if password else None,
        "ssl_check_hostname": settings.ssl_check_hostname,
    }


class _TokenProvider(AbstractTokenProvider):  # type: ignore[misc]  # the client ships no types
    """A bearer token. If it comes from a file, each login reads the file again: tokens are renewed there."""

    def __init__(self, token: str, path: Path | None) -> None:
        self._token = token
        self._path = path

    def token(self) -> str:
        return self._path.read_text().strip() if self._path else self._token
