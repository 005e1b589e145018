"""The settings as data, for help and for reference pages."""

from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from projector.settings.fields import Settings
from projector.settings.group import Group
from projector.settings.masking import masked, masked_url
from projector.settings.wording import variable

_UNITS = ("ms", "seconds", "days", "bytes", "percent", "records")
_MAXIMUM = 2**31 - 1
"""That of every number: it is not worth a word."""


class Setting(NamedTuple):
    """One setting. `kind`: its type, choices or range, in words. `default`: None if it is empty."""

    name: str
    group: str
    kind: str
    default: str | int | None
    description: str

    @property
    def variable(self) -> str:
        """The environment variable."""
        return variable(self.name)

    @property
    def flag(self) -> str:
        """The flag of every command."""
        return _flag(self.name)

    @property
    def unit(self) -> str | None:
        """The unit of a number."""
        return _unit(self.name)


def catalog() -> list[Setting]:
    """Every setting, in the order of the groups."""
    properties = Settings.model_json_schema()["properties"]
    return [
        Setting(
            name,
            _group(name),
            _kind(name, schema),
            None if schema.get("default") == "" else schema.get("default"),
            schema["description"],
        )
        for name, schema in properties.items()
    ]


def source(settings: Settings, name: str) -> str:
    """Where the value of a setting comes from: a flag, a variable, a file, or "default"."""
    if name in settings._flags:
        return _flag(name)
    if name in settings._files:
        return f"{variable(name)}_FILE={settings._files[name]}"
    return variable(name) if name in settings.model_fields_set else "default"


def shown(settings: Settings, name: str) -> Any:
    """The value of a setting, with its secrets masked; None if it is empty."""
    value = getattr(settings, name)
    if isinstance(value, SecretStr):
        mask = masked_url if name.endswith("database_url") else masked
        value = mask(value.get_secret_value())
    return str(value) if isinstance(value, Path) else None if value == "" else value


def given(settings: Settings, name: str) -> tuple[str, str] | None:
    """The variable that gives a setting its value, or that of its file, and its text; None for the default."""
    if path := settings._files.get(name):
        return f"{variable(name)}_FILE", str(path)
    if name not in settings.model_fields_set:
        return None
    value = getattr(settings, name)
    return variable(name), as_text(value.get_secret_value() if isinstance(value, SecretStr) else value)


def as_text(value: Any, none: str = "") -> str:
    """A value as it is written in a variable; `none` for None."""
    if value is None:
        return none
    return str(value).lower() if isinstance(value, bool) else str(value)


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _unit(name: str) -> str | None:
    return next((unit for unit in _UNITS if name.endswith(f"_{unit}")), None)


def _group(name: str) -> str:
    groups = (group for group in Settings.mro() if issubclass(group, Group))
    return next(group.title for group in groups if name in vars(group).get("__annotations__", {}))


def _typed(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of the value, if there is one."""
    found: dict[str, Any] = next(each for each in schema.get("anyOf", [schema]) if each.get("type") != "null")
    return found


def _kind(name: str, schema: dict[str, Any]) -> str:
    typed = _typed(schema)
    if choices := typed.get("enum"):
        return " | ".join(choices)
    if typed["type"] == "boolean":
        return "true | false"
    if typed["type"] == "integer":
        high = min(limit.le for limit in Settings.model_fields[name].metadata if hasattr(limit, "le"))
        return f"{_unit(name) or 'number'}, from {typed['minimum']} " + ("on" if high == _MAXIMUM else f"to {high}")
    formats = {"password": "text, secret", "path": "file", "host:port": "host:port"}
    return formats.get(typed.get("format", ""), "text")
