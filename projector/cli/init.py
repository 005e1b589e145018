"""`projector init`: writes a file of settings, and the scripts that create the roles in Postgres."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from projector.cli.exit_codes import DONE
from projector.cli.output import confirm
from projector.errors import Misconfigured, ProjectorError
from projector.postgres.migration_files import role_scripts
from projector.settings import Settings, load
from projector.settings.masking import masked_url
from projector.settings.reference import Setting, as_text, catalog, given, source
from projector.settings.wording import variable

FILE = "projector.env"
_ASKED = {
    "database_url": "Postgres, as postgresql://projector_run@HOST:PORT/DATABASE",
    "bootstrap_servers": "Kafka brokers, as host:port,host:port",
    "topic": "the topic of activity events",
    "group_id": "the consumer group of all replicas",
}
_HEAD = """\
# Settings of the delegations projector, as `projector init` wrote them.
# Lines with # in front show a default.
#   with Docker:   docker run --env-file projector.env …
#   with systemd:  EnvironmentFile= of the unit
#   in a shell, without the # in front:
#     while IFS= read -r line; do case $line in [!#]*) export "$line";; esac
#     done < projector.env
# A value stands as it is, without quotes.
# Keep passwords in files: PROJECTOR_DATABASE_URL_FILE=/run/secrets/url.
# `projector config` shows the settings in force. `projector doctor` tries them.
"""
_NEXT = """\
Next, with psql as an administrator of the database and a shell in {folder}:
  psql -f roles.sql                     creates projector_run and two other roles
  projector migrate up                  creates the tables, as projector_migrate
  psql -f grants.sql                    grants the rights on them
  psql -f grants_activity_logs.sql      for sweep, push, --from activity-logs
  while IFS= read -r line; do case $line in [!#]*) export "$line";; esac
  done < projector.env
                                        the settings, as projector_run
  projector doctor                      what must still be changed
  projector run"""


def init(settings: Settings, into: Path, yes: bool) -> int:
    """Ask for the most important settings, if there is a terminal, and write the files."""
    files = {FILE: "", **role_scripts()}
    if not into.is_dir():
        raise Misconfigured(f"--into {into}: there is no such folder")
    there = [name for name in files if (into / name).exists()]
    if there and not yes:
        confirm(f"replace {', '.join(str(into / name) for name in there)}", refusal=Misconfigured)
    values = {name: found for name in Settings.model_fields if (found := given(settings, name))}
    if sys.stdin.isatty() and not yes:
        values |= _answers(settings)
    if broken := [name for name, text in values.values() if "\n" in text]:
        raise Misconfigured(f"{broken[0]} has several lines: set {broken[0]}_FILE to a file instead")
    load({}, dict(values.values()))
    files[FILE] = "\n".join([_HEAD, *_lines(values)])
    for name, text in files.items():
        _write(into / name, text)
    folder = "this folder" if into == Path() else into
    print("\n".join([*(f"wrote {into / name}" for name in files), "", _NEXT.format(folder=folder)]))
    return DONE


def _answers(settings: Settings) -> dict[str, tuple[str, str]]:
    """The settings that are asked for: those that no flag and no file gives. Raises ProjectorError at the end."""
    asked = [name for name in _ASKED if source(settings, name) in ("default", variable(name))]
    try:
        return {name: (variable(name), _answer(name, given(settings, name))) for name in asked}
    except click.Abort:
        sys.stderr.write("\n")  # Ctrl-D and Ctrl-C leave the cursor behind the question
        raise ProjectorError("nothing was written") from None


def _answer(name: str, in_force: tuple[str, str] | None) -> str:
    def checked(text: str) -> str:
        try:
            load({name: text}, {})
        except Misconfigured as error:
            raise click.BadParameter(str(error)) from None
        return text

    no_default = None if name == "database_url" else as_text(Settings.model_fields[name].default)
    default = in_force[1] if in_force else no_default
    shown = masked_url(default) if name == "database_url" and default else True
    answer: str = click.prompt(_ASKED[name], default=default, show_default=shown, value_proc=checked, err=True)
    return answer


def _lines(values: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    group = ""
    for setting in catalog():
        if setting.group != group:
            group = setting.group
            yield f"# --- {group}\n"
        yield _line(setting, values.get(setting.name))


def _line(setting: Setting, found: tuple[str, str] | None) -> str:
    comment = f"# {setting.description} ({setting.kind}; default {as_text(setting.default, 'none')})"
    line = f"#{setting.variable}={as_text(setting.default)}" if found is None else "=".join(found)
    return f"{comment}\n{line}\n"


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read: it may have a password. Raises ProjectorError."""
    try:
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ProjectorError(f"{path} cannot be written: {error.strerror or error}") from error
