"""Random texts, ids and times, some of them with unusual characters."""

import random
import uuid
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WORDS = (
    "please summarise the quarterly report list open points compare prices draft an answer for the customer check "
    "tests review pull request translate into French find three sources book a room collect metrics explain regression "
    "Grüße aus Köln 日本語の要約 réviser café naïve 🚀 👩‍👩‍👧‍👦 Ω≈ç √ “quoted” back\\slash new\nline tab\t"
)
UNUSUAL = [
    "\x00",
    "\ud800",
    "\udfff",
    "\ud83d ",
    "\u2028",
    "\u202ertl\u202c",
    "\x1b[31m",
    "{}",
    "'; DROP TABLE",
    "e\u0301",
]


def _corpus() -> str:
    rng, words = random.Random(1), WORDS.split(" ")
    return " ".join(rng.choice(words) for _ in range(20_000))


CORPUS = _corpus()


def text(rng: random.Random, shortest: int, longest: int) -> str:
    """Return a text; lengths are in characters."""
    length = rng.randint(shortest, longest)
    begin = int(rng.random() * (len(CORPUS) - length))
    return CORPUS[begin : begin + length]


def unusual_text(rng: random.Random) -> str:
    """Return a text with characters that are difficult for Postgres, JSON or a terminal."""
    return "".join(text(rng, 3, 60) + rng.choice(UNUSUAL) for _ in range(rng.randint(1, 6)))


def task(rng: random.Random) -> str:
    """Return a task: mostly short, sometimes long, rarely longer than a preview."""
    dice = rng.random()
    if dice < 0.70:
        return text(rng, 20, 400)
    if dice < 0.97:
        return text(rng, 400, 3000)
    return unusual_text(rng) if dice < 0.99 else text(rng, 4000, 9000)


def new_uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def micros(ms: int) -> int:
    """Return a time within this millisecond, in µs."""
    return ms * 1000 + ms * 7919 % 1000


def iso(ms: int) -> str:
    """Format a time as a change feed does: six decimals, UTC."""
    return (EPOCH + timedelta(microseconds=micros(ms))).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
