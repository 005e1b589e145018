"""Sizes and seeds of the fault tests: the same tests run short (`make test`) and long (`make faults`).

The seed is part of the name of each test that uses random numbers, `test_…[seed-7]`: `make faults ARGS='--seed 7'`
repeats it.
"""

import random
from typing import NamedTuple

import pytest

DEFAULT_SEED = 11
"""The seed of short runs, always the same: a failure is then due to the last change."""

_MEASURED: list[str] = []


class Repetition(NamedTuple):
    """The size and the seed of one run of a test; `times` is the option --rounds."""

    seed: int
    is_long: bool
    times: int | None

    def pick(self, short: int, long: int) -> int:
        """Return the first number in a short run, the second in a long one."""
        return long if self.is_long else short

    def repeats(self, short: int, long: int) -> int:
        """Return the number of repetitions: the option --rounds, or one of these two."""
        return self.times or self.pick(short, long)

    def report(self, measured: str) -> None:
        """Print a measured figure at the end of the run."""
        _MEASURED.append(measured)

    def rng(self) -> random.Random:
        """Return a random generator with this seed."""
        return random.Random(self.seed)


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults")
    faults.addoption("--long", action="store_true", help="run the fault tests in their long sizes")
    faults.addoption("--seed", type=int, help="seed of the fault tests (default: fixed, with --long a new one per run)")
    faults.addoption("--rounds", type=int, help="number of repetitions of each repeated fault")


def pytest_configure(config: pytest.Config) -> None:
    """Choose one seed for the whole run, so that one number repeats it."""
    if config.option.seed is None:
        config.option.seed = random.randrange(10**6) if config.option.long else DEFAULT_SEED


def pytest_report_header(config: pytest.Config) -> str:
    size = "long" if config.option.long else "short"
    return f"faults: {size} sizes, seed {config.option.seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for measured in _MEASURED:
        terminalreporter.write_line(f"measured: {measured}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put the seed into the name of the test, which pytest prints."""
    if "repetition" in metafunc.fixturenames:
        option = metafunc.config.option
        repetition = Repetition(option.seed, option.long, option.rounds)
        metafunc.parametrize("repetition", [repetition], ids=[f"seed-{repetition.seed}"])
