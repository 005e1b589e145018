"""The login to Postgres: the address that a setting names, and a sentence for a login that fails."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from projector.errors import DatabaseUnavailable, LoginRefused, Misconfigured, ProjectorError
from projector.settings import variable

UrlSetting = Literal["database_url", "activity_database_url"]

_REFUSED = re.compile(
    r"password authentication failed|no password supplied|no pg_hba\.conf entry|is not permitted to log in"
    r'|(database|role) ".*" does not exist|permission denied for database'
    r"|invalid (port number|\w+ value)|definition of service|could not match"
)
"""Texts of Postgres and libpq for errors that waiting does not repair. A failed login has no SQLSTATE in psycopg.

A text in another language is not found. Then the error counts as an outage.
"""


@contextmanager
def named_errors(setting: UrlSetting, url: str) -> Iterator[None]:
    """Turn an error of a login into ours. It begins with the setting and names the address, never the password.

    Raises Misconfigured for an address that is no URL of Postgres, DatabaseUnavailable for a login that may succeed
    later, and LoginRefused for one that Postgres refuses. Other errors of psycopg pass unchanged.
    """
    if url != url.encode(errors="ignore").decode():
        raise Misconfigured(f"{variable(setting)} is not UTF-8: write such a character as %XX")
    scheme = re.match(r"[a-z][a-z0-9+.-]*://", url, re.IGNORECASE)
    if scheme and scheme[0] not in ("postgresql://", "postgres://"):
        raise Misconfigured(f"{variable(setting)} starts with {scheme[0]}, expected postgresql://")
    try:
        yield
    except UnicodeDecodeError:  # what the server sends is not about the login
        raise
    except UnicodeError as error:  # a host name that IDNA cannot encode
        raise Misconfigured(f"{variable(setting)}: its host is not a host name") from error
    except psycopg.Error as error:
        if error.sqlstate is not None:
            raise
        failed = _failed_login(variable(setting), url, " ".join(str(error).split()))
        # psycopg itself refuses the text, or a value in it.
        raise Misconfigured(str(failed)) if isinstance(error, psycopg.ProgrammingError) else failed from error


def _failed_login(name: str, url: str, message: str) -> ProjectorError:
    try:
        address = _address(conninfo_to_dict(url))
    except psycopg.ProgrammingError:
        return Misconfigured(
            f"{name} is neither a URL nor key=value text that libpq understands (libpq's own message is not shown, "
            "since it can contain the password)"
        )
    if "@" in address["host"] + address["database"] or not re.fullmatch(r"[\d,]*", address["port"]):
        return Misconfigured(
            f"{name}: its host, port or database is wrong. They are not shown, since they may be a part of the "
            "password. In a URL a password has %40 for @, %2F for /, %3A for : and %25 for %"
        )
    place = f"(user {address['user']}, database {address['database']}, host {address['host']}, port {address['port']})"
    if url:
        sentence = f"{name} {place}: {message}"
    elif used := _libpq_variables():
        sentence = f"{name} is not set, and the address of {', '.join(used)} {place} failed: {message}"
    else:
        return Misconfigured(f"{name} is not set. The default address of libpq {place} failed: {message}")
    return LoginRefused(sentence) if _REFUSED.search(message) else DatabaseUnavailable(sentence)


def _address(given: Mapping[str, Any]) -> dict[str, str]:
    """Where libpq connects: what the URL has, else what its variables (PGHOST, …) or its defaults have."""
    defaults = {
        option.keyword.decode(): (option.val or b"").decode(errors="replace") for option in Conninfo.get_defaults()
    }
    used = {**defaults, **{key: str(value) for key, value in given.items() if value}}
    return {
        "user": used["user"],
        "database": used["dbname"] or used["user"],
        "host": used["host"] or used["hostaddr"] or "of the local socket",
        "port": used["port"],
    }


def _libpq_variables() -> list[str]:
    """The variables of libpq that name an address or a login."""
    names = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGPASSWORD", "PGPASSFILE")
    return [name for name in names if os.environ.get(name)]
