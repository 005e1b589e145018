"""`make release-check`: checks the committed state as it would be published. Its exit code is 1 if a check failed."""

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from release.commands import CheckFailed
from release.distributions import distributions
from release.first import first_release
from release.pythons import VERSIONS, python
from release.vulnerabilities import vulnerabilities
from testbed.servers.start import ServerUnavailable

PYTHONS = {f"python{version}": version for version in VERSIONS}
CHECKS = ("distributions", *PYTHONS, "first-release", "vulnerabilities")


def check(name: str, folder: Path) -> str:
    """Make one check, with files in this folder; returns what it found. Raises CheckFailed."""
    match name:
        case "distributions":
            return distributions(folder)
        case "first-release":
            return first_release(folder / name)
        case "vulnerabilities":
            return vulnerabilities(folder / name)
    return python(PYTHONS[name], folder / name, wheels=folder)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make release-check", description=__doc__)
    parser.add_argument("--skip", choices=CHECKS[1:], action="append", default=[], help="leave out a check")
    skipped = set(parser.parse_args().skip)
    failed = 0
    with TemporaryDirectory(prefix="release-") as folder:
        for name in CHECKS:
            started = time.monotonic()
            try:
                state, found = ("skipped", "as asked") if name in skipped else ("ok", check(name, Path(folder)))
            except (CheckFailed, ServerUnavailable) as error:
                state, found = "FAILED", str(error)
                failed += 1
            print(f"{state:8}{name:16}{found} ({time.monotonic() - started:.0f} s)", flush=True)
            if failed and name == "distributions":
                break  # there is nothing to install
    print(f"failed: {failed}, skipped: {len(skipped)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
