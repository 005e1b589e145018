"""How long a member waits if Kafka refuses what it accepted before."""

import ssl

import pytest
from kafka.errors import IllegalSaslStateError, SaslAuthenticationFailedError, TopicAuthorizationFailedError

from projector.errors import BrokerUnavailable, Misconfigured
from projector.kafka.refusals import LOGIN_SECONDS, Refusals


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("projector.kafka.refusals.time.monotonic", lambda: now[0])
    return now


def reaction(refusals: Refusals, error: Exception) -> type[Exception]:
    """Our error for this one. The client's start turns other answers than that of a login into Misconfigured."""
    try:
        with refusals.errors():
            if isinstance(error, IllegalSaslStateError | ssl.SSLError):
                raise Misconfigured("a definite answer") from error
            raise error
    except (BrokerUnavailable, Misconfigured) as ours:
        return type(ours)


REFUSED, ANSWER, RIGHT = SaslAuthenticationFailedError(), IllegalSaslStateError(), TopicAuthorizationFailedError()


@pytest.mark.parametrize("error", [REFUSED, ANSWER, RIGHT])
def test_refusal_at_the_start_is_a_misconfiguration(error: Exception) -> None:
    assert reaction(Refusals(), error) is Misconfigured


def test_refused_login_is_an_outage_for_two_minutes(now: list[float]) -> None:
    refusals = Refusals()
    refusals.worked()
    now[0] += LOGIN_SECONDS - 1
    assert reaction(refusals, REFUSED) is BrokerUnavailable
    now[0] += 1
    assert reaction(refusals, REFUSED) is Misconfigured


@pytest.mark.parametrize("error", [ANSWER, ssl.SSLCertVerificationError("expired")])
def test_other_answer_of_a_listener_is_an_outage_as_long_as_it_lasts(now: list[float], error: Exception) -> None:
    refusals = Refusals()
    refusals.worked()
    now[0] += 10 * LOGIN_SECONDS
    assert reaction(refusals, error) is BrokerUnavailable


def test_missing_right_is_always_a_misconfiguration() -> None:
    refusals = Refusals()
    refusals.worked()
    assert reaction(refusals, RIGHT) is Misconfigured
