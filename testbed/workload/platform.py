"""A platform that plays delegations into its table `activity_logs`, at once or in a thread that can be paused."""

import heapq
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from testbed.workload.acting import Act, Delegated
from testbed.workload.table import ActivityTable
from testbed.workload.texts import new_uuid


class _Scheduled(NamedTuple):
    """The next step of an act; `at` in the seconds that the platform has been playing."""

    at: float
    number: int
    steps: Iterator[float]


class Platform:
    """`played` has every delegation that was begun. One thread at a time plays."""

    def __init__(self, url: str, *, seed: int = 7, workspaces: int = 20) -> None:
        self.table = ActivityTable(url)
        self.played: list[Delegated] = []
        self._rng = random.Random(seed)
        self._workspaces = [new_uuid(self._rng) for _ in range(workspaces)]
        self._thread: threading.Thread | None = None
        self._failed: list[BaseException] = []
        self._ended, self._playing = threading.Event(), threading.Event()
        self._playing.set()

    def create(self, *, replica_identity_full: bool = False) -> None:
        """Create the tables and the workspaces."""
        self.table.create(replica_identity_full=replica_identity_full)
        self.table.add_workspaces(self._workspaces)

    def delegate(self, act: Act, *, own_caller: bool = False) -> Delegated:
        """Choose the caller of a delegation, and a callee of its own: nobody is kept alive by what it does elsewhere.

        With `own_caller`, the caller has no other delegation either.
        """
        delegated = self._new(act, own_caller=own_caller)
        self.table.add_workspaces([delegated.caller, delegated.callee])
        self.played.append(delegated)
        return delegated

    def _new(self, act: Act, *, own_caller: bool) -> Delegated:
        caller = new_uuid(self._rng) if own_caller else self._rng.choice(self._workspaces)
        return Delegated(self.table, self._rng, caller, new_uuid(self._rng), act)

    def play(self, act: Act, count: int = 1, *, own_caller: bool = False) -> list[Delegated]:
        """Play delegations from beginning to end at once, without their waits."""
        begun = [self.delegate(act, own_caller=own_caller) for _ in range(count)]
        for delegated in begun:
            for _ in act(delegated):
                pass
        return begun

    def start(self, acts: dict[Act, float], *, delegations: int, per_second: float, together: int = 1) -> None:
        """Play this many delegations in a thread, with their waits; `acts` have weights.

        At most `together` steps that are due at once are written in one transaction.
        """
        if together > 1:  # more callers: else the inboxes and histories of a few of them would be very large
            more = [new_uuid(self._rng) for _ in range(delegations // 20)]
            self.table.add_workspaces(more)
            self._workspaces += more
        self._ended.clear()
        self._thread = threading.Thread(target=self._run, args=(acts, delegations, per_second, together))
        self._thread.start()

    def pause(self) -> None:
        """Go away: nothing is written until `resume`."""
        self._playing.clear()

    def resume(self) -> None:
        self._playing.set()

    @property
    def is_done(self) -> bool:
        """Whether every delegation was played to its end."""
        return self._thread is not None and not self._thread.is_alive()

    def join(self) -> None:
        """Block until every delegation is played; raises what went wrong in the thread."""
        assert self._thread is not None
        self._thread.join()
        if self._failed:
            raise self._failed[0]

    def stop(self) -> None:
        """End it in any state, and close its connection."""
        self._ended.set()
        self._playing.set()
        self.table.close()
        if self._thread is not None:
            self._thread.join()

    def of(self, act: Act) -> list[Delegated]:
        """Return the delegations that this act played."""
        return [delegated for delegated in self.played if delegated.act is act]

    def acts(self) -> Counter[str]:
        """Return how often each act was played."""
        return Counter(delegated.act.__name__ for delegated in self.played)

    def _run(self, acts: dict[Act, float], delegations: int, per_second: float, together: int) -> None:
        try:
            self._play_all(acts, delegations, per_second, together)
        except BaseException as error:
            if not self._ended.is_set():
                self._failed.append(error)

    def _play_all(self, acts: dict[Act, float], delegations: int, per_second: float, together: int) -> None:
        first = itertools.islice(itertools.chain(acts, self._weighted(acts)), delegations)  # each at least once
        begun = [self._new(act, own_caller=act.__name__ == "loses_its_caller") for act in first]
        self.table.add_workspaces({person for each in begun for person in (each.caller, each.callee)})
        self.played += begun
        scheduled = [_Scheduled(number / per_second, number, each.act(each)) for number, each in enumerate(begun)]
        started = time.monotonic()
        while scheduled and not self._ended.is_set():
            paused_at = time.monotonic()
            self._playing.wait()
            started += time.monotonic() - paused_at
            now = time.monotonic() - started
            if scheduled[0].at > now:
                self._ended.wait(min(scheduled[0].at - now, 0.05))  # not longer: it may be paused meanwhile
            elif together == 1:
                self._step(scheduled)
            else:
                with self.table.gathering():
                    for _ in range(together):
                        if scheduled and scheduled[0].at <= now:
                            self._step(scheduled)

    def _step(self, scheduled: list[_Scheduled]) -> None:
        """Play the next step."""
        due = heapq.heappop(scheduled)
        wait = next(due.steps, None)
        if wait is not None:
            heapq.heappush(scheduled, due._replace(at=due.at + wait))

    def _weighted(self, acts: dict[Act, float]) -> Iterator[Act]:
        weights = list(itertools.accumulate(acts.values()))
        while True:
            yield self._rng.choices(list(acts), cum_weights=weights)[0]
