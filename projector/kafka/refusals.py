"""Refusals of Kafka: at the start of a member they are misconfigurations, and later most are outages at first."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from projector.errors import BrokerUnavailable, Misconfigured
from projector.kafka import failures
from projector.kafka.connection import mapped_errors

LOGIN_SECONDS = 120.0
"""The file of a rotated secret may be replaced later than the secret in the broker."""


class Refusals:
    """Turns the client's errors into ours. Until the first poll that succeeds, each refusal is a misconfiguration.

    After it, a refused login is an outage for two minutes. Any other answer that is not that of a Kafka listener is an
    outage for as long as it lasts: a proxy in front of a broker that restarts can answer so. A missing right is always
    a misconfiguration.
    """

    def __init__(self) -> None:
        self._worked_at: float | None = None

    def worked(self) -> None:
        """A poll succeeded."""
        self._worked_at = time.monotonic()

    @contextmanager
    def errors(self, consumer: Any = None) -> Iterator[None]:
        """Turn errors into ours, as `mapped_errors` does. A refusal that may pass is BrokerUnavailable."""
        try:
            with mapped_errors(consumer):
                yield
        except Misconfigured as error:
            if not self._waits_for(error.__cause__):
                raise
            raise BrokerUnavailable(str(error)) from error

    def _waits_for(self, error: BaseException | None) -> bool:
        if self._worked_at is None or error is None:
            return False
        if isinstance(error, failures.LOGIN_ERRORS):
            return time.monotonic() - self._worked_at < LOGIN_SECONDS
        return failures.is_definite(error)
