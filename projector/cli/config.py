"""`projector config`: the settings in force."""

from projector.cli.exit_codes import DONE
from projector.settings import Settings, shown


def config(settings: Settings) -> int:
    """Print the settings."""
    for name, value in shown(settings).items():
        print(f"{name}={value}")
    return DONE
