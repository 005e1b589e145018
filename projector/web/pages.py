"""The pages: what each reads, its parameters, and the description of their JSON."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args, get_type_hints

from projector.web import admin
from projector.web.detail import Detail
from projector.web.failures import Failures, failures
from projector.web.listing import Listing, listing
from projector.web.openapi import ERRORS, PARAMETERS, Endpoint, Schemas, document
from projector.web.overview import Overview, overview
from projector.web.parameters import Parameters
from projector.web.plumbing import Plumbing, plumbing
from projector.web.reader import Reader
from projector.web.story import detail
from projector.web.workspaces import Workspaces, workspaces


class Page(NamedTuple):
    """A page: what it reads, its model, and the field that its CSV lists, if it has one. Its template has its name.

    Page, JSON and CSV are made of the same model. So they cannot differ.
    """

    name: str
    path: str
    read: Callable[[Reader, Parameters], NamedTuple]
    model: type
    lists: str | None = None

    @property
    def base(self) -> str:
        """The path of its JSON and CSV, without the ending."""
        return "/overview" if self.path == "/" else self.path

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its CSV, also where there is no row."""
        [row] = get_args(get_type_hints(self.model)[self.lists or ""])
        return tuple(row._fields)


PAGES = (
    Page("overview", "/", overview, Overview),
    Page("delegations", "/delegations", listing, Listing, "delegations"),
    Page("delegation", "/delegation", detail, Detail),
    Page("callees", "/callees", workspaces, Workspaces, "workspaces"),
    Page("failures", "/failures", failures, Failures, "reasons"),
    Page("plumbing", "/plumbing", plumbing, Plumbing),
)
API = {f"/admin/delegations/{page.name}": page for page in PAGES if page.name in ("failures", "callees", "plumbing")}
"""Endpoints that answer with the model of a page."""


def description() -> dict[str, Any]:
    """The OpenAPI document."""
    schemas = Schemas()
    endpoints = [
        *admin.endpoints(schemas),
        Endpoint(
            "/admin/delegations/{id}", "One delegation.", schemas.of(Detail), {"id": {"type": "string"}}, (*ERRORS, 404)
        ),
        *(_endpoint(path, page, schemas) for path, page in API.items()),
        *(_endpoint(f"{page.base}.json", page, schemas) for page in PAGES),
    ]
    return document(endpoints, schemas)


def _endpoint(path: str, page: Page, schemas: Schemas) -> Endpoint:
    return Endpoint(path, f"The page {page.name}.", schemas.of(page.model), PARAMETERS[page.name])
