"""The tree of commands, and how a line of arguments is parsed."""

from collections.abc import Iterator, Sequence

import click

from projector.cli.commands import PROJECTOR
from projector.cli.options import Command


def commands(group: click.Group) -> Iterator[list[str]]:
    """The names that lead to each leaf of the tree."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from ([name, *below] for below in commands(command))
        else:
            yield [name]


COMMANDS = list(commands(PROJECTOR))


def find(names: Sequence[str]) -> Command:
    command: click.Command = PROJECTOR
    for name in names:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    assert isinstance(command, Command)
    return command


def parsed(arguments: Sequence[str]) -> click.Context:
    """The context of the command that these arguments, without `projector`, would run."""
    ctx = PROJECTOR.make_context("projector", list(arguments))
    while isinstance(ctx.command, click.Group):
        name, command, rest = ctx.command.resolve_command(ctx, [*ctx._protected_args, *ctx.args])
        assert command is not None
        ctx = command.make_context(name, rest, parent=ctx)
    return ctx
