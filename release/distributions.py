"""The source distribution and the wheel: built twice, in two places, they are equal byte by byte."""

import hashlib
from pathlib import Path

from release.commands import PYTHON, CheckFailed, checkout, environment, run

_BUILD = ("hatchling", "build", "--directory")
_LARGEST_BYTES = 6_000_000
"""A limit that a forgotten file would break."""


def distributions(folder: Path) -> str:
    """Leave the wheel in this folder."""
    tools = environment(PYTHON, folder / "tools", "hatchling")
    at = run(["git", "log", "-1", "--format=%ct"]).strip()
    builds = [_built(tools, checkout("HEAD", folder / name), folder / f"{name}-built", at) for name in ("one", "other")]
    first, second = [{file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files} for files in builds]
    if first != second:
        raise CheckFailed(f"two builds of one commit differ: {first} and {second}")
    wheel, source = sorted(builds[0], key=lambda file: file.suffix != ".whl")
    _compare_with_source(tools, wheel, source, folder, at)
    sizes = {file.name: file.stat().st_size for file in builds[0]}
    if too_large := [name for name, size in sizes.items() if size > _LARGEST_BYTES]:
        raise CheckFailed(f"more than {_LARGEST_BYTES:,} bytes: {too_large}")
    wheel.rename(folder / wheel.name)
    listed = ", ".join(f"{name} of {sizes[name]:,} bytes, SHA-256 {first[name][:16]}…" for name in sorted(sizes))
    return f"two builds are equal: {listed}"


def _built(tools: Path, source: Path, target: Path, at: str) -> list[Path]:
    run([tools / "python", "-m", *_BUILD, target], source, {"SOURCE_DATE_EPOCH": at})
    return sorted(target.iterdir())


def _compare_with_source(tools: Path, wheel: Path, source: Path, folder: Path, at: str) -> None:
    """The wheel that is built from the source distribution is the same too."""
    unpacked = folder / "unpacked"
    unpacked.mkdir()
    run(["tar", "-x", "-f", source, "-C", unpacked, "--strip-components=1"])
    [again] = [file for file in _built(tools, unpacked, folder / "again", at) if file.suffix == ".whl"]
    if again.read_bytes() != wheel.read_bytes():
        raise CheckFailed("the source distribution makes another wheel than the repository")
