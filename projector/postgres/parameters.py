"""The parameters of a connection. Ours are only defaults: the URL, the service file and libpq's variables win."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from psycopg import ProgrammingError, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

DEFAULTS = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
_SERVICE_VARIABLES = {"service": "PGSERVICE", "servicefile": "PGSERVICEFILE"}


def conninfo(url: str) -> str:
    """The parameters of `url`, with our defaults for those that neither the service nor a variable of libpq sets.

    psycopg itself limits the time of a connection attempt, and it does not read the service file. So the value that
    libpq would take from there is written out. The client encoding is always UTF-8, whatever is set elsewhere: psycopg
    uses it from the first statement on. Raises psycopg's ProgrammingError for a malformed URL, and for a
    `connect_timeout` that is no number.
    """
    given = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    parameters = DEFAULTS | _elsewhere(given) | given
    try:
        int(float(parameters["connect_timeout"]))  # as psycopg reads it
    except (ValueError, OverflowError):
        raise ProgrammingError(
            f"connect_timeout is {parameters['connect_timeout']!r}, expected a number of seconds: correct the URL, the "
            "service file or PGCONNECT_TIMEOUT"
        ) from None
    return make_conninfo("", **parameters | {"client_encoding": "UTF8"})


def _elsewhere(given: Mapping[str, str]) -> dict[str, str]:
    """Those of our defaults that the service file or a variable sets, by libpq's own rules."""
    with _environment({variable: given[name] for name, variable in _SERVICE_VARIABLES.items() if name in given}):
        options = pq.Conninfo.get_defaults()
    values = {option.keyword.decode(): option.val.decode() for option in options if option.val}
    return {name: values[name] for name in DEFAULTS if name in values}


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set these variables for the block. libpq looks up a service by its variables only, before it connects."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
