"""The description of the JSON, made of the routes and of the models that they answer with."""

import types
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from importlib.metadata import version
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from projector.web.parameters import MAX_HOURS, MAX_LIMIT

_TEXT = {"type": "string"}
_TIME = {"type": "string", "format": "date-time"}
_UUID = {"type": "string", "format": "uuid"}
_PLAIN: Mapping[Any, dict[str, Any]] = {
    str: _TEXT,
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    datetime: _TIME,
    object: {},
    Any: {},
}
_FILTERS: Mapping[str, dict[str, Any]] = {
    "status": _TEXT,
    "caller": _UUID,
    "callee": _UUID,
    "since": _TIME,
    "until": _TIME,
    "id": _TEXT,
    "only": {"type": "string", "enum": ["overdue", "silent", "self"]},
    "sort": {"type": "string", "enum": ["created", "age", "silence", "deadline"]},
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
    "cursor": _TEXT,
}
_HOURS = {"type": "integer", "minimum": 1, "maximum": MAX_HOURS}
PARAMETERS: Mapping[str, Mapping[str, dict[str, Any]]] = {
    "overview": {},
    "delegations": _FILTERS,
    "delegation": {"id": _TEXT},
    "callees": {"role": {"type": "string", "enum": ["callee", "caller"]}, "hours": _HOURS},
    "failures": {"hours": _HOURS, "caller": _UUID, "callee": _UUID},
    "plumbing": {},
}
"""Name of a page → its parameters and their schemas."""
ERRORS = (400, 401, 429, 500, 503)
STATUSES = {"type": "string", "enum": ["in_flight", "stuck", "failed", "completed"]}


class Endpoint(NamedTuple):
    """A path that answers with JSON, the schema of its answer, and its parameters."""

    path: str
    summary: str
    answer: dict[str, Any]
    parameters: Mapping[str, dict[str, Any]]
    errors: tuple[int, ...] = ERRORS


class Schemas:
    """Collects the schema of each model that is used."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self._kinds: dict[str, type] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type; a reference, if it is a model."""
        if kind in _PLAIN:
            return _PLAIN[kind]
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"type": "string", "enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return self._any_of(arguments)
        if origin is list:
            return {"type": "array", "items": self.of(arguments[0])}
        if origin is dict:
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if issubclass(kind, Enum):
            return {"type": "string", "enum": [each.value for each in kind]}
        return self._model(kind)

    def _any_of(self, kinds: tuple[Any, ...]) -> dict[str, Any]:
        schemas = [self.of(each) for each in kinds if each is not type(None)]
        return {"anyOf": [*schemas, {"type": "null"}]} if type(None) in kinds else {"anyOf": schemas}

    def _model(self, kind: type) -> dict[str, Any]:
        name = kind.__name__
        if self._kinds.setdefault(name, kind) is not kind:  # two modules have a class of this name
            name = f"{kind.__module__.rpartition('.')[2]}_{name}"
        if name not in self.found:
            self.found[name] = self.model(kind)
        return {"$ref": f"#/components/schemas/{name}"}

    def model(self, kind: type) -> dict[str, Any]:
        """The schema of a named tuple itself."""
        fields = {field: self.of(hint) for field, hint in get_type_hints(kind).items()}
        return {
            "type": "object",
            "description": " ".join((kind.__doc__ or "").split()),
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }


def document(endpoints: list[Endpoint], schemas: Schemas) -> dict[str, Any]:
    """The whole document, in OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Delegations", "version": version("delegations-projector")},
        "security": [{"token": []}, {"session": []}],
        "paths": {each.path: {"get": _operation(each)} for each in endpoints},
        "components": {
            "schemas": {
                "Error": {"type": "object", "properties": {"error": _TEXT}, "required": ["error"]},
                **schemas.found,
            },
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "__Host-projector-session"},
            },
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    return {
        "summary": endpoint.summary,
        "parameters": [
            {
                "name": name,
                "in": "path" if f"{{{name}}}" in endpoint.path else "query",
                "required": f"{{{name}}}" in endpoint.path,
                "schema": schema,
            }
            for name, schema in endpoint.parameters.items()
        ],
        "responses": {
            "200": _response("the answer", endpoint.answer),
            **{str(status): _response("why there is no answer", error) for status in endpoint.errors},
        },
    }


def _response(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}
