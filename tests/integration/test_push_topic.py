"""The relay with the target `topic` on a real Kafka: each reply at least once, with one id."""

import json
from typing import Any

import psycopg
import pytest
from activity_table import SEARCH_PATH
from kafka import KafkaConsumer, TopicPartition
from relaying import TOPIC, Relaying, ago, passed, push, push_settings
from rows import CALLEE, CALLER
from topics import create_topic

from projector.domain.reply import event_id
from projector.errors import BrokerUnavailable, DatabaseUnavailable, Misconfigured
from projector.postgres import outbox
from projector.postgres.connection import Connection
from projector.push.relay import Relay


@pytest.fixture
def own(kafka: str) -> dict[str, Any]:
    """The settings of the target, with a topic of the test's own."""
    return {"result_push": "topic", "push_topic": create_topic(kafka), "bootstrap_servers": kafka}


def records(own: dict[str, Any]) -> list[Any]:
    """All records of the topic."""
    consumer = KafkaConsumer(bootstrap_servers=own["bootstrap_servers"], enable_auto_commit=False)
    places = [TopicPartition(own["push_topic"], number) for number in range(3)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, found = consumer.end_offsets(places), []
    while sum(consumer.position(place) for place in places) < sum(ends.values()):
        for polled in consumer.poll(timeout_ms=200).values():
            found += polled
    consumer.close()
    return found


def headers(record: Any) -> dict[str, str]:
    return {name: value.decode() for name, value in record.headers}


def test_reply_is_a_record_with_its_id_in_a_header(inbox_url: str, relaying: Relaying, own: dict[str, Any]) -> None:
    relaying.answered("d-1", "three")
    assert push(inbox_url, **own) == passed(sent=1)
    (record,) = records(own)
    assert record.key.decode() == CALLER
    assert headers(record)["ce_id"] == str(event_id("d-1"))
    assert headers(record)["ce_type"] == "delegation.result"
    row = json.loads(record.value)
    assert (row["workspace_id"], row["target_id"], row["status"]) == (CALLER, CALLEE, "ok")
    assert row["response_body"] == {"text": "three", "delegation_id": "d-1"}
    assert relaying.inbox() == {}


def test_whole_text_is_sent(inbox_url: str, relaying: Relaying, own: dict[str, Any]) -> None:
    relaying.answered("d-1", "word " * 200_000)
    assert push(inbox_url, **own).sent == 1
    assert json.loads(records(own)[0].value)["response_body"]["text"] == "word " * 200_000


def test_preview_is_sent_where_there_is_no_activity_table(database_url: str, own: dict[str, Any]) -> None:
    with psycopg.connect(database_url, options=SEARCH_PATH, autocommit=True) as conn:
        relaying = Relaying(conn)
        relaying.delegation("d-1", "failed", error_detail="no mon…")
        relaying.end("d-1", "failed", text="no money", is_gone=True)
        relaying.queue("d-1")
        assert push(database_url, **own) == passed(sent=1)
    row = json.loads(records(own)[0].value)
    assert (row["status"], row["error_detail"]) == ("error", "no mon…")
    assert row["response_body"] == {"text": "no mon…", "delegation_id": "d-1", "truncated": True}


def test_distinct_ids_are_the_ends(inbox_url: str, relaying: Relaying, own: dict[str, Any]) -> None:
    """Acceptance 11, small: the relay ends between the acknowledgement and the mark, then another one sends."""
    for number in range(120):
        relaying.answered(f"d-{number}")

    def killed(conn: Connection, marks: object) -> None:
        relaying.conn.execute("SELECT pg_terminate_backend(%s)", [conn.info.backend_pid])
        conn.execute("SELECT 1")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outbox, "mark", killed)
        with pytest.raises(DatabaseUnavailable):
            push(inbox_url, **own)
    assert push(inbox_url, **own) == passed(sent=120)
    found = records(own)
    assert len(found) == 220, "the first batch was sent twice"
    assert {headers(each)["ce_id"] for each in found} == {str(event_id(f"d-{n}")) for n in range(120)}


def test_record_that_kafka_refuses_is_given_up(
    inbox_url: str, relaying: Relaying, own: dict[str, Any], kafka: str
) -> None:
    own["push_topic"] = create_topic(kafka, config={"max.message.bytes": "2000"})
    relaying.answered("large", "".join(map(str, range(20_000))), due=ago(100))
    relaying.answered("small")
    assert push(inbox_url, **own) == passed(sent=1, given_up=1)
    assert "Kafka refuses it" in relaying.reply("large")["last_error"]


def test_topic_that_does_not_exist_is_named(inbox_url: str, relaying: Relaying, own: dict[str, Any]) -> None:
    relaying.answered("d-1")
    own["push_topic"] = f"no-{own['push_topic']}"
    with pytest.raises(BrokerUnavailable, match=f"topic {own['push_topic']} does not exist"):
        push(inbox_url, **own, idle_in_transaction_timeout_ms=1000)
    assert relaying.reply("d-1")["attempts"] == 0


def test_topic_of_the_activity_log_is_refused(inbox_url: str, own: dict[str, Any]) -> None:
    with pytest.raises(Misconfigured, match="PROJECTOR_PUSH_TOPIC is PROJECTOR_TOPIC"):
        push(inbox_url, **own | {"push_topic": TOPIC})


def test_kafka_that_is_away_uses_up_no_try(inbox_url: str, relaying: Relaying, own: dict[str, Any]) -> None:
    relaying.answered("d-1")
    relay = Relay(push_settings(inbox_url, **own | {"bootstrap_servers": "localhost:1"}))
    with pytest.raises(BrokerUnavailable):
        relay.send_due()
    relay.close()
    assert relaying.reply("d-1")["attempts"] == 0
