"""Why a connection to Kafka failed: the sentence, the setting to look at, and whether waiting can help."""

import os
import re
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

from kafka import errors as client_errors

LOGIN_ERRORS = (client_errors.SaslAuthenticationFailedError, client_errors.UnsupportedSaslMechanismError)
_LISTENER_ERRORS = (client_errors.IllegalSaslStateError, client_errors.InvalidReceiveError)
_TLS_ALERT = 0x1503
"""The first two bytes of a TLS alert: type and major version."""


class Failure(NamedTuple):
    """The last failure of a connection to a node. `address` is host:port. `node` is the client's name of it."""

    node: Any
    address: str
    error: BaseException

    @property
    def reason(self) -> str:
        """The error for people."""
        if isinstance(self.error, client_errors.InvalidReceiveError):
            return "it requires TLS" if _is_tls_alert(self.error) else "what answers there is no Kafka"
        if isinstance(self.error, client_errors.IllegalSaslStateError):
            return "it has no login by SASL"
        text = " ".join(str(self.error).split()).removeprefix("KafkaConnectionError: ")
        if found := re.fullmatch(r"(\d+) E[A-Z]+", text):
            return os.strerror(int(found[1])).lower()
        return {"DNS Resolution failure": "name not known"}.get(text, text)


def broker_id(node: Any) -> str:
    """The id of the broker of a node: the client has a second connection to the coordinator of a group."""
    return str(node).removeprefix("coordinator-")


def is_definite(error: BaseException) -> bool:
    """Whether the other side answered, in a way that another try with the same settings does not change."""
    if isinstance(error, ssl.SSLError):
        return not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return isinstance(error, (*LOGIN_ERRORS, *_LISTENER_ERRORS))


def refusal(failure: Failure, configs: Mapping[str, object]) -> str:
    """The sentence of a definite answer. It begins with the settings that are wrong. `configs`: of the client."""
    error, address = failure.error, failure.address
    protocol = f"PROJECTOR_SECURITY_PROTOCOL={configs.get('security_protocol', 'PLAINTEXT')}"
    match error:
        case client_errors.SaslAuthenticationFailedError():
            return f"{_login_settings(configs)}: Kafka refuses access: {_broker_message(error)} (broker {address})"
        case client_errors.UnsupportedSaslMechanismError():
            return f"PROJECTOR_SASL_MECHANISM: Kafka refuses access: {_broker_message(error)} (broker {address})"
        case client_errors.IllegalSaslStateError():
            return f"{protocol}: the listener at {address} has no login by SASL. Set its protocol, or another port"
        case client_errors.InvalidReceiveError() if _is_tls_alert(error):
            return f"{protocol}: the listener at {address} requires TLS. Set SSL or SASL_SSL, or another port"
        case client_errors.InvalidReceiveError():
            return (
                f"PROJECTOR_BOOTSTRAP_SERVERS: what answers at {address} is no Kafka. Compare host and port "
                f"({protocol})"
            )
        case ssl.SSLCertVerificationError():
            return (
                f"PROJECTOR_SSL_CA_FILE, PROJECTOR_SSL_CHECK_HOSTNAME: the certificate of the broker at {address} is "
                f"refused: {error.verify_message}"
            )
        case ssl.SSLError() if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return f"{protocol}: the listener at {address} does not use TLS. Set its protocol, or another port"
    return (
        "PROJECTOR_SSL_CERT_FILE, PROJECTOR_SSL_KEY_FILE, PROJECTOR_SSL_KEY_PASSWORD: no TLS connection to "
        f"{address}: {failure.reason}"
    )


def no_answer(failure: Failure | None, configs: Mapping[str, object]) -> str:
    """The sentence if no broker answered as Kafka does. `failure`: the last one, None if there was only silence."""
    servers, protocol = configs["bootstrap_servers"], configs.get("security_protocol", "PLAINTEXT")
    if failure is None:
        return (
            f"Kafka accepts connections at {servers} and does not answer: it is starting, or its protocol there is not "
            f"{protocol} (PROJECTOR_SECURITY_PROTOCOL)"
        )
    is_handshake = isinstance(failure.error, ssl.SSLError)
    return (
        f"PROJECTOR_SECURITY_PROTOCOL={protocol}: {failure.address} closes each connection"
        f"{' during the TLS handshake' if is_handshake else ''}. Kafka is starting, or this listener has another "
        f"protocol{_client_certificate(configs)}"
    )


def unreachable(failures: Mapping[str, Failure], cluster: Any, bootstrap_servers: object) -> str | None:
    """The sentence about brokers of the cluster that cannot be reached, if there are any. `failures`: by broker id."""
    known = {str(broker.node_id) for broker in cluster.brokers()}
    found = {broker: failure for broker, failure in failures.items() if broker in known}
    if not found:
        return None
    addresses = {address.strip() for address in str(bootstrap_servers).split(",")}
    brokers = ", ".join(f"broker {broker} at {each.address} ({each.reason})" for broker, each in found.items())
    if addresses >= {each.address for each in found.values()}:
        return f"Kafka cannot be reached: {brokers}"
    return (
        f"Kafka at {bootstrap_servers} answers, and advertises an address that cannot be reached from here: {brokers}. "
        "Clients connect to the address that a broker advertises: check advertised.listeners"
    )


def _login_settings(configs: Mapping[str, object]) -> str:
    if configs.get("sasl_mechanism") == "OAUTHBEARER":
        return "PROJECTOR_SASL_OAUTH_TOKEN"
    return "PROJECTOR_SASL_USERNAME, PROJECTOR_SASL_PASSWORD"


def _client_certificate(configs: Mapping[str, object]) -> str:
    is_missing = "SSL" in str(configs.get("security_protocol")) and not configs.get("ssl_certfile")
    return ", or it requires a client certificate (PROJECTOR_SSL_CERT_FILE)" if is_missing else ""


def _broker_message(error: BaseException) -> str:
    """The message of the broker, without the client's names of the error."""
    return re.sub(r"^(\[Error \d+\] )?(\w+Error: )*", "", str(error))


def _is_tls_alert(error: BaseException) -> bool:
    """The client took the first four bytes for a length."""
    found = re.search(r"\d+", str(error))
    return found is not None and int(found[0]) >> 16 == _TLS_ALERT
