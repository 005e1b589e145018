"""`projector dead-letters`: lists, shows, retries and discards the records that could not be read or written."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

import click

from projector.cli.exit_codes import DEAD_LETTERS, DONE, NOTHING_FOUND
from projector.cli.letter_output import LATEST, MAX_COUNT, print_detail, print_list
from projector.cli.output import as_json, confirm, cut, note, outcomes_as_json, print_outcomes
from projector.cli.terminal import table
from projector.domain.outcomes import Outcome
from projector.errors import ProjectorError
from projector.postgres import dead_letter_queries, queries
from projector.postgres.connection import Connection, open_view
from projector.postgres.dead_letters import Filter
from projector.postgres.write_batch import prepare
from projector.projection.dead_letters import discard, retry
from projector.projection.transaction import Outcomes
from projector.recordings.file import text_or_base64
from projector.settings import Settings
from projector.texts import counted

_REASONS = 10


class Selection(NamedTuple):
    """The options that select dead letters by what they are, and not by their place."""

    topic: str | None
    every_topic: bool
    reason: str | None
    field: str | None
    older_than: timedelta | None
    newer_than: timedelta | None

    @property
    def is_limited(self) -> bool:
        """Whether it selects by more than the topic."""
        return any(value is not None for value in self[2:])

    def filter(self, conn: Connection, settings: Settings) -> Filter:
        """The selected dead letters of the topic in force, or of all topics. Ages count until now."""
        if self.every_topic and self.topic is not None:
            raise click.UsageError("--topic is not allowed with --every-topic")
        now = queries.clock(conn)
        return Filter(
            topic=None if self.every_topic else settings.topic,
            reason=self.reason,
            field=self.field,
            after=None if self.newer_than is None else now - self.newer_than,
            before=None if self.older_than is None else now - self.older_than,
        )


def list_latest(
    settings: Settings,
    topic: str | None,
    every_topic: bool,
    reason: str | None,
    field: str | None,
    older_than: timedelta | None,
    newer_than: timedelta | None,
    limit: int,
    partition: int | None,
    json_output: bool,
) -> int:
    """Print the latest dead letters of the topic in force, or of all topics."""
    selection = Selection(topic, every_topic, reason, field, older_than, newer_than)
    with _connect(settings) as conn:
        wanted = selection.filter(conn, settings)._replace(partition=partition)
        letters = dead_letter_queries.latest(conn, wanted, limit=limit)
        total = dead_letter_queries.count(conn, wanted, limit=MAX_COUNT)
        others = 0 if letters else dead_letter_queries.count(conn, Filter(), limit=MAX_COUNT)
        reasons = dead_letter_queries.latest_reasons(conn, wanted, limit=LATEST)
    if json_output:
        found = {"total": total, "complete": total < MAX_COUNT}
        print(json.dumps({**found, "dead_letters": [as_json(letter) for letter in letters]}))
    elif letters:
        print_list(letters, reasons, total, wanted.topic)
    elif others:
        number = f"{others:,}" if others < MAX_COUNT else f"{MAX_COUNT:,} or more"
        print(f"none of {number} dead letters is selected: use other options, or --every-topic")
    else:
        print("there are no dead letters")
    return DONE


def show(settings: Settings, partition: int, offset: int, full: bool, json_output: bool) -> int:
    """Print one dead letter with its key and value."""
    with _connect(settings) as conn:
        letter = queries.dead_letter(conn, topic=settings.topic, partition=partition, offset=offset)
    if letter is None:
        place = f"offset {offset} of partition {partition} of topic {settings.topic}"
        raise ProjectorError(f"there is no dead letter at {place}")
    if json_output:
        fields = {name: value for name, value in as_json(letter).items() if name not in ("key", "value")}
        print(json.dumps({**fields, **text_or_base64("key", letter.key), **text_or_base64("value", letter.value)}))
    else:
        print_detail(letter, full)
    return DONE


def retry_selected(
    settings: Settings,
    topic: str | None,
    every_topic: bool,
    reason: str | None,
    field: str | None,
    older_than: timedelta | None,
    newer_than: timedelta | None,
    select_all: bool,
    partition: int | None,
    offsets: Sequence[int],
    json_output: bool,
) -> int:
    """Project the selected dead letters again, and print their outcomes."""
    selection = Selection(topic, every_topic, reason, field, older_than, newer_than)
    _require_one_selection(selection, select_all, partition, offsets)
    with _connect(settings) as conn:
        wanted, missing = _selected(conn, settings, selection, partition, offsets)
        prepare(conn, push=settings.pushes, deadline_grace_seconds=settings.deadline_grace_seconds)
        outcomes = retry(conn, wanted, settings, push=settings.pushes)
    if json_output:
        found = {"records": outcomes.total(), "outcomes": outcomes_as_json(outcomes), "not_found": missing}
        print(json.dumps(found))
    elif outcomes:
        _print_retried(outcomes)
    if not outcomes and not offsets:
        note("no dead letter is selected, so none was retried")
    if outcomes[Outcome.DEAD_LETTER]:
        return DEAD_LETTERS
    return NOTHING_FOUND if missing or not outcomes else DONE


def discard_selected(
    settings: Settings,
    topic: str | None,
    every_topic: bool,
    reason: str | None,
    field: str | None,
    older_than: timedelta | None,
    newer_than: timedelta | None,
    select_all: bool,
    partition: int | None,
    offsets: Sequence[int],
    yes: bool,
) -> int:
    """Delete the selected dead letters. Ask first."""
    selection = Selection(topic, every_topic, reason, field, older_than, newer_than)
    _require_one_selection(selection, select_all, partition, offsets)
    with _connect(settings) as conn:
        wanted, missing = _selected(conn, settings, selection, partition, offsets)
        if wanted.before is None:  # none that fails after the question
            wanted = wanted._replace(before=queries.clock(conn))
        if not yes:
            _confirm_discard(conn, wanted)
        count = discard(conn, wanted, settings)
    print(f"{counted(count, 'dead letter')} discarded")
    is_typo = not count and selection.is_limited
    return NOTHING_FOUND if missing or is_typo else DONE


def _confirm_discard(conn: Connection, wanted: Filter) -> None:
    """Show how many dead letters are selected, by topic and reason, and ask."""
    reasons = dead_letter_queries.by_reason(conn, wanted, limit=_REASONS)
    if not reasons:
        return
    rows = ((each.topic, f"{each.letters:,}", cut(each.reason)) for each in reasons)
    sys.stderr.write(table(("topic", "dead letters", "reason"), rows) + "\n")
    total, others = reasons[0].all_letters, reasons[0].all_reasons - len(reasons)
    if others:
        shown = sum(each.letters for each in reasons)
        sys.stderr.write(f"and {total - shown:,} more with {counted(others, 'other reason')}\n")
    confirm(f"delete {counted(total, 'dead letter')} permanently")


def _connect(settings: Settings) -> Connection:
    """A session that waits for another session's retry for as long as a statement may take."""
    return open_view(settings.model_copy(update={"lock_timeout_ms": settings.statement_timeout_ms}))


def _require_one_selection(
    selection: Selection, select_all: bool, partition: int | None, offsets: Sequence[int]
) -> None:
    """Raises UsageError unless either places are named, or options select."""
    by_options = select_all or selection.every_topic or selection.is_limited
    if by_options != (partition is None):
        raise click.UsageError(
            "give either --all, --every-topic, --reason, --field, --older-than or --newer-than, or a PARTITION and "
            "OFFSETs in it"
        )
    if partition is not None and not offsets:
        raise click.UsageError("give at least one OFFSET after the PARTITION")


def _selected(
    conn: Connection, settings: Settings, selection: Selection, partition: int | None, offsets: Sequence[int]
) -> tuple[Filter, list[int]]:
    """The selection, and the named offsets without a dead letter, which a note on standard error names."""
    if partition is None:
        return selection.filter(conn, settings), []
    wanted = Filter(settings.topic, partition, list(offsets))
    missing = sorted(set(offsets) - dead_letter_queries.offsets(conn, wanted))
    if missing:
        named = ", ".join(map(str, missing))
        note(f"there is no dead letter at offset {named} of partition {partition} of topic {settings.topic}")
    return wanted, missing


def _print_retried(outcomes: Outcomes) -> None:
    print_outcomes({outcome: count for outcome, count in outcomes.items() if outcome is not Outcome.DEAD_LETTER})
    remaining = outcomes[Outcome.DEAD_LETTER]
    print(f"retried {outcomes.total():,}: {outcomes.total() - remaining:,} projected, {remaining:,} failed again")
