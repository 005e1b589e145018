"""`projector dashboard`: pages and JSON over the view."""

from projector.cli.exit_codes import DONE
from projector.errors import Misconfigured
from projector.settings import Settings


def dashboard(settings: Settings, login_link: bool) -> int:
    """Serve until a signal."""
    try:
        from projector.web.serve import serve
    except ModuleNotFoundError as error:
        raise Misconfigured(
            f"the dashboard needs the package {error.name}: install delegations-projector[dashboard]"
        ) from None
    serve(settings, _print if login_link else None)
    return DONE


def _print(link: str) -> None:
    print(link, flush=True)
