"""Log lines: constant messages with fields, one line each, for people or as JSON."""

import json
import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

from projector.texts import escape

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_LAYOUT = "\n\t"
_KAFKA_INTERVAL_SECONDS = 60.0
_KAFKA_LINES = (
    "throttled by broker",
    "Consumer poll timeout has expired",
    "Heartbeat session expired",
    "fenced id",
    "User provided",
)
"""The lines of the Kafka client that our own lines and errors do not replace: quotas, the group, a failed listener."""


def configure(*, log_format: str, log_level: str, stream: TextIO | None = None) -> None:
    """Send every log line to `stream`, by default standard error. `log_format` is human or json."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Human(coloured=has_colours(handler.stream)))
    handler.addFilter(_KafkaFilter(shows_all=log_level == "DEBUG"))
    logging.basicConfig(level=log_level, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(max(logging.WARNING, logging.getLevelName(log_level)))
    # Its warnings repeat the text of the raised error, when a rollback fails after it.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    # On a busy machine the selector warns about its own slow tasks.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)


def has_colours(stream: TextIO) -> bool:
    """Whether text for this stream may have colours: it is a terminal that knows them, and NO_COLOR is not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _OWN}


class _Human(logging.Formatter):
    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        fields = " ".join(f"{name}={value}" for name, value in _fields(record).items() if value is not None)
        level = f"{record.levelname.lower():7}"
        if self._coloured and record.levelno >= logging.WARNING:
            level = f"\033[{31 if record.levelno >= logging.ERROR else 33}m{level}\033[0m"
        line = f"{when} {level} {escape(record.getMessage())}" + (f"  {escape(fields)}" if fields else "")
        return line + (f"\n{escape(self.formatException(record.exc_info), keep=_LAYOUT)}" if record.exc_info else "")


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


class _KafkaFilter(logging.Filter):
    """Passes few lines of the Kafka client, and each message once per minute.

    Our own errors and lines report what failed. The client reports the same with its class names, during an outage
    twenty times per second. `shows_all`: all lines, to search a bug in it.
    """

    def __init__(self, *, shows_all: bool) -> None:
        super().__init__()
        self._shows_all = shows_all
        self._passed_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka"):
            return True
        message = str(record.msg)
        if not self._shows_all and not any(line in message for line in _KAFKA_LINES):
            return False
        now = time.monotonic()
        passed_at = self._passed_at.get(message)
        if passed_at is not None and now - passed_at < _KAFKA_INTERVAL_SECONDS:
            return False
        self._passed_at[message] = now
        return True
