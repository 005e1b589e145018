"""The target `topic`: replies become records of PROJECTOR_PUSH_TOPIC, each at least once, with its id in a header."""

import json
from collections.abc import Iterator, Sequence

from projector.contract.facts import Status
from projector.domain.reply import Reply, State
from projector.errors import Misconfigured
from projector.kafka.producer import Message, Producer
from projector.postgres import activity_table, outbox_inbox
from projector.postgres.connection import Connection, connect, mapped_errors
from projector.postgres.outbox_inbox import Sent
from projector.push.inbox import is_elsewhere
from projector.settings import Settings

TYPE = "delegation.result"


class ReplyTopic:
    """Sends replies. A crash between the acknowledgement and the mark sends a reply again, with the same id."""

    name = "topic"

    def __init__(self, settings: Settings, conn: Connection, seconds: float) -> None:
        """`conn`: the relay's session. `seconds`: how long an acknowledgement may take.

        Raises Misconfigured, BrokerUnavailable, DatabaseUnavailable.
        """
        if settings.push_topic == settings.topic:
            raise Misconfigured("PROJECTOR_PUSH_TOPIC is PROJECTOR_TOPIC: name another topic for the results")
        self._producer = Producer(settings, settings.push_topic, seconds)
        self._own: Connection | None = None
        try:
            self._own = connect(settings, url_setting="activity_database_url") if is_elsewhere(settings) else None
            self._texts = self._own or conn
            has_table = activity_table.is_readable(self._texts)
            self._statements = outbox_inbox.statements(self._texts) if has_table else None
        except BaseException:
            self.close()
            raise

    def deliver(self, replies: Sequence[Reply], until: float) -> Iterator[Sent]:
        """Send the replies, and wait until each is acknowledged."""
        refusals = self._producer.send([_message(reply, self._text(reply)) for reply in replies])
        return (Sent(State.GIVEN_UP, refusal) if refusal else Sent(State.SENT) for refusal in refusals)

    def _text(self, reply: Reply) -> str | None:
        if reply.row_id is None or self._statements is None:
            return None
        with mapped_errors():
            return outbox_inbox.source_text(self._texts, self._statements, reply)

    def close(self) -> None:
        """Close the producer, and the session of its own, if there is one."""
        self._producer.close()
        if self._own is not None:
            self._own.close()


def _message(reply: Reply, text: str | None) -> Message:
    """The record of a reply: the row that the target `inbox` would insert, as JSON."""
    is_answer = reply.status is Status.COMPLETED
    content = text or reply.preview or ""
    body: dict[str, object] = {"text": content, "delegation_id": reply.delegation_id}
    if reply.has_text and not text:
        body["truncated"] = True
    row = {
        "id": str(reply.event_id),
        "workspace_id": reply.caller_id,
        "activity_type": "a2a_receive",
        "source_id": reply.caller_id,
        "target_id": reply.callee_id,
        "method": "delegate_result",
        "request_body": {"delegation_id": reply.delegation_id},
        "response_body": body,
        "status": "ok" if is_answer else "error",
        "error_detail": None if is_answer else content or None,
    }
    headers = {
        "ce_specversion": "1.0",
        "ce_id": str(reply.event_id),
        "ce_type": TYPE,
        "ce_source": "projector",
        "content-type": "application/json",
    }
    encoded = [(name, value.encode()) for name, value in headers.items()]
    return Message(reply.caller_id.encode(), json.dumps(row, ensure_ascii=False).encode(), encoded)
