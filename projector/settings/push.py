"""The settings of the push of results (docs/pushing.md)."""

from typing import Annotated, Literal

from pydantic import Field

from projector.settings.group import LOWER, Group, Number


class PushSettings(Group):
    """Whether and where the result of each delegation is sent, and for how long."""

    title = "Push of results"

    result_push: Annotated[Literal["off", "inbox", "topic"], LOWER] = Field(
        "off", description="whether the result of each delegation is sent, and where: to the caller's inbox or a topic"
    )
    push_topic: str = Field(
        "delegation-results", min_length=1, description="the topic of the results, with PROJECTOR_RESULT_PUSH=topic"
    )
    push_interval_seconds: Number = Field(1, ge=1, description="time between two looks for results that are due")
    push_max_age_seconds: Number = Field(
        86_400, ge=60, description="a result that is due for this time is not sent any more, unless `push retry` asks"
    )
    push_retention_days: Number = Field(90, ge=1, description="how long it is kept that a result was sent")

    @property
    def pushes(self) -> bool:
        """Whether results are sent at all."""
        return self.result_push != "off"
