"""The first release: its database with this release, and its members beside those of this one."""

from pathlib import Path

from release.commands import PYTHON, ROOT, checkout, environment, run

COMMIT = "b6eb1dc78d5f365b258a6250d42ab828ac557beb"
TESTS = "tests/first_release"


def first_release(folder: Path) -> str:
    """Build it from its commit, which a shallow clone does not have."""
    source = checkout(COMMIT, folder / "source")
    programs = environment(PYTHON, folder / "environment", source, constraints=source / "constraints.txt")
    tests = [f"{TESTS}/test_database.py", f"{TESTS}/prove_members.py"]
    told = run([ROOT / ".venv/bin/python", "-m", "pytest", "-q", *tests], variables={"FIRST_RELEASE": str(programs)})
    return told.strip().splitlines()[-1].strip("= ")
