"""A password that is rotated while a member runs: the next session uses the new one."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from pausing import terminate_sessions
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from testbed.workload import Mix

OLD, NEW = "old-word", "new-word"


class Login:
    """A role with a password, and the connection strings that use it."""

    def __init__(self, cluster: Cluster) -> None:
        self.role = f"role_{secrets.token_hex(6)}"
        self._url = cluster.database_url
        self._execute("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}", OLD)

    def url(self, password: str | None) -> str:
        return make_conninfo("", **{**conninfo_to_dict(self._url), "user": self.role, "password": password})

    def pass_file(self, password: str) -> str:
        """The line of a file of PGPASSFILE."""
        place = conninfo_to_dict(self._url)
        return f"{place['host']}:{place['port']}:*:{self.role}:{password}\n"

    def rotate(self, password: str) -> None:
        self._execute("ALTER ROLE {} PASSWORD {}", password)

    def drop(self) -> None:
        """A session that ended owns its functions until its process has removed them."""

        def is_dropped() -> bool:
            with suppress(psycopg.errors.DependentObjectsStillExist):
                self._execute("DROP ROLE {}")
                return True
            return False

        wait_until(is_dropped, "the role is dropped")

    def _execute(self, statement: str, *passwords: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as conn:
            names = [sql.Identifier(self.role), *map(sql.Literal, passwords)]
            conn.execute(sql.SQL(statement).format(*names))


@pytest.fixture
def login(cluster: Cluster) -> Iterator[Login]:
    login = Login(cluster)
    yield login
    cluster.end()
    login.drop()


def replace(file: Path, text: str) -> None:
    """Replace a file in one step, as the secrets of a container are replaced. Its owner alone may read it."""
    new = file.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(text)
    new.rename(file)


def test_rotated_url_file_is_used_by_the_next_session(cluster: Cluster, login: Login, tmp_path: Path) -> None:
    file = tmp_path / "url"
    replace(file, login.url(OLD))
    member = cluster.start_member(database_url="", database_url_file=str(file))
    cluster.publish(Mix(delegations=20))
    cluster.wait_until_caught_up()
    login.rotate(NEW)
    replace(file, login.url(NEW))
    assert terminate_sessions(cluster) == 1
    member.wait_for_log("Postgres is back")
    cluster.publish(Mix(delegations=20))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


@pytest.mark.parametrize("half", ["postgresql:/", "postgresql://role:half-a-password"])
def test_url_file_that_is_half_written_is_waited_out(cluster: Cluster, login: Login, tmp_path: Path, half: str) -> None:
    file = tmp_path / "url"
    replace(file, login.url(OLD))
    member = cluster.start_member(database_url="", database_url_file=str(file))
    cluster.publish(Mix(delegations=20))
    cluster.wait_until_caught_up()
    replace(file, half)
    assert terminate_sessions(cluster) == 1
    waiting = member.wait_for_log("still waiting for Postgres")
    assert "PROJECTOR_DATABASE_URL" in waiting["reason"]
    assert "half-a-password" not in member.text()
    replace(file, login.url(OLD))
    member.wait_for_log("Postgres is back")
    cluster.publish(Mix(delegations=20))
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()


def test_rotated_pgpassfile_is_used_by_the_next_session(
    cluster: Cluster, login: Login, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pgpass"
    replace(file, login.pass_file(OLD))
    monkeypatch.setenv("PGPASSFILE", str(file))
    member = cluster.start_member(database_url=login.url(None))
    member.wait_for_log("partition claimed", times=3)
    login.rotate(NEW)
    replace(file, login.pass_file(NEW))
    assert terminate_sessions(cluster) == 1
    member.wait_for_log("Postgres is back")


def test_member_waits_for_the_file_of_its_password(cluster: Cluster, login: Login, tmp_path: Path) -> None:
    file = tmp_path / "url"
    replace(file, login.url(OLD))
    health = tmp_path / "health"
    member = cluster.start_member(database_url="", database_url_file=str(file), health_file=str(health))
    member.wait_for_log("partition claimed", times=3)
    wait_until(health.exists, "the first report")
    file.unlink()
    terminate_sessions(cluster)
    sentence = f"waiting for Postgres: PROJECTOR_DATABASE_URL_FILE: {file} cannot be read: No such file or directory"
    wait_until(lambda: sentence in health.read_text(), sentence)
    replace(file, login.url(OLD))
    member.wait_for_log("Postgres is back")
