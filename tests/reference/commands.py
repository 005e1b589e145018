"""docs/commands.md: the usage, the options and the examples of each command."""

from collections.abc import Iterator

import click

from projector.cli.commands import PROJECTOR
from projector.cli.examples import EXAMPLES
from projector.cli.options import Command
from reference.blocks import Block, table


def blocks() -> dict[str, Block]:
    """One block with a section per command."""
    return {"commands": lambda _: "\n".join(_section(*each) for each in leaves(PROJECTOR, ""))}


def leaves(group: click.Group, path: str) -> Iterator[tuple[str, Command]]:
    """The path and the command of each leaf of the tree: `dead-letters list`."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, f"{path}{name} ")
        else:
            assert isinstance(command, Command)
            yield f"{path}{name}", command


def _section(path: str, command: Command) -> str:
    ctx = click.Context(command, info_name=f"projector {path}")
    usage = " ".join([f"projector {path}", *map(_usage, command.params)])
    parts = [f"### `projector {path}`", f"```\n{usage}\n```", command.help or ""]
    if records := [record for param in command.params if (record := param.get_help_record(ctx))]:
        parts.append(
            table(["option", "meaning"], ([f"`{_cell(name)}`", _cell(text)] for name, text in records)).strip()
        )
    if path in EXAMPLES:
        parts += ["Examples:", "\n".join(["```", *EXAMPLES[path], "```"])]
    return "\n\n".join(parts) + "\n"


def _usage(param: click.Parameter) -> str:
    if isinstance(param, click.Argument):
        return param.make_metavar(click.Context(click.Command("")))
    assert isinstance(param, click.Option)
    value = "" if param.is_flag else f" {(param.metavar or 'VALUE').removesuffix('...')}"
    words = f"{param.opts[0]}{value}{' …' if param.multiple else ''}"
    return words if param.required else f"[{words}]"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("  [", " [")
