"""The commands about the settings and this installation, declared as in commands.py."""

from pathlib import Path

import click

from projector.cli.options import Command, flag, json_flag, option
from projector.cli.values import FOLDER

DOCTOR = Command(
    "doctor",
    "projector.cli.doctor:doctor",
    short_help="what must be changed in Postgres, Kafka and the settings",
    help="Checks Postgres, Kafka, the change feed and this machine, and prints one line per check with its remedy. It "
    "only reads, joins no group, and can be used while members run. Exits with 2 if something must be changed, also if "
    "a server cannot be reached.",
    params=[json_flag()],
)

CONFIG = Command(
    "config",
    "projector.cli.config:config",
    pages=True,
    short_help="show the settings in force, and where each comes from",
    help="Shows each setting as its environment variable with the value in force, where it comes from (a flag, the "
    "environment, a file or the default), and its default. Secrets are masked; of a database's address only the "
    "password is.",
    params=[json_flag("one object of JSON: variable, value, source and default of each setting")],
)

HEALTH = Command(
    "health",
    "projector.cli.health:health",
    short_help="whether the running projector is well",
    help="Exits with 0 if the `projector run` that writes PROJECTOR_HEALTH_FILE reported within the last 30 seconds "
    "that Kafka and Postgres answer, else with 1 and the reason.",
)

INIT = Command(
    "init",
    "projector.cli.init:init",
    short_help="write a file of settings, and the scripts for the roles",
    help="Writes projector.env with every setting, its meaning and its default, and roles.sql, grants.sql and "
    "grants_activity_logs.sql, which create the roles and grant their rights. On a terminal it asks for the most "
    "important settings, and proposes the values of variables. What a flag or a file gives is not asked for. It "
    "replaces no file without a question.",
    params=[
        option("--into", "FOLDER", "where the files are written", type=FOLDER, default=Path()),
        flag("--yes", "ask nothing, and replace files that exist"),
    ],
)

COMPLETION = Command(
    "completion",
    "projector.cli.completion:script",
    takes_settings=False,
    short_help="print a script that completes commands and options in a shell",
    help="Prints a script for the shell. With it, the tab key completes commands, options and file names. Zsh needs "
    "`autoload -Uz compinit && compinit` before it.",
    params=[
        click.Argument(["shell"], metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]), help="bash, zsh or fish")
    ],
)
