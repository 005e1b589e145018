"""What agents do: stories that a platform tells to its table."""

import base64
import random

from platform_script import Platform


def incompressible(size: int) -> str:
    """A text of this size that Postgres cannot make smaller: from some 2,000 characters it is stored out of line."""
    return base64.b64encode(random.Random(size).randbytes(size))[:size].decode()


def tells_old_rows(platform: Platform) -> None:
    """What a snapshot finds: rows as they stand in the end, in any order."""
    for delegation in ("old-done", "old-failed", "old-apart", "old-waiting", "old-moving"):
        platform.asks(delegation, task=incompressible(5_000))
    platform.becomes("old-done", "dispatched")
    platform.becomes("old-done", "completed", text="an old answer")
    platform.becomes("old-failed", "failed", error="an old error")
    platform.answers("old-apart", "an old answer in a row of its own")
    platform.beats("old-waiting")
    platform.becomes("old-moving", "dispatched")


def tells_large(platform: Platform, size: int) -> None:
    """Rows of this size, each changed again while its body stays."""
    text = incompressible(size)
    platform.asks(f"done-{size}", task=text)
    platform.becomes(f"done-{size}", "dispatched")
    beat = platform.beats(f"done-{size}", progress=text)
    platform.beats_in_place(f"done-{size}", beat)
    platform.becomes(f"done-{size}", "completed", text=text)
    platform.touches_request(f"done-{size}")
    platform.asks(f"failed-{size}", task=text)
    platform.becomes(f"failed-{size}", "failed", error=text)
    platform.asks(f"apart-{size}")
    platform.touches(platform.answers(f"apart-{size}", text))


def answers_in_two_steps(platform: Platform, name: str, text: str, *, told: str | None) -> None:
    """First the body, then the status; `told` is the body as the feed has it with the second."""
    platform.asks(f"{name}-in-two-steps")
    platform.becomes(f"{name}-in-two-steps", "dispatched")
    platform.drafts(f"{name}-in-two-steps", text)
    platform.sends_draft(f"{name}-in-two-steps", told)


def tells_everything(platform: Platform, name: str) -> None:
    """One delegation of each kind that a stream can tell of."""
    platform.asks(f"{name}-done", task="")
    platform.becomes(f"{name}-done", "dispatched")
    platform.beats(f"{name}-done")
    platform.becomes(f"{name}-done", "in_progress")
    platform.becomes(f"{name}-done", "completed", text="42 🎈")
    platform.fails_too_late(f"{name}-done")
    platform.asks(f"{name}-failed", task=incompressible(10_000))
    platform.becomes(f"{name}-failed", "failed", error="target unreachable")
    platform.asks(f"{name}-answered-apart")
    platform.answers(f"{name}-answered-apart", "an answer in a row of its own")
    platform.answers_before_it_is_asked(f"{name}-answered-first", "as expected")
    platform.asks(f"{name}-retried", key=f"key-{name}")
    platform.asks_again(f"{name}-again", instead_of=f"{name}-retried")
    platform.asks(f"{name}-waiting")
    platform.beats(f"{name}-waiting")
