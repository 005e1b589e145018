"""The documentation site: `make docs` builds it from the same Markdown files that GitHub shows (decision 0021)."""

from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[2]

project = html_title = "Delegations projector"
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "events/**.md", "deploy/**.md", "projector/web/static/*.md"]
exclude_patterns = [".*", "benchmarks", "build", "dist", "schema", "testbed", "tests"]
myst_heading_anchors = 4
nitpicky = True

html_theme = "furo"
html_theme_options = {"top_of_page_buttons": []}
html_static_path = ["static"]
templates_path = ["templates"]
html_additional_pages = {"index": "index.html"}  # it leads to the README: a server of files shows index.html
html_css_files = ["tables.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = html_use_index = False

NAVIGATION = {
    "Start": ["ten-minutes", "tutorial", "architecture", "comparison", "faq", "glossary"],
    "How to": [
        *("deploying", "postgres", "security", "running", "monitoring", "upgrading", "backups", "sizing"),
        *("change-feed", "dashboard", "sweeping", "pushing", "ledger", "recordings"),
        *("verify-and-rebuild", "explain", "dead-letters", "pruning", "erasing"),
    ],
    "When something is wrong": ["runbooks", "messages", "doctor"],
    "Reference": ["configuration", "commands", "json-output", "metrics", "events", "tables", "sessions", "api"],
    "What holds": ["delegations", "reliability", "performance", "threat-model"],
}
"""The pages of `docs/` by need. A name without a page is left out, and a page without a group is in `Project`."""


def navigation() -> str:
    """The tables of contents, which GitHub would show as code."""
    left = {page.stem for page in (ROOT / "docs").glob("*.md")}
    groups = {}
    for caption, names in NAVIGATION.items():
        groups[caption] = [f"docs/{name}" for name in names if name in left]
        left -= set(names)
    groups["Reference"].append("events/README")
    others = ["events/recorded/README", "deploy/kubernetes/README", "projector/web/static/LICENSES"]
    groups["Project"] = [*(f"docs/{name}" for name in sorted(left)), "CONTRIBUTING", "SECURITY", *others]
    groups["Decisions"] = ["docs/decisions/README", "docs/decisions/[0-9]*"]
    options = ":hidden:\n:glob:\n:caption:"
    blocks = ["\n".join([f"```{{toctree}}\n{options} {name}\n", *pages, "```"]) for name, pages in groups.items()]
    return "\n\n" + "\n\n".join(blocks) + "\n"


def add_navigation(_: Any, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += navigation()


def finish(_app: Any, _page: str, _template: str, context: dict[str, Any], _doctree: Any) -> None:
    """Give headings of the navigation a level, focus to what scrolls, and cells the name of their column."""
    context["furo_navigation_tree"] = context["furo_navigation_tree"].replace('"heading"', '"heading" aria-level="2"')
    body = BeautifulSoup(context.get("body", ""), "html.parser")
    for block in body.find_all("pre"):
        block["tabindex"] = "0"
    for table in body.find_all("table"):
        names = [head.get_text() for head in table.find_all("th")]
        for row in table.find_all("tr"):
            for name, cell in zip(names, row.find_all("td"), strict=False):
                if cell.get_text(strip=True):
                    cell["data-column"] = name
    context["body"] = str(body)


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
    app.connect("html-page-context", finish, priority=900)
