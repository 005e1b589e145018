"""`projector health`: whether the projector on this machine is healthy, for a container's health check."""

from projector.cli.exit_codes import DONE
from projector.settings import Settings
from projector.worker.health import check


def health(settings: Settings) -> int:
    """Print the state that was reported last."""
    print(check(settings.health_file))
    return DONE
