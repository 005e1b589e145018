"""docs/configuration.md: the settings by group, with their type, range, unit and default."""

from functools import partial

from projector.settings.reference import as_text, catalog
from reference.blocks import Block, table_with_meanings


def blocks() -> dict[str, Block]:
    """A block per group of settings."""
    return {f"settings {group}": partial(_group, group) for group in {each.group for each in catalog()}}


def _group(group: str, old: str) -> str:
    rows = (
        ([f"`{each.variable}`", each.kind.replace(" | ", ", "), _default(each.default)], each.description)
        for each in catalog()
        if each.group == group
    )
    return table_with_meanings(["variable", "value", "default"], rows, old)


def _default(value: str | int | None) -> str:
    return "" if value is None else f"`{as_text(value)}`"
