"""The mistakes of `make mutants` still apply: each finds its place once, still compiles, and names tests that exist."""

import shutil
from pathlib import Path

import pytest
from mutants.listed import MUTANTS
from mutants.mutant import ROOT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{Path(mutant.file).name}: {mutant.mistake}")
def test_mistake_can_be_made(mutant: Mutant, tmp_path: Path) -> None:
    file = tmp_path / mutant.file
    file.parent.mkdir(parents=True)
    shutil.copy(ROOT / mutant.file, file)
    before = mutant.apply(tmp_path)
    assert file.read_text() != before
    if file.suffix == ".py":
        compile(file.read_text(), mutant.file, "exec")
    tests = [(ROOT / path).read_text() for path in mutant.tests]
    assert not mutant.likely or any(f"\ndef {mutant.likely}(" in text for text in tests)


def test_mistakes_differ() -> None:
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.mistake) for mutant in MUTANTS}) == len(MUTANTS)
