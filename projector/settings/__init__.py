"""Settings: environment variables PROJECTOR_…, flags of the same names, and files for secrets."""

from projector.settings.dashboard import DashboardSettings, tokens
from projector.settings.fields import (
    BatchLimits,
    KafkaSettings,
    LogSettings,
    PostgresSettings,
    Settings,
    WorkerSettings,
)
from projector.settings.push import PushSettings
from projector.settings.sources import load, refreshed, unknown_variables
from projector.settings.sweep import SweepSettings
from projector.settings.wording import variable

__all__ = [
    "BatchLimits",
    "DashboardSettings",
    "KafkaSettings",
    "LogSettings",
    "PostgresSettings",
    "PushSettings",
    "Settings",
    "SweepSettings",
    "WorkerSettings",
    "load",
    "refreshed",
    "tokens",
    "unknown_variables",
    "variable",
]
