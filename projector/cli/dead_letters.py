"""`projector dead-letters`: records that could not be read or written; look at them, try again, or give them up."""

import argparse
import json
import sys
from typing import Any

from projector.cli.output import as_json, columns, escape, when
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

_ABOUT = """\
A record that cannot be read, or that Postgres refuses, is kept whole with the reason; the records around it go on.
Mend the cause, then `retry`; or `discard` what nobody will miss. Give --topic for records of another topic than
PROJECTOR_TOPIC, such as those of a replayed file, whose name is their topic where a line was no record.
"""

_RETRY = """\
Projects the kept bytes once more, in order of topic, partition and offset. What is no dead letter any more leaves the
list in the same transaction; what still is one stays, with its new reason. No position moves. Several at once are
safe, and after an interruption it is simply run again.
"""


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser("dead-letters", help="records that could not be read", description=_ABOUT)
    ways = parser.add_subparsers(required=True, metavar="list | show | retry | discard")
    for name, command, about in (
        ("list", _list, "the latest, newest first, of every topic unless --topic names one"),
        ("show", _show, "one of them whole: the reason, the field at fault, and the record as it came"),
        ("retry", _retry, "project them once more"),
        ("discard", _discard, "delete them for good"),
    ):
        more = _RETRY if name == "retry" else about.capitalize() + "."
        way = ways.add_parser(name, parents=[settings], help=about, description=more)
        way.set_defaults(command=command, parser=way)
        if name == "list":
            way.add_argument("--limit", metavar="N", type=int, default=50, help="at most so many (50)")
            way.add_argument("--partition", metavar="P", type=int, help="of this partition alone")
        elif name == "show":
            way.add_argument("partition", metavar="PARTITION", type=int)
            way.add_argument("offset", metavar="OFFSET", type=int)
        else:
            _add_places(way)
        if name == "discard":
            way.add_argument("--yes", action="store_true", help="do not ask")
        else:
            way.add_argument("--json", action="store_true", help="print one object of JSON instead")


def _add_places(way: argparse.ArgumentParser) -> None:
    way.add_argument("--all", action="store_true", help="all of them, or with --topic all of that topic")
    way.add_argument("partition", metavar="PARTITION", nargs="?", type=int, help="or those of this partition …")
    way.add_argument("offsets", metavar="OFFSET", nargs="*", type=int, help="… that are at these offsets")


def _connect(settings: Settings) -> Connection:
    """A session that waits for another's retry as long as a statement may take."""
    return open_view(settings.model_copy(update={"lock_timeout_ms": settings.statement_timeout_ms}))


def _wanted(settings: Settings, arguments: argparse.Namespace) -> Filter:
    """Which ones the arguments mean; a mistake in them is told as argparse tells its own, exit code 2."""
    if arguments.all != (arguments.partition is None):
        arguments.parser.error("give either --all, or a PARTITION and OFFSETs in it")
    if arguments.all:
        return Filter(topic=arguments.topic)
    if not arguments.offsets:
        arguments.parser.error("give at least one OFFSET behind the PARTITION")
    return Filter(settings.topic, arguments.partition, arguments.offsets)


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    with _connect(settings) as conn:
        wanted = {"topic": arguments.topic, "partition": arguments.partition}
        letters = queries.dead_letters(conn, **wanted, limit=arguments.limit)
        total = queries.count_dead_letters(conn, **wanted)
    if arguments.json:
        print(json.dumps({"total": total, "dead_letters": [as_json(letter) for letter in letters]}))
    else:
        _print_list(letters, total)
    return 0


def _print_list(letters: list[DeadLetterSummary], total: int) -> None:
    if not letters:
        print("there are no dead letters")
        return
    rows = ((when(each.died_at), each.topic, str(each.partition), str(each.offset), each.reason) for each in letters)
    print(columns(("died at (UTC)", "topic", "partition", "offset", "reason"), rows))
    if total > len(letters):
        print(f"\n{len(letters):,} of {total:,}: --limit shows more")


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    with _connect(settings) as conn:
        letter = queries.dead_letter(conn, topic=settings.topic, partition=arguments.partition, offset=arguments.offset)
    if letter is None:
        place = f"offset {arguments.offset} of partition {arguments.partition} of topic {settings.topic}"
        raise ProjectorError(f"there is no dead letter at {place}")
    if arguments.json:
        held = {name: value for name, value in as_json(letter).items() if name not in ("key", "value")}
        print(json.dumps({**held, **text_or_base64("key", letter.key), **text_or_base64("value", letter.value)}))
    else:
        _print_whole(letter)
    return 0


def _print_whole(letter: DeadLetterDetail) -> None:
    print(f"place      {escape(letter.topic)}, partition {letter.partition}, offset {letter.offset}")
    print(f"recorded   {when(letter.record_at) or 'no time, or one that Postgres cannot hold'}")
    print(f"died       {when(letter.died_at)}")
    print(f"reason     {escape(letter.reason)}")
    print(f"field      {letter.field or 'none in particular'}")
    for name, content in (("key", letter.key), ("value", letter.value)):
        ((held, text),) = text_or_base64(name, content).items()
        print(f"{held.replace('_', ' '):10} {'null' if text is None else escape(text, keep=chr(10) + chr(9))}")


def _retry(settings: Settings, arguments: argparse.Namespace) -> int:
    wanted = _wanted(settings, arguments)
    with _connect(settings) as conn:
        prepare(conn)
        outcomes = retry(conn, wanted, settings)
    counts = {str(outcome): outcomes[outcome] for outcome in Outcome}
    if arguments.json:
        print(json.dumps({"records": outcomes.total(), "outcomes": counts}))
    else:
        _print_outcomes(outcomes)
    return _found(outcomes.total(), arguments)


def _print_outcomes(outcomes: Outcomes) -> None:
    for outcome in Outcome:
        if outcomes[outcome] and outcome is not Outcome.DEAD_LETTER:
            print(f"{outcome:14}{outcomes[outcome]:12,}")
    still = outcomes[Outcome.DEAD_LETTER]
    print(f"{outcomes.total():,} dead letters retried, {outcomes.total() - still:,} gone, {still:,} still dead")


def _discard(settings: Settings, arguments: argparse.Namespace) -> int:
    wanted = _wanted(settings, arguments)
    with _connect(settings) as conn:
        if not arguments.yes:
            _ask(queries.count_dead_letters(conn, **wanted._asdict()))
        count = discard(conn, wanted, settings)
    print(f"{count:,} dead letters discarded")
    return _found(count, arguments)


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise ProjectorError(f"this would delete {count:,} dead letters for good: add --yes to do it")
    if input(f"This deletes {count:,} dead letters for good. Type yes to go on: ").strip() != "yes":
        raise ProjectorError("nothing was discarded")


def _found(count: int, arguments: argparse.Namespace) -> int:
    """1 where places were named and no dead letter was at any of them."""
    if count or arguments.all:
        return 0
    raise ProjectorError("there is no dead letter at any of these places")
