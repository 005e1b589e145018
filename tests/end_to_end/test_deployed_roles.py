"""The roles of deploy/postgres: each does its work with them, and nothing else."""

import json
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import Cluster, wait_until
from commands import CommandResult, environment, start
from deployed_roles import Roles, deploy, new_database
from manifests import Workload, workloads
from projecting import connected
from relaying import Relaying, push
from sweeping import Platform
from topics import create_topic

from testbed.oracle import differences, stored_rows
from testbed.servers.server import free_port
from testbed.servers.start import Postgres
from testbed.workload import Mix

TOKEN = "a token of this test"


class Deployed:
    """A database with the roles, where a member has projected a small log, and its topic."""

    def __init__(self, roles: Roles, cluster: Cluster, metrics: str) -> None:
        self.roles, self.cluster, self.metrics = roles, cluster, metrics
        with psycopg.connect(roles.admin, autocommit=True) as conn:
            self.differences = differences(cluster.expected().rows, stored_rows(conn))

    def projector(self, role: str, *arguments: str, **settings: str) -> CommandResult:
        own = {"bootstrap_servers": self.cluster.bootstrap_servers, "topic": self.cluster.topic}
        return self.roles.projector(role, *arguments, **own, **settings)


@pytest.fixture(scope="module")
def roles(postgres: Postgres) -> Iterator[Roles]:
    with new_database(postgres.url) as roles:
        deploy(roles)
        yield roles


@pytest.fixture(scope="module")
def deployed(roles: Roles, kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    cluster = Cluster(roles.url("run"), kafka, create_topic(kafka), tmp_path_factory.mktemp("deployed"))
    metrics = f"127.0.0.1:{free_port()}"
    cluster.start_member("--result-push", "inbox", http_address=metrics)
    cluster.publish(Mix(delegations=40))
    cluster.wait_until_caught_up()
    yield Deployed(roles, cluster, metrics)
    cluster.end()


# --- each role does its work


def test_member_projects_as_the_role_run(deployed: Deployed) -> None:
    assert deployed.differences == []
    deployed.cluster.assert_nothing_dropped()


@pytest.mark.parametrize(
    "command",
    [
        "verify",
        "rebuild --yes",
        "status",
        "dead-letters list",
        "parked list",
        "push list",
        "push missing",
        "push run --once --result-push inbox",
        "sweep --once",
        "prune --ended-before 1s --yes",
        "doctor",
    ],
)
def test_commands_of_operators_work_as_the_role_run(deployed: Deployed, command: str) -> None:
    done = deployed.projector("run", *command.split())
    assert done.code in (0, 7 if command == "doctor" else 0), done.out + done.err
    assert "permission denied" not in done.out + done.err
    if command == "doctor":
        assert re.search(r"^ok +rights of run ", done.out, re.MULTILINE), done.out
        assert re.search(r"^ok +rights of rebuild ", done.out, re.MULTILINE), done.out


@pytest.mark.parametrize("role", ["run", "dashboard"])
def test_explain_finds_a_delegation_as_both_roles(deployed: Deployed, role: str) -> None:
    known = min(deployed.cluster.expected().rows)
    done = deployed.projector(role, "explain", known)
    assert done.code == 0, done.err
    assert "in agreement with the log" in done.out


def test_verdicts_and_replies_are_written_as_the_role_run(postgres: Postgres) -> None:
    with new_database(postgres.url) as roles:
        deploy(roles)
        with connected(roles.admin) as conn, connected(roles.url("run")) as sweeper:
            it = Platform(conn, sweeper, roles.admin)
            it.is_alive().both(it.request("silent"), it.beat("silent"), it.request("overdue", due=1))
            it.sweep()
            assert it.told() == {"silent": "stuck", "overdue": "failed"}
            Relaying(conn).answered("told")
            push(roles.url("run"))
            assert Relaying(conn).texts() == {"told": "done"}


@contextmanager
def dashboard(roles: Roles, folder: Path, **settings: str) -> Iterator[str]:
    """A dashboard as its role, with the proxy's variable of the manifest; yields its address."""
    (folder / "tokens").write_text(TOKEN)
    address = f"127.0.0.1:{free_port()}"
    own = {"database_url": roles.url("dashboard"), "dashboard_address": address}
    variables = environment({**own, "dashboard_tokens_file": str(folder / "tokens"), **settings})
    variables["FORWARDED_ALLOW_IPS"] = _workload("delegations-dashboard").environment["FORWARDED_ALLOW_IPS"]
    with (folder / "log").open("ab") as log:
        process = start(["dashboard"], variables, stderr=log)
    try:
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
    assert "permission denied" not in (folder / "log").read_text()


def test_dashboard_shows_every_page_as_its_role(deployed: Deployed, tmp_path: Path) -> None:
    known = min(deployed.cluster.expected().rows)
    servers = {"bootstrap_servers": deployed.cluster.bootstrap_servers, "topic": deployed.cluster.topic}
    with dashboard(deployed.roles, tmp_path, **servers) as address:
        for path in ("overview", "delegations", "callees", "failures", "plumbing"):
            assert json.loads(_answer(f"http://{address}/{path}.json"))["as_of"], path
            assert "</html>" in _answer(f"http://{address}/{path.removeprefix('overview')}"), path
        assert known in _answer(f"http://{address}/delegation?id={known}")
        _answer(f"http://{address}/admin/delegations/stats")
        assert _probed("delegations-dashboard", address) == {200}
        assert 'type="password"' in _login_page(address, "https")
        assert 'type="password"' not in _login_page(address, "http")


def test_first_page_warns_that_the_feed_is_silent(deployed: Deployed, tmp_path: Path) -> None:
    servers = {"bootstrap_servers": deployed.cluster.bootstrap_servers, "topic": deployed.cluster.topic}
    with dashboard(deployed.roles, tmp_path, **servers) as address:

        def levels() -> dict[str, str]:
            condition = json.loads(_answer(f"http://{address}/overview.json"))["condition"]
            return {each["text"][:15]: each["level"] for each in condition}

        wait_until(lambda: levels().get("The last record") == "warning", "a topic that was read")
        assert re.search("The last record is .* old", _answer(f"http://{address}/"))


def test_member_answers_the_probes_of_kubernetes(deployed: Deployed) -> None:
    assert _probed("delegations-run", deployed.metrics) == {200}


def _probed(workload: str, address: str) -> set[int]:
    """The answers to the probes of this workload, which have no token."""
    probes = _workload(workload).probes
    assert len(probes) == 3
    return {urllib.request.urlopen(f"http://{address}{each['path']}", timeout=10).status for each in probes.values()}


def _workload(name: str) -> Workload:
    return next(each for each in workloads() if each.name == name)


def _login_page(address: str, scheme: str) -> str:
    """The page as an Ingress gets it whose clients use this scheme."""
    headers = {"Host": "delegations.example", "X-Forwarded-Proto": scheme, "X-Forwarded-For": "192.0.2.7"}
    request = urllib.request.Request(f"http://{address}/login", headers=headers)
    with urllib.request.urlopen(request, timeout=10) as page:
        return str(page.read().decode())


def _answer(url: str, tries: int = 300) -> str:
    """The answer to a request with the token, once the server is there and ready."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {TOKEN}"})
    for _ in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        except urllib.error.URLError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"no answer from {url}")


@pytest.mark.parametrize(
    ("role", "command", "reason"),
    [
        ("dashboard", "sweep --once", "lacks INSERT on public.activity_logs"),
        ("dashboard", "rebuild --yes", "permission denied|read-only"),
        ("dashboard", "migrate down --to 55 --yes", "must be owner|read-only|permission denied"),
        ("run", "migrate down --to 55 --yes", "must be owner"),
    ],
)
def test_command_of_another_role_is_refused(deployed: Deployed, role: str, command: str, reason: str) -> None:
    done = deployed.projector(role, *command.split())
    assert done.code in (1, 2)
    assert re.search(reason, done.err), done.err
    assert "Traceback" not in done.err
