"""Who may read: tokens, and the cookie of a browser that has shown one."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Sequence

SESSION_SECONDS = 12 * 3_600
CODE_SECONDS = 600
_PURPOSE = b"session cookie of the delegations dashboard"


def is_token(given: str, tokens: Sequence[str]) -> bool:
    """Whether one of the tokens was given. The time does not depend on how much of it was right."""
    digest = hashlib.sha256(given.encode(errors="replace")).digest()
    return any(hmac.compare_digest(digest, hashlib.sha256(token.encode()).digest()) for token in tokens)


def new_session(token: str, clock: Callable[[], float] = time.time) -> str:
    """The value of a cookie, valid for twelve hours, and only as long as the token is."""
    expires = str(int(clock()) + SESSION_SECONDS)
    return f"{expires}.{_signature(token, expires)}"


def is_session(cookie: str, tokens: Sequence[str], clock: Callable[[], float] = time.time) -> bool:
    """Whether this is the value of a cookie that one of the tokens made, and that has not expired."""
    expires, _, signature = cookie.partition(".")
    if not (expires.isascii() and expires.isdecimal() and len(expires) <= 12 and int(expires) > clock()):
        return False
    return any(hmac.compare_digest(_signature(token, expires), signature) for token in tokens if signature.isascii())


def _signature(token: str, expires: str) -> str:
    key = hashlib.sha256(_PURPOSE + token.encode()).digest()
    return hmac.new(key, expires.encode(), hashlib.sha256).hexdigest()


class OneTimeCode:
    """A login that works once, within ten minutes. Only the memory of this process holds it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.code = secrets.token_urlsafe(32)
        self._clock = clock
        self._until = clock() + CODE_SECONDS

    def redeem(self, given: str) -> bool:
        """Whether this is the code, for the first time. From then on it is worth nothing."""
        if not is_token(given, [self.code]) or self._clock() >= self._until:
            return False
        self._until = self._clock()
        return True
