"""The overview as a page, with sentences that are good or not, with a command or without."""

from datetime import UTC, datetime

import pytest
from starlette.datastructures import QueryParams

from projector.postgres.views_overview import Failures, Hour, InFlight
from projector.web.condition import Level, Sentence
from projector.web.overview import Overview
from projector.web.templating import environment, static_files

AT = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
GOOD = Sentence(Level.GOOD, "The view has every record of the log.")
WITHOUT_COMMAND = Sentence(Level.WARNING, "The last record is old.")
WITH_COMMAND = Sentence(Level.BAD, "No member runs.", "projector run")


@pytest.mark.parametrize(
    "sentences",
    [
        [GOOD],
        [WITHOUT_COMMAND],
        [WITHOUT_COMMAND, GOOD],
        [WITH_COMMAND, WITHOUT_COMMAND, GOOD],
        [GOOD, WITHOUT_COMMAND, WITH_COMMAND],
    ],
)
def test_every_sentence_is_shown(sentences: list[Sentence]) -> None:
    model = Overview(
        AT,
        sentences,
        InFlight(0, 0, 0, 0, 0, None, None),
        Failures(0, 0, 0.0),
        [],
        [],
        [Hour(AT, 3, 1)] * 24,
        None,
        None,
    )
    env = environment(static_files()[0])
    env.globals["shows_texts"] = True
    shown = env.get_template("overview.html").render(page="overview", model=model, now=AT, query=QueryParams())
    for each in sentences:
        assert each.text in shown
        assert each.command is None or each.command in shown
