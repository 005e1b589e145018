"""Scenarios: sequences of changes that the simulated platform writes to its table."""

import base64
import random

from platform_script import Platform


def incompressible(size: int) -> str:
    """Return a text that Postgres cannot compress: from about 2,000 characters on it stores it out of line."""
    return base64.b64encode(random.Random(size).randbytes(size))[:size].decode()


def write_old_rows(platform: Platform) -> None:
    """Write the rows that a snapshot will read."""
    for delegation in ("old-done", "old-failed", "old-apart", "old-waiting", "old-moving"):
        platform.request(delegation, task=incompressible(5_000))
    platform.update_request("old-done", "dispatched")
    platform.update_request("old-done", "completed", text="an old answer")
    platform.update_request("old-failed", "failed", error="an old error")
    platform.write_result("old-apart", "an old answer in a row of its own")
    platform.write_heartbeat("old-waiting")
    platform.update_request("old-moving", "dispatched")


def write_large_rows(platform: Platform, size: int) -> None:
    """Write rows with bodies of this size, and update each of them without a change of its body."""
    text = incompressible(size)
    platform.request(f"done-{size}", task=text)
    platform.update_request(f"done-{size}", "dispatched")
    heartbeat = platform.write_heartbeat(f"done-{size}", progress=text)
    platform.update_heartbeat(f"done-{size}", heartbeat)
    platform.update_request(f"done-{size}", "completed", text=text)
    platform.touch_request(f"done-{size}")
    platform.request(f"failed-{size}", task=text)
    platform.update_request(f"failed-{size}", "failed", error=text)
    platform.request(f"apart-{size}")
    platform.touch(platform.write_result(f"apart-{size}", text))


def complete_in_two_steps(platform: Platform, name: str, text: str, *, in_feed: str | None) -> None:
    """Write first the result text, then the status; `in_feed` is the text in the feed's record of the status."""
    platform.request(f"{name}-in-two-steps")
    platform.update_request(f"{name}-in-two-steps", "dispatched")
    platform.write_result_text(f"{name}-in-two-steps", text)
    platform.complete_request(f"{name}-in-two-steps", in_feed)


def write_all_kinds(platform: Platform, name: str) -> None:
    """Write one delegation of each kind."""
    platform.request(f"{name}-done", task="")
    platform.update_request(f"{name}-done", "dispatched")
    platform.write_heartbeat(f"{name}-done")
    platform.update_request(f"{name}-done", "in_progress")
    platform.update_request(f"{name}-done", "completed", text="42 🎈")
    platform.write_late_failure(f"{name}-done")
    platform.request(f"{name}-failed", task=incompressible(10_000))
    platform.update_request(f"{name}-failed", "failed", error="target unreachable")
    platform.request(f"{name}-answered-apart")
    platform.write_result(f"{name}-answered-apart", "an answer in a row of its own")
    platform.write_result_before_request(f"{name}-answered-first", "as expected")
    platform.request(f"{name}-retried", key=f"key-{name}")
    platform.repeat_request(f"{name}-again", instead_of=f"{name}-retried")
    platform.request(f"{name}-waiting")
    platform.write_heartbeat(f"{name}-waiting")
