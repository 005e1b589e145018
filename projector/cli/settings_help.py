"""The output of --help-settings: every setting, by group."""

import click

from projector.settings.reference import as_text, catalog

_ABOUT = (
    "Each setting is an environment variable, and a flag before or after the command: --topic for PROJECTOR_TOPIC. The "
    "flag wins. The variable with _FILE at its end names a file that has the value. `projector config` shows the "
    "values in force, and `projector init` writes a file of settings."
)


def settings_help(ctx: click.Context) -> str:
    """The text, without a line end."""
    formatter = ctx.make_formatter()
    formatter.write_text(_ABOUT)
    group = None
    for setting in catalog():
        if setting.group != group:
            group = setting.group
            formatter.write(f"\n{group}:\n")
        formatter.write(f"  {setting.variable}  {setting.kind}; default {as_text(setting.default, 'none')}\n")
        formatter.current_indent = 6
        formatter.write_text(setting.description)
        formatter.current_indent = 0
    return formatter.getvalue().rstrip("\n")
