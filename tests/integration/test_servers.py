"""The servers of the test bed: they start, stop, pause, keep their data, and end with the process that started them."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from psycopg import OperationalError
from topics import create_topic

from testbed.servers.processes import kafka_jars
from testbed.servers.start import Kafka, Postgres, ServerUnavailable, start_kafka, start_postgres

STARTER = """
import signal, sys
from pathlib import Path
from testbed.servers.start import start_postgres
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell ignore SIGINT
server = start_postgres(Path(sys.argv[1]), options=["fsync=off"], own=True, keep=sys.argv[2] == "keep")
try:
    print(server.url, flush=True)
    print(server.stop_command, flush=True)
    sys.stdin.read()
except KeyboardInterrupt:
    server.wait_until_ready(seconds=5)
    print("interrupted, server still answers", flush=True)
"""


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with start_postgres(tmp_path_factory.mktemp("own"), options=["wal_level=logical"], own=True) as server:
        yield server


@pytest.fixture(scope="module")
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    with start_kafka(tmp_path_factory.mktemp("own"), own=True) as server:
        yield server


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a process that starts a Postgres; it prints the URL, then the stop command, and waits."""
    started: list[subprocess.Popen[str]] = []

    def start(keep: str) -> subprocess.Popen[str]:
        command, pipe = [sys.executable, "-c", STARTER, str(tmp_path), keep], subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        with process:
            process.kill()


def select_1(url: str) -> object:
    with psycopg.connect(url, connect_timeout=5) as conn:
        return conn.execute("select 1").fetchone()


def wait_until_stopped(url: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            select_1(url)
        except OperationalError:
            return
        time.sleep(0.05)
    raise AssertionError("the server still answers")


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_restarted_postgres_keeps_data_and_port(own_postgres: Postgres, mode: str) -> None:
    with psycopg.connect(own_postgres.url) as before:
        before.execute(f"create table kept_{mode} as select 42 as value")
        before.commit()
        own_postgres.restart(mode)  # type: ignore[arg-type]  # one of two
        with pytest.raises(OperationalError):
            before.execute("select 1")
    with psycopg.connect(own_postgres.url) as after:
        assert after.execute(f"select value from kept_{mode}").fetchone() == (42,)


def test_options_reach_postgres(own_postgres: Postgres) -> None:
    with psycopg.connect(own_postgres.url) as conn:
        assert conn.execute("show wal_level").fetchone() == ("logical",)


def test_paused_postgres_answers_after_resume(own_postgres: Postgres) -> None:
    with psycopg.connect(own_postgres.url) as conn:
        own_postgres.pause()
        query = Thread(target=conn.execute, args=["select 1"])
        query.start()
        query.join(0.3)  # longer than any answer takes
        assert query.is_alive()
        own_postgres.resume()
        query.join(10)
        assert not query.is_alive()


def test_stopping_twice_is_harmless(own_postgres: Postgres, own_kafka: Kafka) -> None:
    own_postgres.stop()
    own_postgres.stop()
    own_postgres.pause()
    own_postgres.start()
    own_postgres.start()
    own_kafka.stop()
    own_kafka.kill()
    own_kafka.start()
    own_kafka.start()


def test_paused_server_can_be_stopped(own_postgres: Postgres) -> None:
    own_postgres.pause()
    own_postgres.restart()


def test_killed_kafka_keeps_acknowledged_records(own_kafka: Kafka) -> None:
    topic = create_topic(own_kafka.bootstrap_servers, partitions=1)
    producer = KafkaProducer(bootstrap_servers=own_kafka.bootstrap_servers, acks="all")
    for number in range(100):
        producer.send(topic, str(number).encode())
    producer.flush()
    producer.close()
    own_kafka.kill()
    own_kafka.start()
    assert values(own_kafka, topic, 100) == [str(number).encode() for number in range(100)]


def test_transactions_commit(own_kafka: Kafka) -> None:
    topic = create_topic(own_kafka.bootstrap_servers, partitions=1)
    producer = KafkaProducer(bootstrap_servers=own_kafka.bootstrap_servers, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, b"together", timestamp_ms=0)
    producer.commit_transaction()
    producer.close()
    assert values(own_kafka, topic, 1) == [b"together"]


def values(kafka: Kafka, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=kafka.bootstrap_servers, isolation_level="read_committed")
    partition, read = TopicPartition(topic, 0), list[bytes]()
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    deadline = time.monotonic() + 15
    while len(read) < count and time.monotonic() < deadline:
        read += [record.value for records in consumer.poll(500).values() for record in records]
    consumer.close()
    return read


def test_external_server_is_used_and_never_stopped(
    postgres: Postgres, kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESTBED_DATABASE_URL", postgres.url)
    monkeypatch.setenv("TESTBED_BOOTSTRAP_SERVERS", kafka)
    with start_postgres(tmp_path) as database, start_kafka(tmp_path) as broker:
        assert (database.url, broker.bootstrap_servers) == (postgres.url, kafka)
        for forbidden in (database.restart, database.start, database.pause, database.resume, broker.stop, broker.kill):
            with pytest.raises(ServerUnavailable, match="own=True"):
                forbidden()
    assert select_1(postgres.url) == (1,)


def test_own_server_ignores_external_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_DATABASE_URL", "postgresql://127.0.0.1:1/postgres")
    with start_postgres(tmp_path, own=True) as server:
        server.restart("immediate")


def test_failed_start_shows_log_of_server(tmp_path: Path) -> None:
    with pytest.raises(ServerUnavailable, match='unrecognized configuration parameter "no_such_setting"'):
        start_postgres(tmp_path, options=["no_such_setting=1"], own=True)


def test_error_lists_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("TESTBED_SERVERS", raising=False)
    with pytest.raises(ServerUnavailable) as error:
        start_kafka(tmp_path, own=True)
    message = str(error.value)
    assert "Set TESTBED_BOOTSTRAP_SERVERS, start a Docker engine, or install Java 17 or later and Maven" in message
    assert "no Docker engine answers" in message
    assert "Java 17 or later is not on the PATH" in message


def test_variable_allows_one_way_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_SERVERS", "docker")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    with pytest.raises(ServerUnavailable, match="TESTBED_SERVERS=docker allows no other way"):
        start_postgres(tmp_path, own=True)
    monkeypatch.setenv("TESTBED_SERVERS", "podman")
    with pytest.raises(ServerUnavailable, match="TESTBED_SERVERS=podman: expected docker or local"):
        start_postgres(tmp_path, own=True)


def test_version_of_postgres_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESTBED_SERVERS", "local")
    monkeypatch.setenv("TESTBED_POSTGRES_VERSION", "16")
    with start_postgres(tmp_path, own=True) as server, psycopg.connect(server.url) as conn:
        assert conn.info.server_version // 10_000 == 16
    monkeypatch.setenv("TESTBED_POSTGRES_VERSION", "9")
    with pytest.raises(ServerUnavailable, match=r"has the versions \[16, 18\] of Postgres, not 9"):
        start_postgres(tmp_path, own=True)
    monkeypatch.setenv("TESTBED_POSTGRES_VERSION", "new")
    with pytest.raises(ServerUnavailable, match="TESTBED_POSTGRES_VERSION=new: expected a major version such as 17"):
        start_postgres(tmp_path, own=True)


def test_download_is_announced_and_leaves_nothing_behind_if_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maven, cache = tmp_path / "mvn", tmp_path / "cache"
    maven.write_text('#!/bin/sh\nmkdir -p "${6#*=}"; touch "${6#*=}/half.jar"; echo no network; exit 1\n')
    maven.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ServerUnavailable, match="no network"):
        kafka_jars()
    assert [each.name for each in (cache / "projector").iterdir()] == ["resolving"]  # the lock, which stays
    assert capsys.readouterr().err == "downloading Kafka with Maven, only this time …\n"


def test_server_ends_when_its_starter_is_killed(starter: Callable[[str], subprocess.Popen[str]]) -> None:
    process = starter("end")
    url = read_line(process)
    assert select_1(url) == (1,)
    process.kill()
    wait_until_stopped(url)


def test_ctrl_c_does_not_reach_server(
    starter: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = starter("end")
    read_line(process)
    read_line(process)
    os.killpg(process.pid, signal.SIGINT)
    assert read_line(process) == "interrupted, server still answers"


def test_kept_server_outlives_its_starter(starter: Callable[[str], subprocess.Popen[str]]) -> None:
    process = starter("keep")
    url, stop_command = read_line(process), read_line(process)
    process.communicate("", timeout=20)
    assert select_1(url) == (1,)
    subprocess.run(shlex.split(stop_command), check=True, capture_output=True)
    wait_until_stopped(url)
