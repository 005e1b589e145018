"""The quick part: does the projector need more processor time per record than it did? No Kafka, no Postgres.

The product decodes, translates and folds a small recording, in batches as a producer makes them. A fixed loop of pure
Python cuts the same bytes, so that neighbours of this process on the machine slow down both alike. They run in turns,
in slices of many short runs. The median of the runs is a slice's time, and the best slice of each counts. Their ratio
is compared with the one in quick.json, which depends on Python's version and on the record decoder.
"""

import json
import statistics
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from kafka.record.memory_records import MemoryRecordsBuilder
from rich.console import Console

from benchmarks.recording import generate
from projector.domain.fold import WorkingSet, translate_batch
from projector.kafka import record_decoder
from projector.kafka.record_decoder import Decoder, split
from projector.process.memory import tune_memory

STORED = Path(__file__).with_suffix(".json")
STORE = "make bench ARGS='quick --store'"
WARN_ABOVE, FAIL_ABOVE = 0.10, 0.20
SLICES, RUNS = 7, 20
RECORDS, _BATCH = 1_000, 100


def main(arguments: Namespace, console: Console, _: Path) -> None:
    """Measure, print the ratio, and compare it, or store it with --store. Exits if it is too large."""
    ratio, stored = measured(), json.loads(STORED.read_text()) if STORED.exists() else {}
    if arguments.store:
        STORED.write_text(json.dumps(stored | {_key(): ratio}, indent=2, sort_keys=True) + "\n")
        console.print(f"stored {ratio} for {_key()}")
        return
    sentence, is_failure = judge(ratio, stored.get(_key()))
    if is_failure:
        sys.exit(sentence)
    console.print(sentence, soft_wrap=True)


def judge(ratio: float, stored: float | None) -> tuple[str, bool]:
    """Return what to say about a ratio, and whether it is a failure."""
    if stored is None:
        return f"the ratio is {ratio}, and none is stored for {_key()}. Store it: {STORE}", False
    change = ratio / stored - 1
    compared = f"the ratio is {ratio}, stored is {stored} ({change:+.0%})"
    if change <= WARN_ABOVE:
        return f"{compared}: ok", False
    is_failure = change > FAIL_ABOVE
    advice = f"Run it again. If it stays, `make profile` shows where the time goes. To accept it: {STORE}"
    return f"{'FAILED' if is_failure else 'WARNING'}: {compared}. {advice}", is_failure


def measured() -> float:
    """Return processor time of the product / of the loop."""
    tune_memory()
    batches = _batches()
    return round(best_ratio(partial(_project, batches), partial(_loop, batches)), 3)


def best_ratio(
    product: Callable[[], None], loop: Callable[[], None], clock: Callable[[], float] = time.process_time
) -> float:
    """Return the ratio of the best slices of both."""
    ours, loops = zip(*(_slice(product, loop, clock) for _ in range(SLICES)), strict=True)
    return float(min(ours) / min(loops))


def _slice(product: Callable[[], None], loop: Callable[[], None], clock: Callable[[], float]) -> tuple[float, float]:
    ours, loops = [], []
    for _ in range(RUNS):
        began_at = clock()
        product()
        between = clock()
        loop()
        ours.append(between - began_at)
        loops.append(clock() - between)
    return statistics.median(ours), statistics.median(loops)


def _key() -> str:
    decoder = "plain" if record_decoder._compiled is None else "compiled"
    return f"Python {sys.version_info.major}.{sys.version_info.minor}, {decoder} decoder"


def _batches() -> list[bytes]:
    """The recording as bytes of record batches, made by the client's own builder."""
    log, batches = generate(RECORDS), []
    for offset in range(0, RECORDS, _BATCH):
        builder: Any = MemoryRecordsBuilder(2, 0, 16_000_000, offset=offset)
        for record in islice(log, _BATCH):
            builder.append(record.timestamp, record.key, record.value)
        builder.close()
        batches.append(bytes(builder.buffer()))
    return batches


def _project(batches: list[bytes]) -> None:
    decoder, view, count = Decoder("quick", 0), WorkingSet(), 0
    for data in batches:
        for batch in split(data):
            assert batch.has_valid_checksum()
            records = decoder.records(batch)
            count += len(records)
            for record, translation in translate_batch(records).records:
                view.apply(record, translation)
    assert count == RECORDS
    assert view.changes().inserted


def _loop(batches: list[bytes]) -> None:
    for data in batches:
        fields = []
        for part in data.split(b","):
            name, _, value = part.partition(b":")
            fields.append((name, value, len(value)))
        assert {name: rest for name, *rest in fields}
