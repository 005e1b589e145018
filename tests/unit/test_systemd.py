"""deploy/systemd: one unit for every process of the projector."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from command_tree import parsed

from projector.cli import exit_codes
from projector.cli.commands import PROJECTOR
from projector.settings import Settings

FOLDER = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = FOLDER / "projector@.service"
OF_PUSH = FOLDER / "projector@push.service.d" / "command.conf"
PROCESSES = ("run", "sweep", "push", "dashboard")


def values(key: str) -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines() if not line.startswith("#")]
    return [value for name, _, value in lines if name == key]


def test_unit_starts_every_process() -> None:
    assert values("ExecStart") == ["/opt/projector/bin/projector %i"]
    assert {path.name for path in FOLDER.rglob("*.*") if path.is_file()} == {UNIT.name, OF_PUSH.name}
    assert set(PROCESSES) <= set(PROJECTOR.commands)
    assert values("EnvironmentFile")[-1] == "-/etc/projector/%i.env"


def test_unit_stops_and_restarts_as_exit_codes_mean() -> None:
    assert float(values("TimeoutStopSec")[0]) > Settings.model_fields["stop_within_seconds"].default
    assert values("RestartPreventExitStatus") == [f"{exit_codes.MISCONFIGURED} {exit_codes.LOG_GAP}"]
    assert values("SuccessExitStatus") == [str(128 + signal.SIGTERM)]


def test_unit_of_push_starts_the_relay() -> None:
    lines = OF_PUSH.read_text().splitlines()
    assert lines[-2:] == ["ExecStart=", "ExecStart=/opt/projector/bin/projector push run"]
    assert parsed(["push", "run"]).command_path == "projector push run"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="the machine has no systemd-analyze")
@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_accepts_the_unit(process: str, tmp_path: Path) -> None:
    copy = tmp_path / f"projector@{process}.service"
    text = UNIT.read_text() + (OF_PUSH.read_text() if process == "push" else "")
    copy.write_text(text.replace("/opt/projector/bin/projector", "/bin/true").replace("User=projector", ""))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
