"""`make reference`: makes the generated blocks of docs/ again. A test compares the pages with what this makes."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from psycopg import Connection

from projector.postgres import migrations
from reference import commands, events, licences, metrics, settings, tables
from reference.blocks import filled
from testbed.servers.start import start_postgres

DOCS = Path(__file__).parents[2] / "docs"


def pages(conn: Connection) -> dict[Path, str]:
    """Each page with its blocks made again. `conn`: a database with the finished schema."""
    parts = [commands, settings, metrics, events, licences]
    blocks = dict(block for part in parts for block in part.blocks().items()) | tables.blocks(conn)
    return {page: filled(page.read_text(), blocks) for page in sorted(DOCS.glob("*.md"))}


def main() -> None:
    """Write the pages, from the catalog of a Postgres that is started for it."""
    with (
        TemporaryDirectory() as folder,
        start_postgres(Path(folder)) as server,
        psycopg.connect(server.url) as conn,
    ):
        migrations.up(conn)
        for page, text in pages(conn).items():
            if text != page.read_text():
                page.write_text(text)
                sys.stdout.write(f"wrote docs/{page.name}\n")


if __name__ == "__main__":
    main()
