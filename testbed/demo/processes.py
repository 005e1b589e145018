"""The processes of the demo: the simulated platform, and commands of the projector."""

import re
import time
from collections.abc import Sequence
from contextlib import ExitStack

from testbed.demo.environment import Environment
from testbed.process import EXIT_TIMEOUT_SECONDS, ManagedProcess, ProcessFailed

QUIET = ("--log-level", "WARNING")
MEMBER_SETTINGS = {
    "PROJECTOR_GROUP_INSTANCE_ID": "demo",  # static membership: a restart is no rebalance
    "PROJECTOR_LOG_FORMAT": "json",
    "PROJECTOR_SUMMARY_SECONDS": "1",
    "PROJECTOR_REBUILD_GRACE_SECONDS": "0",  # the invented row is young: no event of it is going to come
}


class Processes:
    """Starts the processes of one demo; the stack ends those that still run."""

    def __init__(self, environment: Environment, stack: ExitStack) -> None:
        self._environment, self._stack = environment, stack

    def migrate(self) -> None:
        """Create the tables."""
        self._start(["projector", "migrate", "up"], "migrate.log").wait()

    def platform(self, **options: object) -> ManagedProcess:
        """Start the simulated platform, which writes to the topic and records what was acknowledged."""
        environment = self._environment
        arguments = {
            "--bootstrap-servers": environment.kafka.bootstrap_servers,
            "--topic": environment.topic,
            "--into": str(environment.recording),
            **{f"--{name.replace('_', '-')}": str(value) for name, value in options.items()},
        }
        command = ["testbed.producer", *(part for pair in arguments.items() for part in pair)]
        return self._start(command, "platform.log")

    def projector(self, name: str, *, keep: bool = False) -> ManagedProcess:
        """Start a projector."""
        return self._start(["projector", "run"], f"{name}.log", keep=keep)

    def dashboard(self) -> tuple[ManagedProcess, str]:
        """Start a dashboard and leave it running; returns it and a link that logs in once. Raises ProcessFailed."""
        process = self._start(["projector", "dashboard", "--login-link"], "dashboard.log", keep=True)
        until = time.monotonic() + EXIT_TIMEOUT_SECONDS
        while time.monotonic() < until:
            process.raise_if_failed()
            if found := re.search(r"^http://\S+/login/\S+$", process.log.read_text(), re.MULTILINE):
                return process, found[0]
            time.sleep(0.05)
        raise ProcessFailed(f"projector dashboard does not listen: {process.log}")

    def verify(self, name: str, *, expected: int) -> list[str]:
        """Compare the view with the topic; returns the output. Raises ProcessFailed for another exit code."""
        return self._start(["projector", "verify", *QUIET], f"{name}.log").wait(expected)

    def rebuild(self) -> list[str]:
        """Repair the view from the topic; returns the output."""
        return self._start(["projector", "rebuild", "--yes", *QUIET], "rebuild.log").wait()

    def projector_with_relay(self) -> ManagedProcess:
        """Start a projector that queues replies, and a relay that sends them."""
        return self._start(["projector", "run", "--with-push", "--result-push", "inbox"], "with-relay.log")

    def sweep(self, name: str, *options: str) -> list[str]:
        """Make a pass, or a dry run; returns the output."""
        return self._start(["projector", "sweep", *options, *QUIET], f"{name}.log").wait()

    def _start(self, command: Sequence[str], log: str, *, keep: bool = False) -> ManagedProcess:
        environment = self._environment
        process = ManagedProcess(
            command, environment.folder / log, {**environment.settings, **MEMBER_SETTINGS}, keep=keep
        )
        self._stack.callback(process.end)
        return process
