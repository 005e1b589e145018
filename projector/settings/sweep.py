"""The settings of the sweeper (docs/sweeping.md)."""

from typing import Annotated, Literal

from pydantic import Field

from projector.settings.group import LOWER, Group, Number


class SweepSettings(Group):
    """When a delegation counts as stuck or overdue, how much one pass writes, and where."""

    title = "Sweep"

    sweep_interval_seconds: Number = Field(60, ge=1, description="time between two passes of `sweep`")
    stuck_after_seconds: Number = Field(
        600, ge=2, description="a delegation without a sign of life for this time is stuck"
    )
    deadline_grace_seconds: Number = Field(
        30, ge=0, description="a delegation fails when its deadline has passed for this time"
    )
    never_heard: Annotated[Literal["known", "count", "skip"], LOWER] = Field(
        "known",
        description="whether a delegation without any heartbeat can be stuck: if its callee has sent heartbeats for "
        "others within 7 days (known), always (count), or never (skip)",
    )
    sweep_sink: Annotated[Literal["activity-logs", "topic"], LOWER] = Field(
        "activity-logs", description="where `sweep` writes verdicts: the platform's table, or the topic"
    )
    sweep_max_failed: Number = Field(200, ge=1, description="most verdicts about deadlines that one pass writes")
    sweep_brake_minimum: Number = Field(
        20, ge=0, description="up to this number of stuck verdicts are written in one pass without a further question"
    )
    sweep_brake_percent: Number = Field(
        50,
        ge=0,
        le=100,
        description="more are written up to this share of the delegations in flight whose callees send heartbeats; "
        "beyond it none is written without --anyway",
    )
    sweep_settle_seconds: Number = Field(
        60, ge=0, description="time that is added to both thresholds if verdicts are written to the topic"
    )
