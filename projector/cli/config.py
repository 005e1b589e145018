"""`projector config`: the settings in force, and where each comes from."""

import json

from projector.cli.exit_codes import DONE
from projector.cli.terminal import width, wrap
from projector.settings import Settings
from projector.settings.reference import as_text, catalog, shown, source

_WIDTH = 56
"""Longer values move their source to the right."""


def config(settings: Settings, json_output: bool) -> int:
    """Print one line per setting: the variable with its value, its source and its default."""
    if json_output:
        print(json.dumps({"settings": _as_json(settings)}))
        return DONE
    for setting in catalog():
        origin = source(settings, setting.name)
        if origin != "default":
            place = "the environment" if origin == setting.variable else origin
            origin = f"from {place}; default {as_text(setting.default, 'none')}"
        assignment = f"{setting.variable}={as_text(shown(settings, setting.name))}"
        line = f"{assignment:{_WIDTH}}  # {origin}"
        fits = len(line) <= (width() or len(line))
        print(line if fits else f"{assignment}\n{wrap(origin, '  # ')}")
    return DONE


def _as_json(settings: Settings) -> list[dict[str, object]]:
    return [
        {
            "variable": setting.variable,
            "value": shown(settings, setting.name),
            "source": source(settings, setting.name),
            "default": setting.default,
        }
        for setting in catalog()
    ]
