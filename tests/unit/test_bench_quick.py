"""The quick part compares a ratio of processor times with a stored one."""

import io
import json
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks import quick


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of stored ratios, with 2.0 for this Python."""
    path = tmp_path / "quick.json"
    path.write_text(json.dumps({quick._key(): 2.0, "Python 2.7, plain decoder": 9.0}))
    monkeypatch.setattr(quick, "STORED", path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, ratio: float, *, store: bool = False) -> str:
    """What it prints when the product takes `ratio` times as long as the loop."""
    monkeypatch.setattr(quick, "measured", lambda: ratio)
    output = io.StringIO()
    quick.main(Namespace(store=store), Console(file=output, width=400), Path())
    return output.getvalue()


def test_small_change_passes(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    assert "stored is 2.0 (+9%): ok" in run(monkeypatch, 2.18)
    assert "(-50%): ok" in run(monkeypatch, 1.0)


def test_above_ten_percent_warns(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    assert run(monkeypatch, 2.24).startswith("WARNING: the ratio is 2.24, stored is 2.0 (+12%). Run it again")


def test_above_twenty_percent_fails(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    with pytest.raises(SystemExit, match=r"FAILED: .* \(\+21%\).*quick --store"):
        run(monkeypatch, 2.42)


def test_without_stored_ratio_says_how_to_store_it(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    stored.unlink()
    assert "Store it: make bench ARGS='quick --store'" in run(monkeypatch, 2.0)


def test_stores_ratio_beside_those_of_other_pythons(monkeypatch: pytest.MonkeyPatch, stored: Path) -> None:
    assert "stored" in run(monkeypatch, 3.0, store=True)
    assert json.loads(stored.read_text()) == {quick._key(): 3.0, "Python 2.7, plain decoder": 9.0}


def test_medians_of_best_slices_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "SLICES", 2)
    monkeypatch.setattr(quick, "RUNS", 3)
    now = [0.0]

    def takes(*seconds: float) -> Callable[[], None]:
        each = iter(seconds)

        def run() -> None:
            now[0] += next(each)

        return run

    assert quick.best_ratio(takes(4, 9, 1, 6, 6, 60), takes(1, 2, 3, 1, 1, 9), lambda: now[0]) == 4


def test_slice_projects_recording() -> None:
    quick._project(quick._batches())
