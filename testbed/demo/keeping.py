"""What `--keep` leaves running: how to use it, and `--stop`, which ends it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from testbed.demo.environment import PREFIX, Environment
from testbed.process import ManagedProcess

_KEPT = "kept.json"
_END_SECONDS = 30.0


def keep(environment: Environment, processes: Sequence[ManagedProcess]) -> None:
    """Write the settings for a shell, and what must be ended later, into the folder of the demo."""
    lines = [f"export {name}='{value}'\n" for name, value in environment.settings.items()]
    (environment.folder / "settings").write_text("".join(lines))
    commands = [environment.kafka.stop_command, environment.postgres.stop_command]
    pids = [each.pid for each in processes]
    pids += [int(command.removeprefix("kill ")) for command in commands if command.startswith("kill ")]
    kept = {
        "processes": {str(pid): _started(pid) for pid in pids},
        "commands": [command for command in commands if not command.startswith(("kill ", "#"))],
    }
    (environment.folder / _KEPT).write_text(json.dumps(kept))


def stop() -> list[str]:
    """End every kept demo of this user, and delete its folder; returns a line for each."""
    return [_stop(path.parent) for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{_KEPT}") if _is_ours(path)]


def _stop(folder: Path) -> str:
    kept = json.loads((folder / _KEPT).read_text())
    # Another process may have the number by now.
    pids = [int(pid) for pid, started in kept["processes"].items() if started and _started(int(pid)) == started]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for command in kept["commands"]:
        subprocess.run(command, shell=True, check=False, stdout=subprocess.DEVNULL)
    until = time.monotonic() + _END_SECONDS
    while any(_started(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    shutil.rmtree(folder, ignore_errors=True)
    return f"ended {len(pids) + len(kept['commands'])} processes or containers, and deleted {folder}"


def _is_ours(path: Path) -> bool:
    """Others may write into the folder of temporary files, too."""
    return path.stat().st_uid == path.parent.stat().st_uid == os.getuid()


def _started(pid: int) -> str:
    """When a process started; empty if it has ended."""
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    state, _, started = done.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
