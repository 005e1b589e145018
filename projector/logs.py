"""Log lines: constant messages with fields, one line each, for a person or as JSON."""

import json
import logging
import sys
import time
from datetime import UTC, datetime
from typing import TextIO

_OWN = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}
_KAFKA_QUIET_SECONDS = 60.0


def configure(*, form: str, level: str, stream: TextIO = sys.stderr) -> None:
    """Send every log line to `stream`; `form` is human or json."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else _Human())
    handler.addFilter(_Quieter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)  # it times its own tasks on a busy machine


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


class _Quieter(logging.Filter):
    """Lets the Kafka client say a thing once a minute: while a broker is away it says it twenty times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("kafka"):
            return True
        now = time.monotonic()
        said_at = self._said_at.get(str(record.msg))
        if said_at is not None and now - said_at < _KAFKA_QUIET_SECONDS:
            return False
        self._said_at[str(record.msg)] = now
        return True
