"""What of a secret may be shown: of the address of a database all but its passwords, of the others nothing."""

import re

_MASK = "**********"
_SECRET_KEYS = frozenset({"password", "sslpassword", "oauth_client_secret"})
_URL = re.compile(
    r"(?P<scheme>postgres(?:ql)?://)(?:(?P<user>[^:@/?#\s]*)(?P<password>:[^@/?\s]*)?@)?(?P<rest>[^@\s]*)"
)
"""A URL with one more @, / or ? may have them in its password."""
_PAIR = re.compile(r"\s*(?P<key>\w+)\s*=\s*(?P<value>'(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)+)(?:\s+|$)")


def masked(secret: str) -> str:
    """The mask; empty if there is no secret."""
    return secret and _MASK


def masked_url(url: str) -> str:
    """A URL or key=value text for libpq, with the mask for each password; the mask alone for another text."""
    found = _URL.fullmatch(url)
    if found:
        rest = _without_secrets(found["rest"])
        if rest is None:
            return _MASK
        password = f":{_MASK}" if found["password"] else ""
        login = "" if found["user"] is None else f"{found['user']}{password}@"
        return f"{found['scheme']}{login}{rest}"
    return masked(url) if (pairs := _masked_pairs(url)) is None else pairs


def _without_secrets(rest: str) -> str | None:
    """Host, port, database and parameters; None if a name of a parameter is not plain."""
    place, mark, parameters = rest.partition("?")
    pairs = [each.partition("=") for each in parameters.split("&")]
    if mark and not all(re.fullmatch(r"\w+", name) for name, _, _ in pairs):
        return None
    shown = (f"{name}={_MASK if name in _SECRET_KEYS else value}" for name, _, value in pairs)
    return place + (f"?{'&'.join(shown)}" if mark else "")


def _masked_pairs(text: str) -> str | None:
    shown, place = [], 0
    while place < len(text):
        pair = _PAIR.match(text, place)
        if pair is None:
            return None
        shown.append(f"{pair['key']}={_MASK if pair['key'] in _SECRET_KEYS else pair['value']}")
        place = pair.end()
    return " ".join(shown)
