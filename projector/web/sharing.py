"""A page that several browsers have open is made once in a few seconds, however many they are."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

_SHARED_SECONDS = 5.0
_MAX_PAGES = 64
_MAX_BYTES = 256 * 1024


class Refreshes:
    """The latest pages. A page that a person loads is always a new one; what an open page refreshes itself by may be
    a few seconds old. It says as of when it is.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, request: Request, make: Callable[[Request], Response]) -> Response:
        """The page of this URL. An error is raised, and not kept."""
        url = f"{request.url.path}?{request.url.query}"
        if request.headers.get("hx-request") == "true":
            with self._lock:
                made_at, body = self._pages.get(url, (0.0, None))
            if body is not None and self._clock() - made_at < _SHARED_SECONDS:
                return Response(body, media_type="text/html; charset=utf-8")
        page = make(request)
        if len(page.body) <= _MAX_BYTES:
            with self._lock:
                self._pages[url] = (self._clock(), bytes(page.body))
                self._pages.move_to_end(url)
                if len(self._pages) > _MAX_PAGES:
                    self._pages.popitem(last=False)
        return page
