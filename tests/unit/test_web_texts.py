"""What the dashboard makes of texts: parameters, JSON, CSV, templates."""

import ast
import csv
import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from jinja2 import Environment, nodes

import projector.web
from projector.web.hiding import without_key
from projector.web.parameters import BadParameter, Parameters
from projector.web.plain import as_csv, as_json
from projector.web.templating import _visible, anchor, ends, line, moment, sentence, visible

TEMPLATES = sorted(Path(projector.web.__file__).parent.joinpath("templates").glob("*.html"))
CALLER = "c1c1c1c1-0000-4000-8000-000000000001"


class Row(NamedTuple):
    name: str | None
    at: datetime
    number: float


AT = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "read", "sentence"),
    [
        ([("limit", "0")], lambda p: p.number("limit", 1, 1000), "limit=0 is not a whole number from 1 to 1000"),
        ([("limit", "1001")], lambda p: p.number("limit", 1, 1000), "limit=1001 is not"),
        ([("limit", "\u0663")], lambda p: p.number("limit", 1, 1000), "is not a whole number"),
        ([("caller", "x")], lambda p: p.workspace("caller"), "caller=x is not a UUID"),
        ([("since", "x")], lambda p: p.instant("since"), "since=x is not a time"),
        ([("status", "x")], lambda p: p.choice("status", ["a", "b"]), "status=x is unknown: use one of a, b"),
        ([("a", "1"), ("a", "2")], lambda p: p.text("a"), "a is given twice"),
        ([("a", "\0")], lambda p: p.text("a"), "a contains U"),
        ([("b", "1")], lambda p: (p.text("a"), p.refuse_unknown()), "unknown parameter b: use a"),
    ],
)
def test_wrong_parameter_is_named(given: list[tuple[str, str]], read: object, sentence: str) -> None:
    with pytest.raises(BadParameter, match=sentence.replace("+", r"\+")):
        read(Parameters(given))  # type: ignore[operator]


def test_right_parameters_are_read() -> None:
    given = Parameters([("limit", "7"), ("caller", CALLER.upper()), ("since", "2026-11-26T12:00"), ("empty", "")])
    assert given.number("limit", 1, 10) == 7
    assert given.workspace("caller") == CALLER
    assert given.instant("since") == AT
    assert given.text("empty") is None
    given.refuse_unknown()


def test_json_has_times_with_an_offset_and_no_infinity() -> None:
    assert json.loads(as_json(Row("ü", AT, float("inf")))) == {
        "name": "ü",
        "at": "2026-11-26T12:00:00+00:00",
        "number": None,
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_cell_of_a_csv_is_no_formula(text: str) -> None:
    [_, cells] = csv.reader(io.StringIO(as_csv([Row(text, AT, 1.0)], ["name", "number"]).decode(), newline=""))
    assert cells == [f"'{text}", "1.0"]


def test_csv_keeps_quotes_and_lines() -> None:
    text = 'a "quoted"\nline, with a comma'
    [_, cells] = csv.reader(io.StringIO(as_csv([Row(text, AT, 1.0)], ["name"]).decode(), newline=""))
    assert cells == [text]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1bb", "a␛b"),
        ("safe\u202egpj.exe", "safe⟨U+202E⟩gpj.exe"),
        ("a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"),
        ("\ufeffa\x85", "⟨U+FEFF⟩a⟨U+0085⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("مرحبا 🙂 <b>", "مرحبا 🙂 <b>"),
    ],
)
def test_characters_that_mislead_are_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_line_is_one_line_and_short() -> None:
    assert line("a\n b\t c") == "a ⏎ b c"
    assert line("x" * 500) == "x" * 200 + "…"
    assert line(None) == ""


def test_both_ends_of_an_id_are_the_whole_id() -> None:
    assert ends(CALLER) == (CALLER[:-4], "0001")
    assert ends("d-1") == ("d-1", "")
    assert ends("a\u202eb") == ("a⟨U+202E⟩b", "")


def test_anchor_is_a_name_without_odd_characters() -> None:
    assert anchor('"] \ud800') == anchor('"] \ud800') != anchor("x")
    assert anchor('"] \ud800').isalnum()


def test_moment_may_be_no_time() -> None:
    assert (moment(AT), moment("infinity")) == ("2026-11-26 12:00:00 UTC", "infinity")


def test_sentence_begins_and_ends_as_one() -> None:
    assert (sentence("no member"), sentence("Done!"), sentence("")) == ("No member.", "Done!", ".")


@pytest.mark.parametrize("key", ["k-1", "", 'a "quoted" one', "ends with \\", "ü\n\t", "idempotency_key"])
@pytest.mark.parametrize("depth", range(4))
@pytest.mark.parametrize("indent", [None, 1])
def test_idempotency_key_is_hidden_at_any_depth(key: str, depth: int, indent: int | None) -> None:
    text = json.dumps({"before": None, "after": {"idempotency_key": key, "task": "count"}}, indent=indent)
    for _ in range(depth):
        text = json.dumps({"payload": text}, indent=indent)
    shown = without_key(text)
    assert "(hidden)" in shown
    assert len(key) < 2 or json.dumps(key)[1:-1] not in shown.replace("idempotency_key", "", 1)
    assert shown.startswith(text[: text.index("idempotency_key")])
    if not key.endswith("\\"):  # else the quote after it is taken for a part of the key, and more is hidden
        for _ in range(depth):
            shown = json.loads(shown)["payload"]
        assert json.loads(shown)["after"] == {"idempotency_key": "(hidden)", "task": "count"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"idempotency_key": "half of a k', '{"idempotency_key": "(hidden)'),
        ('{"idempotency_key": null, "task": "a"}', '{"idempotency_key": null, "task": "a"}'),
        ('{"task": "idempotency_key: a"}', '{"task": "idempotency_key: a"}'),
        ("\\" * 100_000, "\\" * 100_000),
    ],
)
def test_idempotency_key_may_be_cut_off_or_missing(text: str, shown: str) -> None:
    assert without_key(text) == shown


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_template_escapes_everything(template: Path) -> None:
    """No `safe`, no disabled escaping, no script or style in the page, and no htmx attribute with a value from data."""
    text = template.read_text()
    tree = Environment().parse(text)
    assert not [each.name for each in tree.find_all(nodes.Filter) if each.name in ("safe", "forceescape", "xmlattr")]
    assert not list(tree.find_all(nodes.ScopedEvalContextModifier))
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", text)
    assert not [value for value in re.findall(r'\shx-[\w-]+="([^"]*)"', text) if "{" in value]
    assert not re.search(r"\s[\w-]+=\{\{", text), "an attribute without quotes"


def test_printable_characters_are_shown_as_they_are() -> None:
    """So a text of nothing else needs no look at each character."""
    printable = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isprintable()]
    assert [char for char in printable if _visible(char) != char] == []
    assert visible("".join(printable)) == "".join(printable)
    assert visible("plain\u202e") == "plain⟨U+202E⟩"


@pytest.mark.parametrize("source", sorted(Path(projector.web.__file__).parent.glob("*.py")), ids=lambda path: path.name)
def test_code_marks_nothing_as_safe(source: Path) -> None:
    """Else a value could pass the templates without being escaped."""
    names = {node.id for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Name)}
    assert not names & {"Markup", "HTMLResponse", "select_autoescape"}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_value_is_never_the_name_of_a_tag_or_of_an_attribute(template: Path) -> None:
    """A value stands between tags, or within the quotes of an attribute; a link with a value has a path of ours."""
    text = re.sub(r"\{#.*?#\}", "", template.read_text(), flags=re.DOTALL)
    marked = re.sub(r"\{\{ (static\('[\w.-]+'\)|path|all\[reason\]\[0\]) \}\}", "/a-path-of-ours", text)
    marked = re.sub(r"\{\{.*?\}\}", "\x01", marked, flags=re.DOTALL)
    marked = re.sub(r"\{%.*?%\}", "", marked, flags=re.DOTALL)
    for tag in re.findall(r"<[^>]*>", marked):
        outside = re.sub(r"=\"[^\"]*\"", "", tag)
        assert "\x01" not in outside, tag
        for name, value in re.findall(r"\s([\w-]+)=\"([^\"]*)\"", tag):
            if name in ("href", "src", "action", "formaction", "xlink:href") and "\x01" in value:
                assert re.match(r"/(?!/)", value), tag
            assert not (name.startswith(("on", "hx-", "style")) and "\x01" in value), tag
