"""How long a member waits if Kafka refuses what it accepted before."""

import ssl

import pytest
from kafka.errors import IllegalSaslStateError, SaslAuthenticationFailedError, TopicAuthorizationFailedError

from projector.errors import BrokerUnavailable, Misconfigured
from projector.kafka.patience import LOGIN_SECONDS, Patience


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("projector.kafka.patience.time.monotonic", lambda: now[0])
    return now


def reaction(patience: Patience, error: Exception) -> type[Exception]:
    """Our error for this one. The client's start turns other answers than that of a login into Misconfigured."""
    try:
        with patience.errors():
            if isinstance(error, IllegalSaslStateError | ssl.SSLError):
                raise Misconfigured("a definite answer") from error
            raise error
    except (BrokerUnavailable, Misconfigured) as ours:
        return type(ours)


REFUSED, ANSWER, RIGHT = SaslAuthenticationFailedError(), IllegalSaslStateError(), TopicAuthorizationFailedError()


@pytest.mark.parametrize("error", [REFUSED, ANSWER, RIGHT])
def test_refusal_at_the_start_is_a_misconfiguration(error: Exception) -> None:
    assert reaction(Patience(), error) is Misconfigured


def test_refused_login_is_an_outage_for_two_minutes(now: list[float]) -> None:
    patience = Patience()
    patience.worked()
    now[0] += LOGIN_SECONDS - 1
    assert reaction(patience, REFUSED) is BrokerUnavailable
    now[0] += 1
    assert reaction(patience, REFUSED) is Misconfigured


@pytest.mark.parametrize("error", [ANSWER, ssl.SSLCertVerificationError("expired")])
def test_other_answer_of_a_listener_is_an_outage_as_long_as_it_lasts(now: list[float], error: Exception) -> None:
    patience = Patience()
    patience.worked()
    now[0] += 10 * LOGIN_SECONDS
    assert reaction(patience, error) is BrokerUnavailable


def test_missing_right_is_always_a_misconfiguration() -> None:
    patience = Patience()
    patience.worked()
    assert reaction(patience, RIGHT) is Misconfigured
