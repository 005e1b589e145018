"""The settings: their names, defaults, limits and descriptions, and the rules between them.

Each part of the projector takes its own group: nothing is copied from one class to another.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from projector.settings.dashboard import DashboardSettings
from projector.settings.group import LOWER, UPPER, Address, Group, Number
from projector.settings.push import PushSettings
from projector.settings.sweep import SweepSettings
from projector.settings.wording import variable

_KIBI = 1024
_MIN_REDACT_KEY = 16


class KafkaSettings(Group):
    """How to reach the topic, and how long to wait for it."""

    title = "Kafka"

    bootstrap_servers: str = Field("localhost:9092", description="Kafka brokers, as host:port,host:port")
    topic: str = Field("activity-log", min_length=1, description="the topic of activity events")
    group_id: str = Field("delegations-projector", min_length=1, description="the consumer group of all replicas")
    group_instance_id: str | None = Field(None, description="name of a static member, unique per replica")

    security_protocol: Annotated[Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"], UPPER] = Field(
        "PLAINTEXT", description="security protocol of the connection to Kafka"
    )
    sasl_mechanism: Annotated[Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], UPPER] | None = Field(
        None, description="how to log in to Kafka, with SASL_PLAINTEXT or SASL_SSL"
    )
    sasl_username: str | None = Field(None, description="for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="for PLAIN and SCRAM")
    sasl_oauth_token: SecretStr | None = Field(
        None, description="for OAUTHBEARER; each login reads it again if it comes from a file (…_FILE)"
    )
    ssl_ca_file: Path | None = Field(None, description="certificates of the trusted authorities, PEM")
    ssl_cert_file: Path | None = Field(None, description="the client certificate, PEM")
    ssl_key_file: Path | None = Field(None, description="private key of the client certificate, PEM")
    ssl_key_password: SecretStr | None = Field(None, description="password of the private key")
    ssl_check_hostname: bool = Field(True, description="whether the broker's certificate must contain its host name")

    session_timeout_ms: Number = Field(
        12_000, ge=1_000, description="the group removes a member without a heartbeat for this time"
    )
    heartbeat_interval_ms: Number = Field(3_000, ge=100, description="time between two heartbeats of a member")
    max_poll_interval_ms: Number = Field(
        60_000, ge=5_000, description="the group removes a member that does not poll for this time"
    )
    metadata_max_age_ms: Number = Field(15_000, ge=1_000, description="new partitions are found within this time")
    max_partition_fetch_bytes: Number = Field(
        _KIBI * _KIBI, ge=_KIBI, description="compressed bytes that one fetch may return per partition"
    )

    @field_validator("bootstrap_servers")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        for address in value.split(","):
            host, _, port = address.strip().rpartition(":")
            if not host or not port.isdecimal():
                raise ValueError(f"{address.strip()!r} is not host:port")
        return value

    @model_validator(mode="after")
    def _login_complete(self) -> "KafkaSettings":
        if self.security_protocol.startswith("SASL") and self.sasl_mechanism is None:
            raise ValueError(
                f"{variable('security_protocol')}={self.security_protocol} needs {variable('sasl_mechanism')}"
            )
        if self.sasl_mechanism == "OAUTHBEARER" and self.sasl_oauth_token is None:
            raise ValueError(
                f"{variable('sasl_mechanism')}=OAUTHBEARER needs {variable('sasl_oauth_token')}, or better "
                f"{variable('sasl_oauth_token')}_FILE"
            )
        by_password = self.sasl_mechanism is not None and self.sasl_mechanism != "OAUTHBEARER"
        if by_password and not (self.sasl_username and self.sasl_password):
            raise ValueError(
                f"{variable('sasl_mechanism')}={self.sasl_mechanism} needs {variable('sasl_username')} and "
                f"{variable('sasl_password')}"
            )
        return self


class PostgresSettings(Group):
    """How to reach Postgres, and how long a session may block others."""

    title = "Postgres"

    database_url: SecretStr = Field(
        SecretStr(""),
        description="Postgres, as a URL or key=value text; what it leaves out comes from PGHOST, PGUSER, …",
    )
    activity_database_url: SecretStr = Field(
        SecretStr(""),
        description="the Postgres that holds activity_logs, for --from activity-logs; default: database_url",
    )
    synchronous_commit: bool = Field(
        False, description="whether a commit waits for the disk; off loses nothing: the topic is read again"
    )
    idle_in_transaction_timeout_ms: Number = Field(
        8_000, ge=100, description="Postgres ends a session that is idle in a transaction for this time"
    )
    lock_timeout_ms: Number = Field(
        5_000, ge=100, description="a statement that waits longer for a lock fails and is retried"
    )
    statement_timeout_ms: Number = Field(
        30_000, ge=100, description="a statement that takes longer fails; a batch is halved"
    )


class BatchLimits(Group):
    """How much one transaction projects at most. A single record may be larger than `batch_bytes`."""

    title = "Run"

    batch_records: Number = Field(20_000, ge=1, description="maximum number of records per transaction")
    batch_bytes: Number = Field(16 * _KIBI * _KIBI, ge=1, description="maximum bytes of values per transaction")


class WorkerSettings(BatchLimits):
    """How `projector run` works: batches, time limits, reports."""

    stalled_after_seconds: Number = Field(
        60, ge=5, description="a partition with lag and without progress for this time gets a new consumer"
    )
    stop_within_seconds: Number = Field(
        20, ge=1, description="a member that cannot stop within this time after a signal exits at once"
    )
    summary_seconds: Number = Field(60, ge=1, description="time between two summaries in the log of `run`")
    http_address: Address | None = Field(
        None,
        description="where `run`, `sweep` and `push` serve /metrics, /livez and /readyz, as host:port; default: none",
    )
    health_file: Path | None = Field(
        None, description="a file that `run` rewrites every second, for `projector health`; default: none"
    )

    @field_validator("health_file")
    @classmethod
    def _no_folder(cls, value: Path | None) -> Path | None:
        if value is not None and os.path.isdir(value):
            raise ValueError(f"{str(value)!r} is a folder: name a file")
        return value


class LogSettings(Group):
    """The format and the level of log lines."""

    title = "Log"

    log_format: Annotated[Literal["human", "json"], LOWER] = Field("human", description="format of the log lines")
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], UPPER] = Field(
        "INFO", description="lowest level that is logged"
    )


class Settings(
    LogSettings, WorkerSettings, SweepSettings, PushSettings, DashboardSettings, PostgresSettings, KafkaSettings
):
    """Every setting. A file can give any of them: the variable's name with _FILE appended names the file."""

    title = "Rebuild and record"

    rebuild_grace_seconds: Number = Field(
        900,
        ge=0,
        description="`verify` and `rebuild` do not count a row without an event as drift while it is younger than "
        "this; 0: they count all",
    )
    redact_key: SecretStr | None = Field(
        None, description="with the same key, `record --redact` gives a text the same pseudonym in each run"
    )

    @field_validator("redact_key")
    @classmethod
    def _not_guessable(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < _MIN_REDACT_KEY:
            raise ValueError(f"a key has at least {_MIN_REDACT_KEY} characters, so that it cannot be guessed")
        return value

    @model_validator(mode="after")
    def _timeouts_in_order(self) -> "Settings":
        self._require_below("heartbeat_interval_ms", "session_timeout_ms", "")
        # A frozen member must lose its locks before the group gives its partitions to another member.
        self._require_below(
            "idle_in_transaction_timeout_ms", "session_timeout_ms", ", or a frozen member's locks outlive it"
        )
        self._require_below(
            "statement_timeout_ms", "max_poll_interval_ms", ", or the group removes a member during a slow statement"
        )
        return self

    def _require_below(self, lower: str, upper: str, reason: str) -> None:
        low, high = getattr(self, lower), getattr(self, upper)
        if low >= high:
            raise ValueError(f"{variable(lower)} ({low}) must be below {variable(upper)} ({high}){reason}")
