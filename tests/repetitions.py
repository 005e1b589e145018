"""How hard faults are played, and from which seed: the same tests in short rounds (`make test`) and in long ones.

The seed stands in the name of each test that plays by chance, `test_…[seed-7]`: `make faults ARGS='--seed 7'` plays it.
"""

import random
from typing import NamedTuple

import pytest

EVERY_TIME = 11
"""The seed of short rounds: who changes a line wants to hear of that line."""

_MEASURED: list[str] = []


class Round(NamedTuple):
    """One round of a test: its size, and where its chances come from."""

    seed: int
    is_long: bool
    times: int | None

    def of(self, short: int, long: int) -> int:
        """So many in a short round, and so many in a long one."""
        return long if self.is_long else short

    def repeats(self, short: int, long: int) -> int:
        """As `of`, unless the command line says how often."""
        return self.times or self.of(short, long)

    def note(self, measured: str) -> None:
        """For whoever reads what was measured: told at the end."""
        _MEASURED.append(measured)

    def chances(self) -> random.Random:
        """Equal for equal seeds."""
        return random.Random(self.seed)


def pytest_addoption(parser: pytest.Parser) -> None:
    faults = parser.getgroup("faults")
    faults.addoption("--long", action="store_true", help="play the faults in long rounds")
    faults.addoption("--seed", type=int, help="play the faults from this seed; long rounds have another each time")
    faults.addoption("--rounds", type=int, help="how often each fault that is repeated is played")


def pytest_configure(config: pytest.Config) -> None:
    """One seed for the whole run, so that one number replays it."""
    if config.option.seed is None:
        config.option.seed = random.randrange(10**6) if config.option.long else EVERY_TIME


def pytest_report_header(config: pytest.Config) -> str:
    size = "long" if config.option.long else "short"
    return f"faults: {size} rounds from seed {config.option.seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for measured in _MEASURED:
        terminalreporter.write_line(f"measured: {measured}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Into the test's name, which is told at its start, at its end, and where it fails."""
    if "chance" in metafunc.fixturenames:
        option = metafunc.config.option
        chance = Round(option.seed, option.long, option.rounds)
        metafunc.parametrize("chance", [chance], ids=[f"seed-{chance.seed}"])
