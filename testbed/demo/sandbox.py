"""`python -m testbed.demo.sandbox`: the servers, the platform's table and its change feed, for docs/tutorial.md."""

import argparse
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from testbed.change_stream import ChangeStream
from testbed.demo.environment import Environment, create
from testbed.servers.processes import postgres_binaries
from testbed.servers.start import ServerUnavailable

TABLE = Path(__file__).parents[2] / "deploy" / "activity_logs.sql"


def main() -> int:
    """Run it until Ctrl-C or SIGTERM, which remove all of it; 2 if a server cannot be started."""
    parser = argparse.ArgumentParser("make sandbox", description=__doc__)
    parser.add_argument("--into", type=Path, default=Path("sandbox.env"), help="file for the settings (sandbox.env)")
    settings_file = parser.parse_args().into
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    try:
        sys.stderr.write("starting Postgres and Kafka\n")
        with create(keep=False) as environment, _feed(environment):
            settings_file.write_text("".join(f"export {line}\n" for line in _settings(environment)))
            print(f"ready: type `. {os.path.join('.', settings_file)}` in another terminal; Ctrl-C removes everything")
            sys.stdout.flush()
            while True:
                time.sleep(3600)
    except ServerUnavailable as error:
        sys.stderr.write(f"sandbox: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    finally:
        settings_file.unlink(missing_ok=True)


@contextmanager
def _feed(environment: Environment) -> Iterator[None]:
    """Create the table `activity_logs`, as compose.yaml does, and carry its rows into the topic."""
    with psycopg.connect(environment.database_url) as conn:
        conn.execute(TABLE.read_bytes())
    feed = ChangeStream(
        environment.database_url, environment.kafka.bootstrap_servers, environment.topic, lambda record: None
    )
    feed.create()
    feed.start()
    try:
        yield
    finally:
        feed.drop()


def _settings(environment: Environment) -> Iterator[str]:
    """Assignments for a shell: of the projector, of psql, and a PATH that has both."""
    url = urlsplit(environment.database_url)
    folders = [str(Path(sys.executable).parent)]
    with suppress(ServerUnavailable):
        folders.append(str(postgres_binaries()))
    yield f'PATH={shlex.quote(":".join(folders))}:"$PATH"'
    psql = {"HOST": url.hostname, "PORT": url.port, "USER": url.username, "PASSWORD": url.password}
    for name, value in psql.items():
        yield f"PG{name}={shlex.quote(str(value))}"
    yield f"PGDATABASE={environment.database}"
    for name, value in {**environment.settings, "PROJECTOR_RESULT_PUSH": "inbox"}.items():
        yield f"{name}={shlex.quote(value)}"


if __name__ == "__main__":
    sys.exit(main())
