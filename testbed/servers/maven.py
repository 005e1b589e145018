"""Downloads jars by Maven, once, into the user's cache."""

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from testbed.servers.server import ServerUnavailable, run_tool

POM = """\
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>projector</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
{}
  </dependencies>
</project>
"""
LOGGER_ARTIFACT = "org.slf4j:slf4j-simple:1.7.36"


def maven_jars(what: str, folder: str, *artifacts: str) -> Path:
    """Return the folder with the jars of these artifacts (`group:artifact:version`), their dependencies and a logger.

    Maven downloads them at the first call; after that they are in the user's cache.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "projector"
    jars = cache / folder
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "resolving").open("w") as resolving:
        fcntl.flock(resolving, fcntl.LOCK_EX)  # a second process waits here, then uses the jars of the first
        if not jars.exists():
            _resolve(what, artifacts, jars)
    return jars


def _resolve(what: str, artifacts: Sequence[str], jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerUnavailable(f"the jars of {what} are not in {jars} yet, and Maven (mvn) is not on the PATH")
    # Download to another folder and rename it, so that an interrupted download leaves nothing incomplete.
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="resolving-") as aside:
        pom, downloaded = Path(aside) / "pom.xml", Path(aside) / "jars"
        pom.write_text(POM.format("\n".join(map(_dependency, [*artifacts, LOGGER_ARTIFACT]))))
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={downloaded}", "-DincludeScope=runtime"]
        print(f"downloading {what} with Maven, only this time …", file=sys.stderr, flush=True)
        run_tool([maven, "-q", "-B", "-f", str(pom), *goal], "Maven", cwd=jars.parent)
        downloaded.rename(jars)


def _dependency(artifact: str) -> str:
    coordinates = zip(("groupId", "artifactId", "version"), artifact.split(":"), strict=True)
    return f"    <dependency>{''.join(f'<{name}>{value}</{name}>' for name, value in coordinates)}</dependency>"
