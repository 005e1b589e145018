"""The note about records that a command did not read, because they wait behind an open transaction."""

from projector.cli.output import note
from projector.lag import open_transactions
from projector.settings import KafkaSettings


def note_open_transactions(settings: KafkaSettings, missed: str) -> None:
    """Print what waits behind each open transaction of the topic; `missed` is what was not done with it."""
    for waiting in open_transactions(settings).values():
        note(f"{missed}: {waiting}")
