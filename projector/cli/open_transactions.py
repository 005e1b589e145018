"""The note about records that a command did not read, because they wait behind an open transaction."""

from projector.cli.output import note
from projector.errors import BrokerUnavailable
from projector.lag import open_transactions
from projector.settings import KafkaSettings


def note_open_transactions(settings: KafkaSettings, missed: str) -> None:
    """Print what waits behind each open transaction of the topic; `missed` is what was not done with it."""
    try:
        found = open_transactions(settings)
    except BrokerUnavailable as error:  # the command itself is done, and its exit code stays
        note(f"it is unknown whether transactions are open: {error}")
        return
    for waiting in found.values():
        note(f"{missed}: {waiting}")
