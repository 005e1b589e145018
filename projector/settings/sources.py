"""Where values come from: flags, environment variables, and files that a variable names."""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from projector.errors import Misconfigured, Unavailable
from projector.settings.fields import Settings
from projector.settings.group import Group
from projector.settings.wording import PREFIX, sentence, variable

_SIMILAR = 0.85
_ROTATED = {
    "database_url",
    "activity_database_url",
    "dashboard_tokens",
    "sasl_username",
    "sasl_password",
    "sasl_oauth_token",
    "ssl_key_password",
}
"""What a server compares at each login. No other setting changes while a process runs."""

AnyGroup = TypeVar("AnyGroup", bound=Group)


def load(flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings in force: a flag, else the variable or its file, else the default.

    Raises Misconfigured, which names each variable that is wrong and what was expected.
    """
    flags = flags or {}
    files = {name: path for name, path in _files(environment).items() if name not in flags}
    values = {**_variables(environment), **_contents(files), **flags}
    sources = {name: f"--{name.replace('_', '-')} ({variable(name)})" for name in flags}
    sources |= {name: f"{variable(name)}_FILE" for name in files}
    if blank := [sources[name] for name, value in flags.items() if isinstance(value, str) and not value.strip()]:
        raise Misconfigured(f"{', '.join(blank)}: the value is empty: leave the flag out, or give a value")
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise Misconfigured("; ".join(sentence(each, sources) for each in error.errors())) from None
    settings._files.update(files)
    settings._flags.update(flags)
    return settings


def refreshed(settings: AnyGroup, outage: type[Unavailable]) -> AnyGroup:
    """The same settings, with each part of a login that came from a file read again: it may have been rotated.

    Raises `outage` if a file is missing, unreadable or empty now. It may be there again soon, as a secret of a
    container that is just replaced. The old value is not used then: a login with it may lock the account.
    """
    files = {name: path for name, path in settings._files.items() if name in _ROTATED}
    try:
        contents = _contents(files)
    except Misconfigured as error:
        raise outage(str(error)) from None
    secrets = {name: text if name == "sasl_username" else SecretStr(text) for name, text in contents.items()}
    return settings.model_copy(update=secrets)


def unknown_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Variables that are almost a setting's name → that name. They are most likely typing errors."""
    known = [variable(name) for name in Settings.model_fields]
    known += [f"{name}_FILE" for name in known]
    unknown = [name for name in environment if name.startswith(PREFIX) and name not in known]
    similar = {name: difflib.get_close_matches(name, known, n=1, cutoff=_SIMILAR) for name in unknown}
    return {name: matches[0] for name, matches in similar.items() if matches}


def _variables(environment: Mapping[str, str]) -> dict[str, str]:
    values = {name: environment.get(variable(name), "") for name in Settings.model_fields}
    return {name: _text(variable(name), value) for name, value in values.items() if value.strip()}


def _files(environment: Mapping[str, str]) -> dict[str, Path]:
    """Setting → the file that gives its value."""
    files = {}
    for name in Settings.model_fields:
        path = environment.get(f"{variable(name)}_FILE", "")
        if not path.strip():
            continue
        if environment.get(variable(name), "").strip():
            raise Misconfigured(f"{variable(name)} and {variable(name)}_FILE are both set: leave one of them out")
        files[name] = Path(path)
    return files


def _contents(files: Mapping[str, Path]) -> dict[str, str]:
    contents = {}
    for name, path in files.items():
        try:
            contents[name] = _text(f"{variable(name)}_FILE", path.read_text(encoding="utf-8").rstrip("\r\n"))
        except OSError as error:
            raise Misconfigured(f"{variable(name)}_FILE: {path} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise Misconfigured(f"{variable(name)}_FILE: {path} cannot be read: it is not UTF-8") from None
        if not contents[name].strip():
            raise Misconfigured(f"{variable(name)}_FILE: {path} is empty")
    return contents


def _text(name: str, value: str) -> str:
    """The value, if libpq and the Kafka client can take it. Raises Misconfigured."""
    if "\0" in value or (not value.isascii() and value != value.encode(errors="replace").decode()):
        raise Misconfigured(f"{name}: its value is not UTF-8, or has U+0000")
    return value
