"""The note about open transactions comes after the work of a command: it never changes how the command ends."""

import pytest

from projector.cli.open_transactions import note_open_transactions
from projector.settings import KafkaSettings


def test_broker_that_does_not_answer_is_named_and_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    note_open_transactions(KafkaSettings(bootstrap_servers="127.0.0.1:1"), "not compared")
    out, err = capsys.readouterr()
    assert out == ""
    sentence = "PROJECTOR_BOOTSTRAP_SERVERS: Kafka does not answer: 127.0.0.1:1"
    assert f"it is unknown whether transactions are open: {sentence}" in err
