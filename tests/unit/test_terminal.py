"""Output for people: it never loses a value on a narrow terminal."""

import pytest
from rich.cells import cell_len

from projector.cli import terminal

HEADINGS = ["partition", "position", "owner"]
ROWS = [["0", "10,923,111", "a-long-name-of-a-host/13587"], ["1", "", "vm/1"]]


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setattr(terminal, "width", lambda: request.param)


@pytest.mark.parametrize("columns", [40, 49, 50, 80, None], indirect=True)
@pytest.mark.usefixtures("columns")
def test_table_keeps_every_value_at_any_width() -> None:
    shown = terminal.table(HEADINGS, ROWS, left=["owner"])
    assert all(cell in shown for row in ROWS for cell in row)


@pytest.mark.parametrize("columns", [49], indirect=True)
@pytest.mark.usefixtures("columns")
def test_narrow_table_is_a_list() -> None:
    assert terminal.table(HEADINGS, ROWS, left=["owner"]).splitlines() == [
        "partition 0",
        "  position  10,923,111",
        "  owner     a-long-name-of-a-host/13587",
        "partition 1",
        "  owner     vm/1",
    ]


@pytest.mark.parametrize("columns", [50], indirect=True)
@pytest.mark.usefixtures("columns")
def test_table_that_fits_has_one_line_per_row() -> None:
    lines = terminal.table(HEADINGS, ROWS, left=["owner"]).splitlines()
    assert lines[1] == "        0  10,923,111  a-long-name-of-a-host/13587"
    assert (len(lines), max(map(len, lines))) == (3, 50)


@pytest.mark.parametrize("columns", [40], indirect=True)
@pytest.mark.usefixtures("columns")
def test_long_value_of_a_list_wraps_below_its_start() -> None:
    assert terminal.columns(["offset", "reason"], [["7", "expected one of pending, queued, dispatched\x1b"]]) == (
        "offset 7\n  reason  expected one of pending,\n          queued, dispatched\\x1b"
    )


@pytest.mark.parametrize("columns", [40], indirect=True)
@pytest.mark.usefixtures("columns")
def test_sentence_wraps_between_words() -> None:
    sentence = "a b " * 12 + "x" * 50
    lines = terminal.wrap(sentence, "  ").splitlines()
    assert " ".join(line.strip() for line in lines) == sentence
    assert [len(line) <= 40 for line in lines] == [True, True, False]


@pytest.mark.parametrize("columns", [None], indirect=True)
@pytest.mark.usefixtures("columns")
def test_sentence_in_a_file_is_one_line() -> None:
    assert terminal.wrap("a b " * 100, "  ") == "  " + "a b " * 100


@pytest.mark.parametrize("text", ["", "abc", "日本語のテキスト", "👩\u200d👧 and more", "a" * 300])
def test_text_is_cut_to_columns(text: str) -> None:
    shown = terminal.fit(text, 8)
    assert cell_len(shown) <= 8
    assert (shown == text) == (cell_len(text) <= 8)
