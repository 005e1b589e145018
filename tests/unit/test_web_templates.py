"""What every page has for those who cannot see it, or see it without scripts."""

import re
from pathlib import Path

import pytest

import projector.web

FOLDER = Path(projector.web.__file__).parent
TEMPLATES = sorted((FOLDER / "templates").glob("*.html"))
TEXTS = {each.name: re.sub(r"\{#.*?#\}", "", each.read_text(), flags=re.DOTALL) for each in TEMPLATES}


@pytest.mark.parametrize("name", TEXTS)
def test_table_has_a_caption_and_its_headings_a_scope(name: str) -> None:
    text = TEXTS[name]
    assert len(re.findall(r"<table", text)) == len(re.findall(r"<table[^>]*>\s*<caption", text))
    assert [each for each in re.findall(r"<th\b[^>]*>", text) if "scope=" not in each] == []


def test_first_sentence_alone_is_read_aloud_when_it_changes() -> None:
    live = [line for text in TEXTS.values() for line in text.splitlines() if "aria-live" in line]
    assert len(live) == 1
    assert '<h1 class="headline' in live[0]
    assert 'aria-live="polite"' in live[0]


def test_every_page_has_the_time_of_its_data() -> None:
    pages = set(TEXTS) - {"base.html", "parts.html", "error.html", "login.html"}
    assert {name for name in pages if "data-fresh" in TEXTS[name] or "parts.as_of(" in TEXTS[name]} == pages
    assert 'data-fresh>As of <time datetime="{{ at | iso }}">' in TEXTS["parts.html"]


def test_state_is_a_word_and_a_shape() -> None:
    macro = TEXTS["parts.html"].partition("{% macro status(name)")[2].partition("{%- endmacro %}")[0]
    assert '<span class="shape" aria-hidden="true">{{ SHAPES[name] }}</span> {{ name | replace' in macro


def test_chart_has_a_table_beside_it() -> None:
    charts = [name for name, text in TEXTS.items() if 'role="img" aria-label="' in text and "<svg" in text]
    assert set(charts) <= {"overview.html", "parts.html"}
    figure, _, after = TEXTS["overview.html"].partition("</figure>")
    assert '<svg class="bars"' in figure
    assert after.lstrip().startswith('<details id="numbers"><summary>Numbers</summary>')


def test_everything_can_be_sent_without_a_script() -> None:
    """Forms have a button or one field, and htmx only loads the same page again."""
    for text in TEXTS.values():
        assert set(re.findall(r'\shx-get="([^"]*)"', text)) <= {""}
        assert not re.search(r"\shx-(post|put|delete|patch)=", text)


def test_motion_can_be_reduced() -> None:
    assert "@media (prefers-reduced-motion: reduce)" in (FOLDER / "static" / "dashboard.css").read_text()
