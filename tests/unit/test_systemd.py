"""deploy/systemd: one unit for every process of the projector."""

import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from projector.cli import exit_codes
from projector.cli.commands import PROJECTOR
from projector.settings import Settings

(UNIT,) = (Path(__file__).parents[2] / "deploy" / "systemd").iterdir()
PROCESSES = ("run", "sweep", "push", "dashboard")


def values(key: str) -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines() if not line.startswith("#")]
    return [value for name, _, value in lines if name == key]


def test_unit_starts_every_process() -> None:
    assert UNIT.name == "projector@.service"
    assert values("ExecStart") == ["/opt/projector/bin/projector %i"]
    assert set(PROCESSES) <= set(PROJECTOR.commands)
    assert values("EnvironmentFile")[-1] == "-/etc/projector/%i.env"


def test_unit_stops_and_restarts_as_exit_codes_mean() -> None:
    assert float(values("TimeoutStopSec")[0]) > Settings.model_fields["stop_within_seconds"].default
    assert values("RestartPreventExitStatus") == [f"{exit_codes.MISCONFIGURED} {exit_codes.LOG_GAP}"]
    assert values("SuccessExitStatus") == [str(128 + signal.SIGTERM)]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="the machine has no systemd-analyze")
@pytest.mark.parametrize("process", PROCESSES)
def test_systemd_accepts_the_unit(process: str, tmp_path: Path) -> None:
    copy = tmp_path / f"projector@{process}.service"
    copy.write_text(UNIT.read_text().replace("/opt/projector/bin/projector", "/bin/true").replace("User=projector", ""))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
