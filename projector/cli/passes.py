"""Passes that the dashboard shows: what `verify` and `rebuild` did, and when."""

import logging
from collections.abc import Mapping
from datetime import datetime

from projector.errors import ProjectorError
from projector.postgres import passes
from projector.postgres.connection import open_view
from projector.postgres.passes import Kind
from projector.settings import Settings

log = logging.getLogger(__name__)


def remember(settings: Settings, kind: Kind, started_at: datetime, result: Mapping[str, object]) -> None:
    """Write a pass. That it cannot be written changes nothing about the pass itself."""
    try:
        with open_view(settings) as conn:
            passes.write(conn, kind, started_at=started_at, result=result)
    except ProjectorError as error:
        log.warning("the dashboard will not show this pass", extra={"kind": kind, "reason": str(error)})
