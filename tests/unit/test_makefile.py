"""The Makefile: its help fits a terminal, and an installation that was interrupted can go on."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = """\
#!/bin/sh
echo "$@" >> calls
case "$*" in "-m venv .venv") cp python .venv/bin/python ;; esac
"""


def test_help_fits_80_columns() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "make demo" in done.stdout
    assert [line for line in done.stdout.splitlines() if len(line) > 80] == []


def test_environment_without_pip_is_made_again(tmp_path: Path) -> None:
    """Ctrl-C while it is made, or a Debian without python3-venv, leaves a .venv without pip."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name, text in (("python", PYTHON), (".venv/bin/python", "#!/bin/sh\nexit 1\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    command = ["make", "PYTHON=./python", ".venv/installed-demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    assert "-m venv .venv\n" in calls
    assert "-m pip install" in calls
