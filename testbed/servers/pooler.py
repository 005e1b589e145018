"""PgBouncer as a local process in front of a Postgres, for tests of what a pooler does to sessions."""

import shutil
import signal
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from psycopg.conninfo import conninfo_to_dict

from testbed.servers.processes import ServerProcess, unprivileged_prefix
from testbed.servers.server import ServerUnavailable, free_port
from testbed.servers.start import Handle, select_1

PoolMode = Literal["session", "transaction", "statement"]


class Pooler(Handle):
    """A PgBouncer; `url` leads through it to the same user and database."""

    def __init__(self, url: str, server: ServerProcess) -> None:
        super().__init__("PgBouncer", server, lambda: select_1(url), keep=False)
        self.url = url


def start_pooler(
    folder: Path, url: str, *, pool_mode: PoolMode, pool_size: int, options: Mapping[str, str] | None = None
) -> Pooler:
    """Start a PgBouncer for the Postgres of this URL, and wait until it answers.

    `folder` takes its configuration and its log. `pool_size` is the number of server sessions per user and database.
    `options` are further settings of PgBouncer. Raises ServerUnavailable.
    """
    program = _program()
    home = Path(tempfile.mkdtemp(prefix="pgbouncer-", dir=folder))
    parts, port = conninfo_to_dict(url), free_port()
    users = home / "users.txt"
    users.write_text(f'"{parts["user"]}" "{parts["password"]}"\n')
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": str(users),
        "pool_mode": pool_mode,
        "default_pool_size": str(pool_size),
        **(options or {}),
    }
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    file = home / "pgbouncer.ini"
    file.write_text(f"[databases]\n* = host={parts['host']} port={parts['port']}\n[pgbouncer]\n{lines}")
    command = [*unprivileged_prefix(), program, str(file)]
    server = ServerProcess(command, home / "pgbouncer.log", keep=False, end_signal=signal.SIGKILL)
    user = f"postgresql://{parts['user']}:{parts['password']}"
    pooler = Pooler(f"{user}@127.0.0.1:{port}/{parts['dbname']}", server)
    pooler.start()
    return pooler


def _program() -> str:
    # Debian has it in /usr/sbin, which is not on the PATH of every user.
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise ServerUnavailable("PgBouncer is not installed: install the package `pgbouncer` (Debian, Homebrew)")
    return program
