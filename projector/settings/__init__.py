"""Settings: environment variables PROJECTOR_…, flags of the same names, and files for secrets."""

from projector.settings.fields import (
    BatchLimits,
    KafkaSettings,
    LogSettings,
    PostgresSettings,
    Settings,
    WorkerSettings,
)
from projector.settings.push import PushSettings
from projector.settings.sources import load, refreshed, shown, unknown_variables
from projector.settings.sweep import SweepSettings
from projector.settings.wording import variable

__all__ = [
    "BatchLimits",
    "KafkaSettings",
    "LogSettings",
    "PostgresSettings",
    "PushSettings",
    "Settings",
    "SweepSettings",
    "WorkerSettings",
    "load",
    "refreshed",
    "shown",
    "unknown_variables",
    "variable",
]
