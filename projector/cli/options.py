"""What our commands add to click: settings as flags, options before or after the command, and code imported late."""

import logging
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import click

from projector import logs
from projector.cli.arguments import arrange, leading_options
from projector.cli.examples import EXAMPLES
from projector.cli.values import AGE, COUNT, is_value
from projector.process.interruption import interruptible

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

log = logging.getLogger(__name__)

_WITH_SETTINGS = f"{__name__}.settings"
"""The key of a context whose command is parsed. Help and completion do without the settings: pydantic loads slowly."""


def _show_settings(ctx: click.Context, _: click.Parameter | None, asked: bool) -> None:
    if asked:
        from projector.cli.settings_help import settings_help

        with _paged(sys.stdout.isatty()):
            click.echo(settings_help(ctx))
        ctx.exit()


_HELP_SETTINGS = click.Option(
    ["--help-settings"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_settings,
    help="Show the settings and exit.",
)


class Group(click.Group):
    """A group that lists its commands in the order of their declaration.

    Options in front of a command are those of the command. If the group has a `default`, the command of that name runs
    if none is named; else this is a usage error.
    """

    def __init__(self, name: str, *, default: str | None = None, **attributes: Any) -> None:
        super().__init__(name, no_args_is_help=False, subcommand_metavar="COMMAND ...", **attributes)
        self._default = [default] if default else []

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Move the options in front of the command behind it, and name the default command if none is named."""
        if ctx.resilient_parsing:  # completion
            return super().parse_args(ctx, args)
        if args and not is_value(args[0]):
            args = self._command_first(ctx, args)
        return super().parse_args(ctx, args or self._default)

    def _command_first(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = {name for param in self.get_params(ctx) for name in param.opts}
        if args[0] in own:  # before the settings are loaded
            return args[:1]
        options = self._options_of_commands()
        before, rest = leading_options(args, options)
        if asked := [each for each in before if each in own]:
            return asked
        for name in (each.partition("=")[0] for each in before if not is_value(each)):
            if name not in options:
                raise click.NoSuchOption(name, possibilities=[*own, *options], ctx=ctx)
        rest = rest or self._default
        return [*rest[:1], *before, *rest[1:]] if rest else []

    def _options_of_commands(self) -> dict[str, bool]:
        """Option → whether it takes a value, of all commands below."""
        options = (param for command in self.leaves() for param in [*command.params, *command.settings])
        found = (param for param in options if isinstance(param, click.Option))
        return {name: _takes_value(param) for param in found for name in param.opts}

    def leaves(self) -> "Iterator[Command]":
        """The commands of the tree below."""
        for command in self.commands.values():
            if isinstance(command, Group):
                yield from command.leaves()
            elif isinstance(command, Command):
                yield command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The group's own parameters, and --help-settings."""
        return [*super().get_params(ctx), _HELP_SETTINGS]


class Command(click.Command):
    """A command that takes every setting as a flag.

    `function` names what runs it, as "module:function". It takes the settings and the command's own parameters, and
    returns the exit code. It is imported when the command runs, so help loads no client of Kafka or Postgres.
    """

    def __init__(
        self,
        name: str,
        function: str,
        *,
        short_help: str,
        if_interrupted: str = "",
        takes_settings: bool = True,
        pages: bool = False,
        **attributes: Any,
    ) -> None:
        """`if_interrupted`: what to do after a Ctrl-C, as a part of a sentence. `pages`: long output is paged."""
        attributes.setdefault("help", f"{short_help[0].upper()}{short_help[1:]}.")
        super().__init__(name, short_help=short_help, **attributes)
        self.function = function
        self.if_interrupted = if_interrupted
        self.takes_settings = takes_settings
        self.pages = pages

    @cached_property
    def settings(self) -> list[click.Parameter]:
        """One option per setting, except for settings that the command declares itself."""
        if not self.takes_settings:
            return []
        from projector.settings import Settings  # pydantic, which help and completion do without

        own = {param.name for param in self.params}
        return [click.Option(["--" + name.replace("_", "-")]) for name in Settings.model_fields if name not in own]

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """The command's own parameters, --help, --help-settings, and for the parser also the settings."""
        settings = self.settings if ctx.meta.get(_WITH_SETTINGS) else []
        return [*super().get_params(ctx), *[_HELP_SETTINGS] * self.takes_settings, *settings]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments by the rules of `arrange`. Show the help first, if it is asked for anywhere."""
        if ctx.resilient_parsing:  # completion
            return super().parse_args(ctx, args)
        asked = set(takewhile(lambda each: each != "--", args))
        if asked & {*self.get_help_option_names(ctx)}:
            click.echo(self.get_help(ctx))
            ctx.exit()
        _show_settings(ctx, None, self.takes_settings and "--help-settings" in asked)
        ctx.meta[_WITH_SETTINGS] = True
        options = {flag: param for param in self.get_params(ctx) for flag in param.opts}
        return super().parse_args(ctx, arrange(args, options))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """The command's own options; the settings only where none of them begins as it is typed."""
        own = super().shell_complete(ctx, incomplete)
        if own or not incomplete.startswith("--"):
            return own
        ctx.meta[_WITH_SETTINGS] = True
        return super().shell_complete(ctx, incomplete)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _, *names = ctx.command_path.split(" ")
        if examples := EXAMPLES.get(" ".join(names), ()):
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in examples))

    def invoke(self, ctx: click.Context) -> Any:
        """Load the settings, configure the log, and run the command."""
        own = {param.name: ctx.params[param.name] for param in self.params}
        settings = [_load(ctx)] if self.takes_settings else []
        function = pkgutil.resolve_name(self.function)
        with interruptible(self.if_interrupted), _paged(self.pages and sys.stdout.isatty()):
            return ctx.invoke(function, *settings, **own)


@contextmanager
def _paged(pages: bool) -> Iterator[None]:
    if not pages:
        yield
        return
    from projector.cli.output import paged

    with paged():
        yield


def _takes_value(option: click.Option) -> bool:
    return not option.is_flag and not isinstance(option.flag_value, str)  # one that may be left out is joined by "="


def _load(ctx: click.Context) -> Any:
    from projector.settings import Settings, load, unknown_variables

    settings = load({name: value for name in Settings.model_fields if (value := ctx.params[name]) is not None})
    logs.configure(log_format=settings.log_format, log_level=settings.log_level)
    for name, similar in unknown_variables().items():
        log.warning("unknown setting %s (did you mean %s?)", name, similar)
    return settings


def option(name: str, metavar: str, text: str, **attributes: Any) -> click.Option:
    """An option with one value, and its help text. A default is shown."""
    return click.Option([name], metavar=metavar, help=text, show_default="default" in attributes, **attributes)


def flag(name: str, text: str, *parameter: str) -> click.Option:
    """An option without a value, and its help text. `parameter` is its name as a parameter, if it is not the flag's."""
    return click.Option([name, *parameter], is_flag=True, help=text)


def json_flag(text: str = "print one object of JSON instead") -> click.Option:
    """The option --json."""
    return flag("--json", text, "json_output")


def limit() -> click.Option:
    """The option --limit."""
    return option("--limit", "N", "maximum number of rows", type=COUNT, default=50)


def older_than(since: str) -> click.Option:
    """The option --older-than. `since`: what happened longer ago, such as "failed"."""
    return option("--older-than", "DURATION", f"only those that {since} longer ago, as 90s, 15m, 12h or 7d", type=AGE)
