"""Sentences about wrong values: where the value is, the value, and what was expected."""

from collections.abc import Mapping
from typing import Any

PREFIX = "PROJECTOR_"
_MAX_CHARACTERS = 60
_EXPECTED = {
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is too large",
    "int_from_float": "is not a whole number",
    "bool_parsing": "is neither true nor false",
    "literal_error": "is not one of {expected}",
    "greater_than_equal": "is too small: the minimum is {ge}",
    "less_than_equal": "is too large: the maximum is {le}",
    "string_too_short": "is empty",
}
"""pydantic's type of an error → the end of the sentence."""


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def sentence(error: Mapping[str, Any], sources: Mapping[str, str]) -> str:
    """An error of pydantic as a sentence. `sources`: setting → where its value is, if not in its variable."""
    if not error["loc"]:  # a rule between settings, which names them itself
        return str(error["msg"]).removeprefix("Value error, ")
    name = str(error["loc"][0])
    place = sources.get(name, variable(name))
    expected = _EXPECTED.get(error["type"])
    if expected is None:
        return f"{place}: {str(error['msg']).removeprefix('Value error, ')}"
    context = {key: str(value).replace("'", "").replace(" or ", ", ") for key, value in error.get("ctx", {}).items()}
    found = repr(str(error["input"])[:_MAX_CHARACTERS])
    return f"{place}: {found} {expected.format(**context)}"
