"""A role of Postgres that is not the owner of anything, with the rights that docs/security.md lists."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

RIGHTS = """
    GRANT SELECT, INSERT, UPDATE, DELETE ON delegations TO {role};
    GRANT SELECT ON projector_schema_migrations TO {role};
    GRANT USAGE ON SCHEMA projector, projector_shadow TO {role};
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA projector TO {role};
    GRANT ALL ON ALL TABLES IN SCHEMA projector_shadow TO {role};
"""


@contextmanager
def plain_role(url: str) -> Iterator[str]:
    """Create the role in the server of this superuser's URL; yields the role's URL of the same database."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    role = sql.Identifier(name)
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8", options="") as server:
        server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'secret'").format(role))
        server.execute(sql.SQL(RIGHTS).format(role=role))
        place = urlsplit(url)
        address = place.netloc.rpartition("@")[2]
        try:
            yield place._replace(netloc=f"{name}:secret@{address}").geturl()
        finally:
            server.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(role))
