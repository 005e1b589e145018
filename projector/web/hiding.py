"""Texts of agents, replaced where operators may not read them: PROJECTOR_DASHBOARD_TEXTS=hide.

Every answer is made of a model. So the texts are replaced in one place, before a page, JSON or CSV is made of it.
The idempotency key of a request is never shown, whatever the setting is.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from projector.explain.timeline import Change, Entry
from projector.postgres.outbox_queries import QueuedReply
from projector.postgres.views_delegations import DelegationRow
from projector.postgres.views_plumbing import LetterGroup, Unsent
from projector.web.detail import Letter, Step, Story
from projector.web.failures import Reason

HIDDEN = "(hidden)"
_TEXT_COLUMNS = ("task_preview", "result_preview", "error_detail")

_KEY = re.compile(
    r"""(?P<before>(?<!\\)(?P<quote>\\{0,15}")idempotency_key(?P=quote)(?:\s|\\+[nrt])*:(?:\s|\\+[nrt])*(?P=quote))"""
    r"""(.*?)(?P<after>(?<!\\)(?P=quote)|\Z)""",
    re.DOTALL,
)
"""Also in a JSON text within a JSON text, and where the end was cut off."""

ValueT = TypeVar("ValueT")


def _texts(*names: str) -> Callable[[Any], Any]:
    def hide(value: Any) -> Any:
        return value._replace(**{name: HIDDEN for name in names if getattr(value, name) is not None})

    return hide


def _change(value: Change) -> Change:
    return _texts("before", "after")(value) if value.column in _TEXT_COLUMNS else value


def _entry(value: Entry) -> Entry:
    """What is said of a record that is no event may be anything."""
    names = ("sentence", "detail", "rests_on", *(() if value.delegation_id else ("said",)))
    return _texts(*names)(value._replace(hints=[HIDDEN for _ in value.hints]))  # type: ignore[no-any-return]


_RULES: Mapping[type, Callable[[Any], Any]] = {
    Change: _change,
    DelegationRow: _texts(*_TEXT_COLUMNS),
    Entry: _entry,
    Letter: _texts("reason"),
    LetterGroup: _texts("reason"),
    QueuedReply: _texts("last_error"),
    Reason: _texts("reason"),
    Step: _texts("value"),
    Story: _texts("sentence", "advice"),
    Unsent: _texts("last_error"),
}
"""Class of a part of a model → what hides its texts."""


def without_key(value: str) -> str:
    """The value of a record, its idempotency key hidden."""
    return _KEY.sub(rf"\g<before>{HIDDEN}\g<after>", value)


def without_texts(value: ValueT) -> ValueT:
    """The same model, its texts hidden."""
    return _hidden(value)  # type: ignore[no-any-return]


def _hidden(value: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        hide = _RULES.get(type(value), lambda same: same)
        return hide(type(value)(*map(_hidden, value)))
    if isinstance(value, list):
        return list(map(_hidden, value))
    if isinstance(value, dict):
        return {name: _hidden(each) for name, each in value.items()}
    return value
