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
html_css_files = ["tables.css", "menus.css"]
html_copy_source = html_show_sourcelink = html_show_copyright = html_show_sphinx = html_use_index = False

NAVIGATION = {
    "Start": ["tutorial", "ten-minutes", "architecture", "comparison", "faq", "glossary"],
    "When something is wrong": [
        *("runbooks", "messages", "doctor", "explain", "verify-and-rebuild", "dead-letters", "recordings"),
    ],
    "Write from a service": ["events", "../events/README", "ledger", "delegations", "tables"],
    "Deploy": ["deploying", "../deploy/kubernetes/README", "change-feed", "security", "postgres", "sizing"],
    "Operate": ["running", "monitoring", "dashboard", "upgrading", "backups", "pruning", "erasing"],
    "Stuck delegations, and results": ["sweeping", "pushing"],
    "Reference": ["configuration", "commands", "json-output", "sessions", "api"],
    "Guarantees": ["reliability", "performance", "threat-model"],
}
"""The pages of `docs/` by what a reader wants. A page without a group is in `Project`."""

CHROME = {"#__navigation": "Menu of pages", "#__toc": "Contents of this page"}
"""The switches of the theme that open its menus on a narrow screen."""


def navigation() -> str:
    """The tables of contents, which GitHub would show as code."""
    groups = {caption: [f"docs/{name}" for name in names] for caption, names in NAVIGATION.items()}
    grouped = {name for names in NAVIGATION.values() for name in names}
    left = sorted({page.stem for page in (ROOT / "docs").glob("*.md")} - grouped)
    others = ["events/recorded/README", "Licences of the dashboard's files <projector/web/static/LICENSES>"]
    groups["Project"] = [*(f"docs/{name}" for name in left), "CONTRIBUTING", "SECURITY", *others]
    groups["Decisions"] = ["docs/decisions/README", "docs/decisions/[0-9]*"]
    options = ":hidden:\n:glob:\n:caption:"
    blocks = ["\n".join([f"```{{toctree}}\n{options} {name}\n", *pages, "```"]) for name, pages in groups.items()]
    return "\n\n" + "\n\n".join(blocks) + "\n"


def add_navigation(_: Any, page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += navigation()


def finish(app: Any, error: Exception | None) -> None:
    """Change what the theme and Markdown cannot: each page must also be good to hear, and to use by keys."""
    titles = {Path(app.outdir, f"{name}.html"): title.astext() for name, title in app.env.titles.items()}
    for page in () if error else [*titles, Path(app.outdir, "search.html")]:
        html = BeautifulSoup(page.read_text(), "html.parser")
        finish_menus(html)
        finish_tables(html)
        for block in html.find_all("pre"):
            block["tabindex"] = "0"
        for link in html.select("article a.internal"):
            if link.get_text().endswith(".md"):  # a page, by its title
                link.string = titles[(page.parent / str(link["href"]).partition("#")[0]).resolve()].partition(":")[0]
        page.write_text(str(html))


def finish_menus(html: BeautifulSoup) -> None:
    """Name the two menus and the switches that open them, and give the headings in them a level."""
    for menu, name in zip(html.find_all("aside"), CHROME.values(), strict=True):
        menu.name, menu["aria-label"] = "nav", name
    for switch, name in CHROME.items():
        html.select(switch)[0]["aria-label"] = f"Show: {name}"
    if html.select(".no-toc"):
        html.select("#__toc")[0].decompose()
    html.select(".sidebar-toggle")[0].insert_before(html.select(".skip-to-content")[0])
    for image in html.select("label svg, .back-to-top svg, .related-pages svg"):
        image["aria-hidden"] = "true"
    for heading in html.select(".sidebar-tree [role=heading]"):
        heading["aria-level"] = "2"
    for results in html.select("#search-results"):
        results.insert_before(BeautifulSoup("<h1>Search</h1>", "html.parser"))


def finish_tables(html: BeautifulSoup) -> None:
    """Let keys scroll a wide table, and give each cell the name of its column, for narrow screens."""
    for wrapper in html.select(".table-wrapper"):
        wrapper["tabindex"] = "0"
    for table in html.find_all("table"):
        names = [head.get_text() for head in table.find_all("th")]
        for row in table.find_all("tr"):
            for name, cell in zip(names, row.find_all("td"), strict=False):
                if cell.get_text(strip=True):
                    cell["data-column"] = name


def setup(app: Any) -> None:
    app.connect("source-read", add_navigation)
    app.connect("build-finished", finish)
