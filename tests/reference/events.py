"""docs/events.md: the fields of each kind of row, from the models, and an example of each kind and envelope."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from projector.contract.models import json_schema
from reference.blocks import Block, table

_EXAMPLES = Path(__file__).parents[2] / "events" / "examples"
_KINDS = ("Delegate", "DelegateResult", "Heartbeat", "Verdict")


def blocks() -> dict[str, Block]:
    """A block of fields per kind of row, and a block per example file."""
    schema = json_schema()["$defs"]
    fields = {f"fields of {kind}": partial(_fields, schema, kind) for kind in _KINDS}
    examples = {f"example {file.name}": partial(_example, file) for file in _EXAMPLES.glob("*.json")}
    return {**fields, **examples}


def _fields(schema: dict[str, Any], kind: str, _: str) -> str:
    return table(["field", "required", "value", "meaning"], _rows(schema, schema[kind], ""))


def _rows(schema: dict[str, Any], model: dict[str, Any], within: str) -> Iterator[tuple[str, str, str, str]]:
    for name, field in model["properties"].items():
        needed = "yes" if name in model.get("required", ()) else ""
        shape = _shape(field)
        yield f"`{within}{name}`", needed, _value(shape), field["description"]
        if "$ref" in shape:
            yield from _rows(schema, schema[shape["$ref"].rpartition("/")[2]], f"{name}.")


def _shape(field: dict[str, Any]) -> dict[str, Any]:
    """The first of its shapes: the others are null, and a body as text."""
    while "anyOf" in field:
        field = field["anyOf"][0]
    return field


def _value(shape: dict[str, Any]) -> str:
    if words := shape.get("enum", [shape["const"]] if "const" in shape else []):
        return ", ".join(f"`{word}`" for word in words)
    if "$ref" in shape:
        return "object"
    if "format" in shape:
        return "time"
    return "uuid" if "{8}" in shape.get("pattern", "") else "text"


def _example(file: Path, _: str) -> str:
    return f"```json\n{file.read_text().strip()}\n```"
