"""Whether the screen is true, in sentences: how far the view is behind, and what needs a person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from projector.postgres.passes import FinishedPass
from projector.postgres.views_overview import Leftovers
from projector.texts import counted, duration, plural
from projector.view_state import Finding, State, oldest_seconds, total_lag
from projector.web.reader import TopicView
from projector.web.refreshed import Snapshot

_FEED_IDLE_SECONDS = 600.0
_OLD_SECONDS = 30.0
_SWEEPER_LATE = 5
_PROOF_SECONDS = 36 * 3_600.0


class Level(StrEnum):
    """How a sentence is to be read."""

    GOOD = "good"
    NOTE = "note"
    WARNING = "warning"
    BAD = "bad"


class Sentence(NamedTuple):
    """One sentence. `command`: what an operator may type about it. `detail`: the error behind it."""

    level: Level
    text: str
    command: str | None = None
    detail: str | None = None


class Facts(NamedTuple):
    """What the sentences are made of. `now` is Postgres' clock."""

    now: datetime
    topic: Snapshot[TopicView]
    passes: Mapping[str, FinishedPass]
    in_flight: int
    leftovers: Leftovers
    sweep_interval_seconds: float


def condition(facts: Facts) -> list[Sentence]:
    """All sentences, in the order in which an operator needs them."""
    return [*_view(facts), *_feed(facts), *_sweeper(facts), *_push(facts), *_proof(facts), *_leftovers(facts)]


def _view(facts: Facts) -> Iterator[Sentence]:
    topic, at, error = facts.topic
    if topic is None or at is None:
        yield Sentence(Level.WARNING, "The topic was not read yet.", "projector status", error)
        return
    age = (facts.now - at).total_seconds()
    if error or age > _OLD_SECONDS:
        yield Sentence(
            Level.BAD, f"The state of the topic is {duration(max(age, 0.0))} old.", "projector status", error
        )
    yield from (_follows(topic, found) for found in topic.findings)


def _follows(topic: TopicView, found: Finding) -> Sentence:
    command: str | None = "projector status"
    match found.state:
        case State.UNKNOWN if topic.kafka_error:
            what = "Kafka does not answer" if topic.is_kafka_silent else "The topic cannot be read"
            text = f"{what}, so the lag is unknown."
        case State.UNKNOWN:
            text = "The lag of some partitions is unknown."
        case State.GAP | State.STANDS_STILL:
            text = _stands(found.partitions, "at a gap of the log" if found.state is State.GAP else "still")
        case State.NO_MEMBER:
            text, command = "No member runs: nothing is projected.", "projector run"
        case State.UP_TO_DATE:
            text, command = "The view has every record of the log.", None
        case State.BEHIND:
            lag, seconds = total_lag(topic.partitions) or 0, oldest_seconds(topic.partitions)
            text, command = f"The view is {duration(seconds)} behind the log ({counted(lag, 'record')}).", None
    return Sentence(Level.GOOD if found.is_good else Level.BAD, text, command, topic.kafka_error)


def _stands(partitions: Sequence[int], how: str) -> str:
    number = len(partitions)
    return f"{plural(number, 'Partition')} {', '.join(map(str, partitions))} {plural(number, 'stands', 'stand')} {how}."


def _feed(facts: Facts) -> Iterator[Sentence]:
    topic = facts.topic.value
    times = [each.record_at for each in topic.partitions if each.record_at] if topic else []
    if times:
        idle = max((facts.now - max(times)).total_seconds(), 0.0)
        level = Level.WARNING if idle > _FEED_IDLE_SECONDS and facts.in_flight else Level.GOOD
        yield Sentence(level, f"The last record is {duration(idle)} old.")


def _sweeper(facts: Facts) -> Iterator[Sentence]:
    last = facts.passes.get("sweep")
    if last is None:
        yield Sentence(Level.NOTE, "The sweeper has not run.", "projector sweep --once --dry-run")
        return
    age = max((facts.now - last.ended_at).total_seconds(), 0.0)
    late = age > _SWEEPER_LATE * facts.sweep_interval_seconds
    skipped, held = last.result.get("skipped"), last.result.get("held")
    ending = f", but skipped: {skipped}" if skipped else f", and held back {counted(held, 'verdict')}" if held else ""
    level = Level.WARNING if late or skipped or held else Level.GOOD
    yield Sentence(level, f"The sweeper passed {duration(age)} ago{ending}.", "projector sweep --once --dry-run")


def _push(facts: Facts) -> Iterator[Sentence]:
    if facts.leftovers.unsent is None:
        yield Sentence(Level.NOTE, "Results are not pushed.")
        return
    if facts.leftovers.given_up:
        yield Sentence(
            Level.WARNING,
            f"{counted(facts.leftovers.given_up, 'result')} given up.",
            "projector push list --state given_up",
        )
    level = Level.WARNING if facts.leftovers.unsent else Level.GOOD
    text = f"{counted(facts.leftovers.unsent, 'result')} unsent for over a minute."
    yield Sentence(level, text, "projector push list")


def _proof(facts: Facts) -> Iterator[Sentence]:
    last, proved = facts.passes.get("verify"), facts.passes.get("proved")
    if last and (drift := last.result.get("drift")) and not (proved and proved.ended_at > last.ended_at):
        age = max((facts.now - last.ended_at).total_seconds(), 0.0)
        text = f"{counted(drift, 'row')} differed from the log {duration(age)} ago."
        yield Sentence(Level.BAD, text, "projector rebuild --dry-run")
    elif proved:
        age = max((facts.now - proved.ended_at).total_seconds(), 0.0)
        level = Level.WARNING if age > _PROOF_SECONDS else Level.GOOD
        yield Sentence(level, f"The view was last proved equal to the log {duration(age)} ago.", "projector verify")
    else:
        yield Sentence(Level.NOTE, "The view was not compared with the log yet.", "projector verify")


def _leftovers(facts: Facts) -> Iterator[Sentence]:
    if facts.leftovers.dead_letters:
        yield Sentence(
            Level.WARNING,
            f"{counted(facts.leftovers.dead_letters, 'dead letter')} kept.",
            "projector dead-letters list",
        )
    if facts.leftovers.parked:
        yield Sentence(Level.NOTE, f"{counted(facts.leftovers.parked, 'event')} parked.", "projector parked list")
