"""`projector dashboard`: pages and JSON over the view."""

from functools import partial

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
    serve(settings, partial(print, flush=True) if login_link else None)
    return DONE
