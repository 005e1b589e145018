"""The settings of the dashboard (docs/dashboard.md)."""

import os
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from projector.settings.group import LOWER, Address, Group

_MIN_TOKEN = 16


class DashboardSettings(Group):
    """Where the dashboard listens, who may read it, and whether it shows texts."""

    title = "Dashboard"

    dashboard_address: Address = Field(
        "127.0.0.1:8080", description="where `dashboard` listens, as host:port; port 0: any free port"
    )
    dashboard_tokens: SecretStr = Field(
        SecretStr(""),
        description="the tokens that may log in to the dashboard, one per line, best from a file (…_FILE), which is "
        "read again when it changes",
    )
    dashboard_texts: Annotated[Literal["show", "hide"], LOWER] = Field(
        "show", description="whether the dashboard shows the texts of tasks, results and errors"
    )

    @field_validator("dashboard_tokens")
    @classmethod
    def _long_tokens(cls, value: SecretStr) -> SecretStr:
        if not are_long(tokens(value)):
            raise ValueError(f"a token has at least {_MIN_TOKEN} characters, so that it cannot be guessed")
        if any(map(os.path.isfile, tokens(value))):
            raise ValueError(
                "a token is the path of a file, which can be guessed: set PROJECTOR_DASHBOARD_TOKENS_FILE to it"
            )
        return value


def tokens(secret: SecretStr) -> list[str]:
    """The tokens of the setting: one per line, empty lines aside."""
    return [line.strip() for line in secret.get_secret_value().splitlines() if line.strip()]


def are_long(found: Sequence[str]) -> bool:
    """Whether none of these tokens can be guessed."""
    return all(len(token) >= _MIN_TOKEN for token in found)
