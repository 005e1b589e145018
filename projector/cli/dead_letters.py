"""`projector dead-letters`: lists, shows, retries and discards the records that could not be read or written."""

import json
from collections.abc import Sequence

import click

from projector.cli.exit_codes import DONE
from projector.cli.output import as_json, columns, confirm, escape, outcomes_as_json, print_outcomes, when
from projector.domain.outcomes import Outcome
from projector.errors import ProjectorError
from projector.postgres import queries
from projector.postgres.connection import Connection, open_view
from projector.postgres.dead_letters import Filter
from projector.postgres.queries import DeadLetterDetail, DeadLetterSummary
from projector.postgres.write_batch import prepare
from projector.projection.dead_letters import discard, retry
from projector.projection.transaction import Outcomes
from projector.recordings.file import text_or_base64
from projector.settings import Settings


def list_latest(settings: Settings, topic: str | None, limit: int, partition: int | None, json_output: bool) -> int:
    """Print the latest dead letters, of all topics unless `topic` names one."""
    with _connect(settings) as conn:
        letters = queries.dead_letters(conn, topic=topic, partition=partition, limit=limit)
        total = queries.count_dead_letters(conn, Filter(topic, partition))
    if json_output:
        print(json.dumps({"total": total, "dead_letters": [as_json(letter) for letter in letters]}))
    else:
        _print_list(letters, total)
    return DONE


def show(settings: Settings, partition: int, offset: int, json_output: bool) -> int:
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
        _print_detail(letter)
    return DONE


def retry_selected(
    settings: Settings,
    topic: str | None,
    select_all: bool,
    partition: int | None,
    offsets: Sequence[int],
    json_output: bool,
) -> int:
    """Project the selected dead letters again, and print their outcomes."""
    selected = _selected(settings, topic, select_all, partition, offsets)
    with _connect(settings) as conn:
        prepare(conn)
        outcomes = retry(conn, selected, settings)
    if json_output:
        print(json.dumps({"records": outcomes.total(), "outcomes": outcomes_as_json(outcomes)}))
    else:
        _print_retried(outcomes)
    return _exit_code(outcomes.total(), select_all)


def discard_selected(
    settings: Settings, topic: str | None, select_all: bool, partition: int | None, offsets: Sequence[int], yes: bool
) -> int:
    """Delete the selected dead letters. Ask first."""
    selected = _selected(settings, topic, select_all, partition, offsets)
    with _connect(settings) as conn:
        if not yes:
            confirm(f"delete {queries.count_dead_letters(conn, selected):,} dead letters for good")
        count = discard(conn, selected, settings)
    print(f"{count:,} dead letters discarded")
    return _exit_code(count, select_all)


def _connect(settings: Settings) -> Connection:
    """A session that waits for another session's retry for as long as a statement may take."""
    return open_view(settings.model_copy(update={"lock_timeout_ms": settings.statement_timeout_ms}))


def _selected(
    settings: Settings, topic: str | None, select_all: bool, partition: int | None, offsets: Sequence[int]
) -> Filter:
    if select_all != (partition is None):
        raise click.UsageError("give either --all, or a PARTITION and OFFSETs in it")
    if select_all:
        return Filter(topic=topic)
    if not offsets:
        raise click.UsageError("give at least one OFFSET after the PARTITION")
    return Filter(settings.topic, partition, list(offsets))


def _exit_code(count: int, select_all: bool) -> int:
    """Raise if offsets were given and none of them has a dead letter."""
    if count or select_all:
        return DONE
    raise ProjectorError("there is no dead letter at any of these offsets")


def _print_list(letters: list[DeadLetterSummary], total: int) -> None:
    if not letters:
        print("there are no dead letters")
        return
    rows = (
        (when(letter.died_at), letter.topic, str(letter.partition), str(letter.offset), letter.reason)
        for letter in letters
    )
    print(columns(("failed at (UTC)", "topic", "partition", "offset", "reason"), rows))
    if total > len(letters):
        print(f"\n{len(letters):,} of {total:,}: --limit shows more")


def _print_detail(letter: DeadLetterDetail) -> None:
    print(f"place      {escape(letter.topic)}, partition {letter.partition}, offset {letter.offset}")
    print(f"recorded   {when(letter.record_at) or 'no time, or one that Postgres cannot hold'}")
    print(f"failed     {when(letter.died_at)}")
    print(f"reason     {escape(letter.reason)}")
    print(f"field      {letter.field or 'none in particular'}")
    for name, content in (("key", letter.key), ("value", letter.value)):
        ((label, text),) = text_or_base64(name, content).items()
        print(f"{label.replace('_', ' '):10} {'null' if text is None else escape(text, keep=chr(10) + chr(9))}")


def _print_retried(outcomes: Outcomes) -> None:
    print_outcomes({outcome: count for outcome, count in outcomes.items() if outcome is not Outcome.DEAD_LETTER})
    remaining = outcomes[Outcome.DEAD_LETTER]
    print(f"{outcomes.total():,} dead letters retried, {outcomes.total() - remaining:,} resolved, {remaining:,} failed")
