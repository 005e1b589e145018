"""Log lines: constant messages with fields, one line each, for people or as JSON."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_KAFKA_INTERVAL_SECONDS = 60.0


def configure(*, log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Send every log line to `stream`, by default standard error. `log_format` is human or json."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Human())
    handler.addFilter(_KafkaRateLimit())
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(max(logging.WARNING, logging.getLevelName(log_level)))
    # Its warnings repeat what the raised error says, when a rollback fails after it.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    # On a busy machine the selector warns about its own slow tasks.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


class _Human(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%H:%M:%S")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items())
        line = f"{when} {record.levelname.lower():7} {record.getMessage()}" + (f"  {fields}" if fields else "")
        return line + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class _KafkaRateLimit(logging.Filter):
    """Passes each message of the Kafka client once per minute: during an outage it logs twenty lines per second."""

    def __init__(self) -> None:
        super().__init__()
        self._passed_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka"):
            return True
        now = time.monotonic()
        passed_at = self._passed_at.get(str(record.msg))
        if passed_at is not None and now - passed_at < _KAFKA_INTERVAL_SECONDS:
            return False
        self._passed_at[str(record.msg)] = now
        return True
