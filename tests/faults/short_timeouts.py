"""Members whose fixed timeouts are short, so that a short round waits seconds for them; a long round has the real ones.

No setting changes these three: the request timeout of the Kafka client, the time without a commit to the group after
which a member reports that it is unhealthy, and the time without Postgres after which a member leaves the group.
"""

import os
from pathlib import Path

import pytest

SHORTEN = """
import kafka
from projector.worker import database, watch

real_init = kafka.KafkaConsumer.__init__

def init(self, *topics, **configs):
    real_init(self, *topics, **{**configs, "request_timeout_ms": 2_000})

kafka.KafkaConsumer.__init__ = init
if not hasattr(watch, "_COMMIT_SILENCE_SECONDS") or not hasattr(database, "LEAVE_AFTER_SECONDS"):
    raise SystemExit("tests/faults/short_timeouts.py: a timeout has moved, name its new place here")
watch._COMMIT_SILENCE_SECONDS = 2.0
database.LEAVE_AFTER_SECONDS = 2.0
"""


def shorten_timeouts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten them in the members that the test starts from now on. Python runs this file before their first line."""
    (folder / "sitecustomize.py").write_text(SHORTEN)
    folders = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))
