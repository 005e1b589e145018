"""What browsers report that the Content-Security-Policy refused: nothing, or a bug, or an attack."""

import json
import logging
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

log = logging.getLogger(__name__)

_MAX_BYTES = 8_192
_MAX_TEXT = 200
_LOGGED_PER_MINUTE = 10


class CspReports:
    """Counts the reports, and logs a few of them per minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.count = 0
        self._clock = clock
        self._minute = 0
        self._logged = 0

    async def take(self, request: Request) -> Response:
        """Accept one report, of either format. A browser does not read the answer."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BYTES:
                return Response(status_code=413)
        self.count += 1
        minute = int(self._clock() / 60)
        if minute != self._minute:
            self._minute, self._logged = minute, 0
        if self._logged < _LOGGED_PER_MINUTE:
            self._logged += 1
            log.warning("a browser refused a part of a page", extra={"reports": self.count, **_fields(body)})
        return Response(status_code=204)


def _fields(body: bytes) -> dict[str, str]:
    """The directive, what it refused, and the page, as far as the report has them."""
    try:
        report = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(report, list):
        report = report[0] if report else {}
    found = report.get("csp-report") or report.get("body") if isinstance(report, dict) else None
    if not isinstance(found, dict):
        return {}
    names = {
        "directive": ("effective-directive", "effectiveDirective", "violated-directive"),
        "blocked": ("blocked-uri", "blockedURL"),
        "document": ("document-uri", "documentURL"),
    }
    return {
        name: str(found[spelling])[:_MAX_TEXT]
        for name, spellings in names.items()
        for spelling in reversed(spellings)
        if found.get(spelling)
    }
