"""Known vulnerabilities of the pinned packages, as pip-audit finds them in the index that pip uses for advisories."""

import json
from pathlib import Path
from typing import Any

from release.commands import CONSTRAINTS, PYTHON, CheckFailed, environment, run


def vulnerabilities(folder: Path) -> str:
    """Raises CheckFailed for an advisory, and for a package of which nothing could be learnt."""
    tools = environment(PYTHON, folder, "pip-audit", constraints=Path("/dev/null"))
    report = folder / "report.json"
    command: list[str | Path] = [tools / "pip-audit", "--requirement", CONSTRAINTS, "--no-deps", "--disable-pip"]
    try:
        run([*command, "--format", "json", "--output", report])
    except CheckFailed:  # its exit code 1 is also that of findings
        if not report.exists():
            raise
    return judge(json.loads(report.read_text())["dependencies"])


def judge(packages: list[dict[str, Any]]) -> str:
    """What the report says of all packages."""
    found = [f"{each['name']} {each['version']}: {one['id']}" for each in packages for one in each.get("vulns", ())]
    if found:
        raise CheckFailed("; ".join(found))
    if unknown := [each for each in packages if "skip_reason" in each]:
        raise CheckFailed(
            f"nothing is known of {len(unknown)} of {len(packages)} packages: {unknown[0]['skip_reason']}. Where the "
            "index of advisories cannot be reached: --skip vulnerabilities, and check on another machine"
        )
    return f"no advisory for {len(packages)} packages"
