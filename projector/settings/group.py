"""What every group of settings is made of."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, WithJsonSchema

Number = Annotated[int, Field(le=2**31 - 1)]
"""The numbers of Postgres' settings and of the Kafka protocol have 32 bits."""
UPPER = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
LOWER = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


def _host_and_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ValueError(f"{value!r} is not host:port")
    return value


Address = Annotated[str, AfterValidator(_host_and_port), WithJsonSchema({"type": "string", "format": "host:port"})]
"""Where a process listens, as host:port."""


class Group(BaseModel):
    """Settings that belong together."""

    title: ClassVar[str]
    """The heading of the group."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    _files: dict[str, Path] = PrivateAttr(default_factory=dict)
    """Setting → the file that its value came from."""
    _flags: set[str] = PrivateAttr(default_factory=set)
    """The settings whose value came from a flag."""
