"""What every group of settings is made of."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr

Number = Annotated[int, Field(le=2**31 - 1)]
"""The numbers of Postgres' settings and of the Kafka protocol have 32 bits."""
UPPER = BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)
LOWER = BeforeValidator(lambda value: value.lower() if isinstance(value, str) else value)


class Group(BaseModel):
    """Settings that belong together."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    _files: dict[str, Path] = PrivateAttr(default_factory=dict)
    """Setting → the file that its value came from."""
